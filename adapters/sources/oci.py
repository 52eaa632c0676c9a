"""The source `oci://registry/name:tag` or `…@sha256:…`: an adapter in an OCI registry.

It is laid out as ORAS lays files out, or as one archive. A blob is asked for by its digest and checked against it, so
that a registry can withhold an adapter but not change one. Source: the OCI Distribution Specification 1.1, and the
image manifest it names.
"""

import contextlib
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

import httpx

from patchbay.adapters.archive import is_archive
from patchbay.adapters.checks.folder import FolderLimits
from patchbay.adapters.checks.strict_json import decode
from patchbay.adapters.contents import contents_of
from patchbay.adapters.digest import file_hash, folder_files
from patchbay.adapters.sources.place import Fetched
from patchbay.core.errors import AdapterError, SourceError
from patchbay.core.settings import is_loopback

_REFERENCE = re.compile(
    r"oci://(?P<host>[\w.-]+(?::\d+)?)/(?P<name>[a-z0-9]+(?:[._/-]+[a-z0-9]+)*)"
    r"(?::(?P<tag>\w[\w.-]{0,127})|@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_EMPTY = b"{}"
_EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
_ARTIFACT_TYPE = "application/vnd.patchbay.adapter"
_FILE_TYPE = "application/octet-stream"
_TITLE = "org.opencontainers.image.title"
_MANIFEST_BYTES = 4 * 1024**2
# Of whatever else a registry answers that is read whole: a token, an error.
_ANSWER_BYTES = 256 * 1024
_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class _Reference:
    """The reference to a manifest. `version`: a tag or a digest."""

    host: str
    name: str
    version: str

    @classmethod
    def parse(cls, text: str) -> Self:
        match = _REFERENCE.fullmatch(text)
        if match is None:
            raise SourceError(f"'{text}' is no source.", hint="Write it as oci://registry/name:tag.")
        return cls(match["host"], match["name"], match["digest"] or match["tag"] or "latest")

    @property
    def url(self) -> str:
        """The URL of the name: HTTPS, but for a registry on this machine."""
        host = urlsplit(f"//{self.host}").hostname or ""
        return f"{'http' if is_loopback(host) else 'https'}://{self.host}/v2/{self.name}"


def pull_oci(source: str, limits: FolderLimits, workdir: Path, pick: str | None) -> Fetched:
    """Pulls the adapter at `source` into a folder or an archive below `workdir`.

    `pick`: the folder in it that the adapter is in. Raises SourceError where it cannot be had, or is not what its
    digests say, AdapterError where no adapter is there.
    """
    reference = _Reference.parse(source)
    with _Registry(reference) as registry, _translated(source):
        layers = _layers(registry.manifest(reference.version))
        named = {str(_safe(_title(layer) or f"layer-{at}.tar")): layer for at, layer in enumerate(layers)}
        if len(layers) == 1 and is_archive(next(iter(named))):
            return Fetched(_pull(registry, named, [next(iter(named))], (workdir / "oci", limits)), pick)
        found = contents_of(named, source, pick=pick)
        names = [str(PurePosixPath(found.root, name)) for name in found.own]
        _pull(registry, named, names, (workdir / "oci", limits))
        return Fetched(workdir / "oci", None, found.left_out)


def _pull(
    registry: "_Registry", named: Mapping[str, Mapping[str, Any]], names: list[str], into: tuple[Path, FolderLimits]
) -> Path:
    """Pulls the layers called `names` into one folder, and returns the last one's file."""
    folder, limits = into
    total = sum(named[name]["size"] for name in names)
    if len(names) > limits.files or total > limits.folder_bytes:
        raise SourceError(f"it holds {len(names)} files of {total} bytes, which is more than the limits allow")
    folder.mkdir()
    target = folder
    for name in names:
        target = folder / PurePosixPath(name).name
        registry.blob(named[name], target)
    return target


def push_oci(folder: Path, target: str) -> str:
    """Pushes the files in `folder` to `target`, as ORAS would. Returns the manifest's digest. Raises SourceError."""
    reference = _Reference.parse(target)
    with _Registry(reference) as registry, _translated(target):
        files = folder_files(folder)
        layers = [_descriptor(file, file.name) for file in files]
        for file, layer in zip(files, layers, strict=True):
            registry.upload(layer["digest"], file.read_bytes)
        empty = f"sha256:{hashlib.sha256(_EMPTY).hexdigest()}"
        registry.upload(empty, lambda: _EMPTY)
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "artifactType": _ARTIFACT_TYPE,
            "config": {"mediaType": _EMPTY_TYPE, "digest": empty, "size": len(_EMPTY)},
            "layers": layers,
        }
        return registry.put_manifest(reference.version, json.dumps(manifest, sort_keys=True).encode())


class _Registry:
    """A client of one name in one registry. Shows the credentials of the environment's netrc file for the host, if any.

    Whatever the registry answers is read up to a bound of bytes, and asked for uncompressed, so that those are all
    there is.
    """

    def __init__(self, reference: _Reference) -> None:
        self._url = reference.url
        hooks = {"request": [self._check_scheme]}
        headers = {"accept-encoding": "identity"}
        self._client = httpx.Client(timeout=_TIMEOUT_S, follow_redirects=True, event_hooks=hooks, headers=headers)
        self._authorization: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def manifest(self, version: str, *, of_index: bool = False) -> Mapping[str, Any]:
        """Returns the image manifest of that tag or digest; of an index, its first."""
        accept = f"{_MANIFEST}, {_INDEX}, {_DOCKER_MANIFEST}"
        response = self._send(
            "GET", f"{self._url}/manifests/{version}", limit=_MANIFEST_BYTES, headers={"accept": accept}
        )
        raw = response.content
        if version.startswith("sha256:") and hashlib.sha256(raw).hexdigest() != version.removeprefix("sha256:"):
            raise SourceError(f"its manifest is not what {version[:19]} says")
        document = decode(raw)
        if not isinstance(document, dict):
            raise SourceError("its manifest is no JSON object")
        if document.get("mediaType") == _INDEX or "manifests" in document:
            if of_index:
                raise SourceError("its index leads to another index")
            return self.manifest(_first_listed(document), of_index=True)
        return document

    def blob(self, layer: Mapping[str, Any], target: Path) -> None:
        """Writes a blob to `target`, and refuses one whose bytes are not its digest's."""
        digest, size = str(layer["digest"]), int(layer["size"])
        hashed, left = hashlib.sha256(), size
        request = self._request("GET", f"{self._url}/blobs/{digest}")
        response = self._checked(self._client.send(request, stream=True), request)
        with contextlib.closing(response), target.open("xb") as writer:
            for chunk in response.iter_raw():
                left -= len(chunk)
                if left < 0:
                    break
                hashed.update(chunk)
                writer.write(chunk)
        if left != 0 or f"sha256:{hashed.hexdigest()}" != digest:
            raise SourceError(f"the file {target.name} is not what its digest {digest[:19]} says")

    def upload(self, digest: str, read: Callable[[], bytes]) -> None:
        """Uploads a blob, unless the registry has it."""
        request = self._request("HEAD", f"{self._url}/blobs/{digest}")
        response = self._client.send(request)
        if response.status_code == 401:
            response = self._client.send(self._with_credentials(request, response))
        if response.status_code == 200:
            return
        begun = self._send("POST", f"{self._url}/blobs/uploads/")
        place = httpx.URL(urljoin(str(begun.url), begun.headers["location"])).copy_merge_params({"digest": digest})
        self._send("PUT", str(place), content=read(), headers={"content-type": "application/octet-stream"})

    def put_manifest(self, version: str, raw: bytes) -> str:
        """Puts a manifest under a tag, and returns its digest."""
        self._send("PUT", f"{self._url}/manifests/{version}", content=raw, headers={"content-type": _MANIFEST})
        return f"sha256:{hashlib.sha256(raw).hexdigest()}"

    def _check_scheme(self, request: httpx.Request) -> None:
        """Refuses a redirect, or a place of tokens, that takes an HTTPS request to plain HTTP, where anybody may read
        it."""
        if self._url.startswith("https:") and request.url.scheme != "https":
            raise SourceError("it leads to plain HTTP")

    def _send(self, method: str, url: str, *, limit: int = _ANSWER_BYTES, **parts: Any) -> httpx.Response:
        request = self._request(method, url, **parts)
        return _whole(self._checked(self._client.send(request, stream=True), request), limit)

    def _request(self, method: str, url: str, **parts: Any) -> httpx.Request:
        request = self._client.build_request(method, url, **parts)
        request.headers.update(self._authorization)
        return request

    def _checked(self, response: httpx.Response, request: httpx.Request) -> httpx.Response:
        """Returns the response, its body not read yet, after a second try with what the registry asks for."""
        if response.status_code == 401:
            response.close()
            response = self._client.send(self._with_credentials(request, response), stream=True)
        if response.status_code >= 300:
            raise SourceError(
                f"the registry answers {response.status_code}{_error_detail(_whole(response, _ANSWER_BYTES))}"
            )
        return response

    def _with_credentials(self, request: httpx.Request, refused: httpx.Response) -> httpx.Request:
        """Returns the request with the credentials that the registry asks for.

        Source: the CNCF distribution's token protocol.
        """
        challenge = refused.headers.get("www-authenticate", "")
        fields = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        login = _login(request.url.host)
        if challenge.lower().startswith("basic") and login is not None:
            header = next(httpx.BasicAuth(*login).auth_flow(request)).headers["authorization"]
            self._authorization = {"authorization": header}
        elif challenge.lower().startswith("bearer") and "realm" in fields:
            self._authorization = {"authorization": f"Bearer {self._token(fields, login)}"}
        request.headers.update(self._authorization)
        return request

    def _token(self, fields: Mapping[str, str], login: tuple[str, str] | None) -> str:
        parameters = {key: fields[key] for key in ("service", "scope") if key in fields}
        request = self._client.build_request("GET", fields["realm"], params=parameters)
        response = self._client.send(request, auth=login or httpx.USE_CLIENT_DEFAULT, stream=True)
        document = decode(_whole(response, _ANSWER_BYTES).content) if response.status_code == 200 else {}
        response.close()
        token = (document.get("token") or document.get("access_token")) if isinstance(document, dict) else None
        return token if isinstance(token, str) and token.isascii() and token.isprintable() else ""


def _whole(response: httpx.Response, limit: int) -> httpx.Response:
    """Reads the response's body, of up to `limit` bytes. Raises SourceError as soon as there are more."""
    raw = bytearray()
    with contextlib.closing(response):
        for chunk in response.iter_raw():
            raw += chunk
            if len(raw) > limit:
                raise SourceError(f"it answers with more than {limit} bytes where that is not to be expected")
    headers = [(name, value) for name, value in response.headers.raw if name.lower() != b"content-encoding"]
    return httpx.Response(response.status_code, headers=headers, content=bytes(raw), request=response.request)


def _first_listed(document: Mapping[str, Any]) -> str:
    listed = document.get("manifests")
    first = listed[0] if isinstance(listed, list) and listed else None
    digest = first.get("digest") if isinstance(first, dict) else None
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise SourceError("its index is empty")
    return digest


def _title(layer: Mapping[str, Any]) -> str | None:
    notes = layer.get("annotations")
    title = notes.get(_TITLE) if isinstance(notes, dict) else None
    return title if isinstance(title, str) else None


def _layers(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    layers = manifest.get("layers")
    if not isinstance(layers, list) or not layers:
        raise SourceError("it has no layers")
    for layer in layers:
        sound = isinstance(layer, dict) and type(layer.get("size")) is int and layer["size"] >= 0
        if not sound or not _DIGEST.fullmatch(str(layer.get("digest"))):
            raise SourceError("a layer has no size, or no sha256 digest")
    return layers


def _descriptor(path: Path, name: str) -> dict[str, Any]:
    return {
        "mediaType": _FILE_TYPE,
        "digest": f"sha256:{file_hash(path)}",
        "size": path.stat().st_size,
        "annotations": {_TITLE: name},
    }


def _safe(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or not path.parts:
        raise SourceError(f"the name {name[:100]!r} leads out of the folder")
    return path


def _login(host: str) -> tuple[str, str] | None:
    import netrc

    try:
        credentials = netrc.netrc().authenticators(host)
    except (OSError, netrc.NetrcParseError):
        return None
    return (credentials[0], credentials[2] or "") if credentials else None


def _error_detail(response: httpx.Response) -> str:
    try:
        first = response.json()["errors"][0]
        return f" ({first.get('code')}: {str(first.get('message'))[:200]})"
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return ""


@contextmanager
def _translated(source: str) -> Iterator[None]:
    try:
        yield
    except SourceError as error:
        raise SourceError(f"{source}: {error.message}.", hint=error.hint or "Check its name.") from error
    except AdapterError:
        raise
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, KeyError) as error:
        raise SourceError(
            f"{source} cannot be reached: {str(error) or type(error).__name__}.", hint="Check its name."
        ) from error
