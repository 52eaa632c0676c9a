"""The demo's models, made and not downloaded: an int4 base of three million parameters and six adapters.

They are made by these modules, in this order: `vocab` and `corpus` draw the texts, `tokenizer` learns their
tokens, `base` trains the base on their answers (`data`, `optimise`), `quantize` rounds it to int4, `tune` trains the
adapters over what that leaves, and `train` runs it all by a `recipe` and writes a `manifest`. `build` puts the shipped
result, or a new one, into a user directory, `score` measures it where it is served, and `commands` is the command line.

To ship new models: `patchbay demo build --train --data-dir DIR`, copy the folder that it prints over `artifacts/`,
serve it, then `patchbay demo score --record tuning/demo/artifacts`.
"""
