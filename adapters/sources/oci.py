"""`oci://registry/name:tag` or `…@sha256:…`: an adapter in an OCI registry, as ORAS lays files out or as one archive.

Source: the OCI Distribution Specification 1.1, and the image manifest it names. A blob is asked for by its digest and
checked against it, so that a registry can withhold an adapter but not change one.
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

from adapters.admission.folder import Limits
from adapters.archive import unpack
from adapters.digest import file_hash, folder_files, is_left_out
from adapters.errors import SourceError
from adapters.settings import is_loopback

_REFERENCE = re.compile(
    r"oci://(?P<host>[\w.-]+(?::\d+)?)/(?P<name>[a-z0-9]+(?:[._/-]+[a-z0-9]+)*)"
    r"(?::(?P<tag>\w[\w.-]{0,127})|@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_EMPTY = b"{}"
_EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
_ARTIFACT_TYPE = "application/vnd.patchbay.adapter"
_FILE_TYPE = "application/octet-stream"
_TITLE = "org.opencontainers.image.title"
_MANIFEST_BYTES = 4 * 1024**2
_TIMEOUT_S = 60.0
_BLOCK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Reference:
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
        """HTTPS, but for a registry on this machine."""
        host = urlsplit(f"//{self.host}").hostname or ""
        return f"{'http' if is_loopback(host) else 'https'}://{self.host}/v2/{self.name}"


def pull_oci(source: str, limits: Limits, workdir: Path, progress: Callable[[int], None]) -> Path:
    """The adapter at `source`, below `workdir`. Raises SourceError where it cannot be had, or is not what its digests
    say; AdapterError where it is an archive that the gate refuses."""
    reference = _Reference.parse(source)
    with _Registry(reference) as registry, _translated(source):
        layers = _layers(registry.manifest(reference.version), limits)
        folder = workdir / "oci"
        folder.mkdir()
        for number, layer in enumerate(layers):
            title = layer.get("annotations", {}).get(_TITLE)
            target = folder / _safe(title or f"layer-{number}.tar")
            if any(is_left_out(part) for part in target.relative_to(folder).parts):
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            registry.blob(layer, target, progress)
    archives = [path for path in folder.iterdir() if path.name.endswith((".tar", ".tar.gz", ".tgz", ".zip"))]
    return unpack(archives[0], workdir / "unpacked", limits) if len(layers) == 1 and archives else folder


def push_oci(folder: Path, target: str) -> str:
    """Pushes the files in `folder` to `target`, as ORAS would, and returns the manifest's digest. Raises
    SourceError."""
    reference = _Reference.parse(target)
    with _Registry(reference) as registry, _translated(target):
        layers = [_descriptor(folder / name, name.as_posix()) for name in folder_files(folder)]
        for name, layer in zip(folder_files(folder), layers, strict=True):
            registry.upload(layer["digest"], (folder / name).read_bytes)
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
    """One name in one registry. Shows the credentials that the environment's netrc file has for the host, if any."""

    def __init__(self, reference: _Reference) -> None:
        self._url = reference.url
        self._client = httpx.Client(timeout=_TIMEOUT_S, follow_redirects=True)
        self._authorization: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def manifest(self, version: str) -> Mapping[str, Any]:
        """The image manifest of that tag or digest; of an index, its first."""
        accept = f"{_MANIFEST}, {_INDEX}, {_DOCKER_MANIFEST}"
        answer = self._send("GET", f"{self._url}/manifests/{version}", headers={"accept": accept})
        raw = answer.content
        if len(raw) > _MANIFEST_BYTES:
            raise SourceError("its manifest is too large")
        if version.startswith("sha256:") and hashlib.sha256(raw).hexdigest() != version.removeprefix("sha256:"):
            raise SourceError(f"its manifest is not what {version[:19]} says")
        document = json.loads(raw)
        if not isinstance(document, dict):
            raise SourceError("its manifest is no JSON object")
        if document.get("mediaType") == _INDEX or "manifests" in document:
            listed = document.get("manifests") or []
            if not listed or not str(listed[0].get("digest", "")).startswith("sha256:"):
                raise SourceError("its index is empty")
            return self.manifest(listed[0]["digest"])
        return document

    def blob(self, layer: Mapping[str, Any], target: Path, progress: Callable[[int], None]) -> None:
        """Writes a blob to `target`, and refuses one whose bytes are not its digest's."""
        digest, size = str(layer["digest"]), int(layer["size"])
        hashed, left = hashlib.sha256(), size
        request = self._request("GET", f"{self._url}/blobs/{digest}")
        answer = self._checked(self._client.send(request, stream=True), request, stream=True)
        with contextlib.closing(answer), target.open("xb") as writer:
            for chunk in answer.iter_bytes(_BLOCK):
                left -= len(chunk)
                if left < 0:
                    break
                hashed.update(chunk)
                writer.write(chunk)
                progress(len(chunk))
        if left != 0 or f"sha256:{hashed.hexdigest()}" != digest:
            raise SourceError(f"the file {target.name} is not what its digest {digest[:19]} says")

    def upload(self, digest: str, read: Callable[[], bytes]) -> None:
        """Uploads a blob, unless the registry has it."""
        request = self._request("HEAD", f"{self._url}/blobs/{digest}")
        answer = self._client.send(request)
        if answer.status_code == 401:
            answer = self._client.send(self._again(request, answer))
        if answer.status_code == 200:
            return
        begun = self._send("POST", f"{self._url}/blobs/uploads/")
        place = httpx.URL(urljoin(str(begun.url), begun.headers["location"])).copy_merge_params({"digest": digest})
        self._send("PUT", str(place), content=read(), headers={"content-type": "application/octet-stream"})

    def put_manifest(self, version: str, raw: bytes) -> str:
        """Puts a manifest under a tag, and returns its digest."""
        self._send("PUT", f"{self._url}/manifests/{version}", content=raw, headers={"content-type": _MANIFEST})
        return f"sha256:{hashlib.sha256(raw).hexdigest()}"

    def _send(self, method: str, url: str, **parts: Any) -> httpx.Response:
        request = self._request(method, url, **parts)
        return self._checked(self._client.send(request), request)

    def _request(self, method: str, url: str, **parts: Any) -> httpx.Request:
        request = self._client.build_request(method, url, **parts)
        request.headers.update(self._authorization)
        return request

    def _checked(self, answer: httpx.Response, request: httpx.Request, *, stream: bool = False) -> httpx.Response:
        if answer.status_code == 401:
            answer.close()
            answer = self._client.send(self._again(request, answer), stream=stream)
        if answer.status_code >= 300:
            answer.read()
            raise SourceError(f"the registry answers {answer.status_code}{_said(answer)}")
        return answer

    def _again(self, request: httpx.Request, refused: httpx.Response) -> httpx.Request:
        """The request once more, with what the registry asks for. Source: the CNCF distribution's token protocol."""
        asked = refused.headers.get("www-authenticate", "")
        fields = dict(re.findall(r'(\w+)="([^"]*)"', asked))
        login = _login(request.url.host)
        if asked.lower().startswith("basic") and login is not None:
            shown = next(httpx.BasicAuth(*login).auth_flow(request)).headers["authorization"]
            self._authorization = {"authorization": shown}
        elif asked.lower().startswith("bearer") and "realm" in fields:
            wanted = {key: fields[key] for key in ("service", "scope") if key in fields}
            answer = self._client.get(fields["realm"], params=wanted, auth=login or httpx.USE_CLIENT_DEFAULT)
            token = answer.json() if answer.status_code == 200 else {}
            self._authorization = {"authorization": f"Bearer {token.get('token') or token.get('access_token') or ''}"}
        request.headers.update(self._authorization)
        return request


def _layers(manifest: Mapping[str, Any], limits: Limits) -> list[Mapping[str, Any]]:
    layers = manifest.get("layers")
    if not isinstance(layers, list) or not layers:
        raise SourceError("it has no layers")
    for layer in layers:
        sound = isinstance(layer, dict) and isinstance(layer.get("size"), int) and layer["size"] >= 0
        if not sound or not re.fullmatch(r"sha256:[0-9a-f]{64}", str(layer.get("digest"))):
            raise SourceError("a layer has no size, or no sha256 digest")
    total = sum(layer["size"] for layer in layers)
    if len(layers) > limits.files or total > limits.folder_bytes:
        raise SourceError(f"it holds {len(layers)} files of {total} bytes, which is more than the limits allow")
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
    if path.is_absolute() or ".." in path.parts or "\\" in name or not path.parts:
        raise SourceError(f"the name {name[:100]!r} leads out of the folder")
    return path


def _login(host: str) -> tuple[str, str] | None:
    import netrc

    try:
        found = netrc.netrc().authenticators(host)
    except (OSError, netrc.NetrcParseError):
        return None
    return (found[0], found[2] or "") if found else None


def _said(answer: httpx.Response) -> str:
    try:
        first = answer.json()["errors"][0]
        return f" ({first.get('code')}: {str(first.get('message'))[:200]})"
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return ""


@contextmanager
def _translated(source: str) -> Iterator[None]:
    try:
        yield
    except SourceError as error:
        raise SourceError(f"{source}: {error.message}.", hint=error.hint or "Check its name.") from error
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, KeyError) as error:
        raise SourceError(
            f"{source} cannot be reached: {str(error) or type(error).__name__}.", hint="Check its name."
        ) from error
