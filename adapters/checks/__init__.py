"""Everything that can be said of an adapter's folder before an engine has seen it. `gate.check_folder` asks it all.

In the order in which it is asked: `folder` (names, links, sizes), `config` (adapter_config.json), `safetensors` (the
weights' header), `structure` (the tensors are the pairs of a LoRA), `fit` (they fit the base that `base` has read),
`drift` (tokenizer and chat template are the base's), and `values`, which alone reads all the bytes. Every refusal is an
AdapterError that names the file, the tensor where there is one, and what was expected.
"""
