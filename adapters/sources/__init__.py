"""The sources of adapters: every kind of place that one can come from. `fetch.obtain` makes a local copy of any.

- a folder, or an archive (`.tar.gz`, `.tgz`, `.tar`, `.zip`) on this machine
- `hf://organisation/name@revision` on a Hugging Face hub
- `oci://registry/name:tag` or `…@sha256:…` in an OCI registry
- `s3://bucket/prefix`, `https://…/adapter.zip` and any other URL that fsspec knows: a folder or an archive
"""
