"""The checks of an adapter's folder before an engine has seen it. `check.check_folder` runs them all.

In this order: `folder` (names, links, sizes), `config` (adapter_config.json), `safetensors` (the weights' header),
`structure` (the tensors are the pairs of a LoRA), `fit` (they fit the base that `base` has read), `drift` (tokenizer
and chat template are the base's), and `values`, which alone reads all the bytes. Every refusal is an AdapterError that
names the file, the tensor where there is one, and what was expected.
"""
