"""The kinds of place that an adapter can come from. `fetch.obtain` gets a local copy, wherever it was.

- a folder, or an archive (`.tar.gz`, `.tgz`, `.tar`, `.zip`) on this machine
- `hf://organisation/name@revision` on a Hugging Face hub
- `oci://registry/name:tag` or `…@sha256:…` in an OCI registry
- `s3://bucket/prefix`, `https://…/adapter.zip` and any other URL that fsspec knows: a folder or an archive
"""
