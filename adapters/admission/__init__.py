"""The admission gate: what can be said of an adapter's folder before any engine has seen it.

`gate` is the way in. It reads the configuration (`config`), the tensors' names and shapes (`safetensors`, `weights`),
compares them with the base's (`base`), and last looks at every value (`values`).
"""
