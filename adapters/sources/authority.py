"""The authority of a fetch: on whose behalf it is, so whom it may connect to and what environment it has. Pure.

A client of the admin port may name sources at public hosts that the configuration allows. Somebody who types a source
on their own machine, or writes it into its configuration, may name any host that they may reach themselves; only a host
outside must not lead inside.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Literal
from urllib.parse import urlsplit

from patchbay.adapters.sandbox.reach import FetchReach, plain
from patchbay.adapters.sources.config import SourcesConfig

Authority = Literal["client", "operator"]
# Schemes whose URLs name a host. Others name a bucket, or a model, at a host that the environment or the client
# library's own configuration says.
_NAMING_HOSTS = frozenset({"oci", "http", "https"})
_EVERYWHERE = ("0.0.0.0/0", "::/0")
_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "all_proxy")
_GOOGLE = re.compile(r"GOOGLE_|GCSFS_|STORAGE_EMULATOR_HOST|GCLOUD_|CLOUDSDK_")
_AZURE = re.compile(r"AZURE_|IDENTITY_|MSI_")
_CREDENTIALS = {
    "hf": re.compile(r"HF_|HUGGING_FACE_|HUGGINGFACE_"),
    "s3": re.compile(r"AWS_|FSSPEC_S3"),
    "gs": _GOOGLE,
    "gcs": _GOOGLE,
    "az": _AZURE,
    "abfs": _AZURE,
}
_ENDPOINTS = {
    "hf": ("HF_ENDPOINT",),
    "s3": ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_STS", "FSSPEC_S3_ENDPOINT_URL"),
    "gs": ("STORAGE_EMULATOR_HOST",),
    "gcs": ("STORAGE_EMULATOR_HOST",),
}
# Where a cloud's own client asks for the machine's credentials. With these schemes nobody else says where it goes.
_METADATA = {
    "s3": ("169.254.169.254", "169.254.170.2", "169.254.170.23", "fd00:ec2::254", "fd00:ec2::23"),
    "gs": ("169.254.169.254", "metadata.google.internal"),
    "gcs": ("169.254.169.254", "metadata.google.internal"),
    "az": ("169.254.169.254",),
    "abfs": ("169.254.169.254",),
}
_NETWORK = ("HOME", "PATH", "NETRC", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "NO_PROXY", "no_proxy")


def scheme_of(source: str) -> str:
    """Returns the scheme of a source; nothing for a path. Raises ValueError where it is no URL."""
    return urlsplit(source).scheme.lower() if "://" in source else ""


def host_of(source: str) -> str | None:
    """Returns the host that a source names, or None. Raises ValueError where it is no URL."""
    return urlsplit(source).hostname if scheme_of(source) in _NAMING_HOSTS else None


def pinned_names(source: str, authority: Authority, config: SourcesConfig, environ: Mapping[str, str]) -> FetchReach:
    """Computes whom a fetch of `source` may connect to.

    `authority`: who named the source; `environ`: the variables that name endpoints and proxies. Raises ValueError where
    `source` is no URL.
    """
    scheme, origin = scheme_of(source), host_of(source)
    named = _hosts(environ.get(name) for name in _ENDPOINTS.get(scheme, ()))
    inside = (*config.private, *named, *_METADATA.get(scheme, ()))
    proxies = _hosts(environ.get(name) for name in _PROXIES)
    if authority == "client":
        return FetchReach(config.allow, inside, proxies)
    if origin is None and scheme != "hf":
        return FetchReach(("*",), (*inside, *_EVERYWHERE), proxies)
    return FetchReach(("*",), inside, proxies, origin)


def environment_of(source: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Selects what a fetch of `source` has of the environment: the network's variables, and its own kind's
    credentials."""
    credentials = _CREDENTIALS.get(scheme_of(source))
    wanted = {*_NETWORK, *_PROXIES}
    return {
        name: value
        for name, value in environ.items()
        if name in wanted or (credentials is not None and credentials.match(name))
    }


def shown_source(source: str) -> str:
    """Returns `source` without a user, a password and a query, which may be secrets, for logs and messages."""
    try:
        parts = urlsplit(source)
    except ValueError:
        return "the source"
    if "://" not in source:
        return source
    folder = f"#{parts.fragment}" if parts.fragment else ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}{folder}"


def _hosts(urls: Iterable[str | None]) -> tuple[str, ...]:
    found = []
    for url in urls:
        if url:
            host = urlsplit(url if "://" in url else f"//{url}").hostname
            found.append(plain(host or ""))
    return tuple(host for host in found if host)
