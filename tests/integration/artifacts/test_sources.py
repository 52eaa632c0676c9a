"""Every kind of source, from real servers over loopback: a folder, archives, S3, HTTP, an OCI registry, a hub."""

import hashlib
import http.server
import json
import shutil
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import fsspec
import pytest

from patchbay.adapters.archive import unpack
from patchbay.adapters.checks.folder import FolderLimits
from patchbay.adapters.config import ArtifactsConfig
from patchbay.adapters.digest import folder_hashes
from patchbay.adapters.sources.config import SourcesConfig
from patchbay.adapters.sources.fetch import Terms, obtain
from patchbay.adapters.sources.oci import push_oci
from patchbay.core.errors import AdapterError, SourceError
from tests.fakes.adapter_folder import write_adapter
from tests.fakes.oci_registry import NO_REGISTRY, registry_program, running_registry


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    return write_adapter(tmp_path / "adapter")


def hashes(source: str, workdir: Path, limits: FolderLimits | None = None) -> dict[str, str]:
    workdir.mkdir(exist_ok=True)
    terms = Terms(limits or FolderLimits(), SourcesConfig(), "operator")
    place = obtain(source, terms, workdir=workdir)
    if place.path.is_file():
        unpack(place.path, workdir / "unpacked", terms.limits, place.pick)
        return folder_hashes(workdir / "unpacked")
    return folder_hashes(place.path)


ASKED: list[str] = []


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files, and a hub's two calls where the folder has their answers."""

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@contextmanager
def serving(folder: Path, handler: type[Quiet] = Quiet) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
    server.asked = ASKED  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()


def packed(adapter: Path, path: Path) -> Path:
    if path.name.endswith(".zip"):
        with zipfile.ZipFile(path, "w") as archive:
            for file in adapter.iterdir():
                archive.write(file, f"sql-lora/{file.name}")
    else:
        with tarfile.open(path, "w:gz") as archive:
            archive.add(adapter, arcname="sql-lora")
    return path


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tgz", "a.zip"])
def test_an_archive_is_the_folder_that_is_in_it(adapter: Path, tmp_path: Path, name: str) -> None:
    assert hashes(str(packed(adapter, tmp_path / name)), tmp_path / "work") == folder_hashes(adapter)


def test_an_archive_behind_a_url_is_fetched_and_unpacked(adapter: Path, tmp_path: Path) -> None:
    (tmp_path / "www").mkdir()
    packed(adapter, tmp_path / "www" / "a.zip")
    with serving(tmp_path / "www") as url:
        assert hashes(f"{url}/a.zip", tmp_path / "work") == folder_hashes(adapter)
        with pytest.raises(SourceError, match="nothing there"):
            hashes(f"{url}/none.zip", tmp_path / "work-2")
    with pytest.raises(SourceError, match="cannot be fetched"):
        hashes("http://127.0.0.1:1/a.zip", tmp_path / "work-3")


def test_a_folder_on_s3_is_fetched_within_the_limits(
    adapter: Path, tmp_path: Path, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifacts = ArtifactsConfig(url="s3://sources/sql", options={"endpoint_url": s3_endpoint})
    files, root = fsspec.core.url_to_fs(artifacts.url, **artifacts.options)
    files.mkdir("sources")
    for file in adapter.iterdir():
        files.put_file(str(file), f"{root}/{file.name}")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
    assert hashes("s3://sources/sql", tmp_path / "work") == folder_hashes(adapter)
    with pytest.raises(SourceError, match="more bytes than the limits"):
        hashes("s3://sources/sql", tmp_path / "work-2", FolderLimits(folder_bytes=100))
    with pytest.raises(SourceError, match="more than 1 files"):
        hashes("s3://sources/sql", tmp_path / "work-3", FolderLimits(files=1))
    with pytest.raises(SourceError, match="nothing there"):
        hashes("s3://sources/none", tmp_path / "work-4")


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if registry_program() is None:
        pytest.skip(NO_REGISTRY)
    with running_registry(tmp_path_factory.mktemp("registry")) as host:
        yield host


def test_an_adapter_goes_into_an_oci_registry_and_comes_back_by_tag_and_by_digest(
    adapter: Path, tmp_path: Path, registry: str
) -> None:
    digest = push_oci(adapter, f"oci://{registry}/team/sql:v1")
    assert push_oci(adapter, f"oci://{registry}/team/sql:v1") == digest
    for number, reference in enumerate(("team/sql:v1", f"team/sql@{digest}")):
        assert hashes(f"oci://{registry}/{reference}", tmp_path / f"work-{number}") == folder_hashes(adapter)
    with pytest.raises(SourceError, match="404"):
        hashes(f"oci://{registry}/team/none:v1", tmp_path / "work-3")
    with pytest.raises(SourceError, match="more than the limits"):
        hashes(f"oci://{registry}/team/sql:v1", tmp_path / "work-4", FolderLimits(folder_bytes=10))
    for text in ("oci://x", "oci://host/UPPER:v1", "oci://host/a@sha256:12"):
        with pytest.raises(SourceError, match="is no source"):
            hashes(text, tmp_path / "work-5")


@pytest.mark.parametrize("lie", ["other bytes", "too long", "traversal"])
def test_an_oci_registry_that_lies_is_found_out(tmp_path: Path, lie: str) -> None:
    raw = b"weights"
    layer = {"digest": f"sha256:{hashlib.sha256(raw).hexdigest()}", "size": len(raw)}
    title = "../up" if lie == "traversal" else "adapter_model.safetensors"
    manifest = {"layers": [layer | {"annotations": {"org.opencontainers.image.title": title}}]}
    www = tmp_path / "www" / "v2" / "team" / "sql"
    (www / "manifests").mkdir(parents=True)
    (www / "blobs").mkdir()
    (www / "manifests" / "v1").write_text(json.dumps(manifest))
    (www / "blobs" / str(layer["digest"])).write_bytes({"other bytes": b"WEIGHTS", "too long": raw * 2}.get(lie, raw))
    with serving(tmp_path / "www") as url, pytest.raises(SourceError, match=r"is not what its digest|leads out"):
        hashes(f"oci://{url.removeprefix('http://')}/team/sql:v1", tmp_path / "work")
    assert not (tmp_path / "work" / "up").exists()


class Hub(Quiet):
    """A hub with one model, whose files are in the served folder."""

    def do_GET(self) -> None:
        files = sorted(path for path in Path(self.directory).rglob("*") if path.is_file())
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        if self.path.startswith("/api/models/team/sql/tree"):
            self._answer([{"type": "file", "path": self._name(f), "size": f.stat().st_size, "oid": "0"} for f in files])
        elif self.path.startswith("/api/models/team/sql"):
            siblings = [{"rfilename": self._name(file), "size": file.stat().st_size} for file in files]
            self._answer({"id": "team/sql", "sha": "c" * 40, "siblings": siblings, "private": False, "tags": []})
        elif "/resolve/" in self.path:
            self.path = self._place()
            super().do_GET()
        else:
            self.send_error(404)

    def do_HEAD(self) -> None:
        self.path = self._place()
        super().do_HEAD()

    def _name(self, file: Path) -> str:
        return file.relative_to(self.directory).as_posix()

    def _place(self) -> str:
        return "/" + self.path.partition("/resolve/")[2].partition("/")[2]

    def end_headers(self) -> None:
        path = Path(self.directory) / self.path.lstrip("/")
        if path.is_file():
            self.send_header("etag", f'"{hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest()}"')
            self.send_header("x-repo-commit", "c" * 40)
        super().end_headers()

    def _answer(self, document: Any) -> None:
        raw = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)


def test_an_adapter_on_a_hub_is_fetched_and_one_that_is_too_large_is_not_even_begun(
    adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (adapter / "training_args.bin").write_bytes(b"pickle")
    clean = folder_hashes(adapter)
    with serving(adapter, Hub) as url:
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")
        monkeypatch.setenv("HF_ENDPOINT", url)
        assert hashes("hf://team/sql@main", tmp_path / "work") == clean
        with pytest.raises(SourceError, match="Is it an adapter, or a whole model"):
            hashes("hf://team/sql", tmp_path / "work-2", FolderLimits(folder_bytes=10))
        with pytest.raises(SourceError, match="cannot be fetched"):
            hashes("hf://team/none", tmp_path / "work-3")
    for wrong in (
        "hf://team",
        "hf://team/sql@main/../../x",
        "hf://team/sql@",
        "hf://team/sql/a@main/b",
        "hf://a/../b@c",
    ):
        with pytest.raises(SourceError, match="is no source"):
            hashes(wrong, tmp_path / "work-4")


@pytest.mark.parametrize(
    ("source", "revision"),
    [
        ("hf://team/sql/runs/checkpoint-20@v1", "v1"),
        ("hf://team/sql@v1/runs/checkpoint-20", "v1"),
        ("hf://team/sql@refs/pr/1/runs/checkpoint-20", "refs%2Fpr%2F1"),
        ("hf://team/sql/runs/checkpoint-20@refs/pr/1", "refs%2Fpr%2F1"),
        ("hf://team/sql@v1#runs/checkpoint-20", "v1"),
    ],
)
def test_a_folder_and_a_reference_on_a_hub_are_fetched_and_several_are_listed(
    adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, revision: str
) -> None:
    for name in ("runs/checkpoint-20", "runs/checkpoint-3"):
        shutil.copytree(adapter, tmp_path / "hub" / name)
    (tmp_path / "hub" / "runs" / "checkpoint-20" / "optimizer.pt").write_bytes(b"x" * 5000)
    with serving(tmp_path / "hub", Hub) as url:
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")
        monkeypatch.setenv("HF_ENDPOINT", url)
        ASKED.clear()
        assert hashes(source, tmp_path / "work", FolderLimits(folder_bytes=4000)) == folder_hashes(adapter)
        assert f"/api/models/team/sql/revision/{revision}?blobs=true" in ASKED
        assert not any("optimizer" in path or "checkpoint-3" in path for path in ASKED if "/resolve/" in path)
        several = r"holds 2 adapters: runs/checkpoint-3, runs/checkpoint-20\. Pick one: put #runs/checkpoint-20 behind"
        with pytest.raises(AdapterError, match=several):
            hashes("hf://team/sql", tmp_path / "work-2")


def test_a_checkpoint_on_s3_is_found_in_its_folder_and_one_of_several_is_picked(
    adapter: Path, tmp_path: Path, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifacts = ArtifactsConfig(url="s3://checkpoints/out", options={"endpoint_url": s3_endpoint})
    files, root = fsspec.core.url_to_fs(artifacts.url, **artifacts.options)
    files.mkdir("checkpoints")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
    for number, name in enumerate(("checkpoint-3", "checkpoint-20")):
        for file in adapter.iterdir():
            files.put_file(str(file), f"{root}/{name}/{file.name}")
        files.pipe_file(f"{root}/{name}/optimizer.pt", b"x" * 5000)
        source = "s3://checkpoints/out" if number == 0 else "s3://checkpoints/out#checkpoint-3"
        found = hashes(source, tmp_path / f"work-{number}", FolderLimits(folder_bytes=4000))
        assert found == folder_hashes(adapter)
    with pytest.raises(AdapterError, match="out holds 2 adapters: checkpoint-3, checkpoint-20"):
        hashes("s3://checkpoints/out", tmp_path / "work-3")


def test_what_is_nowhere_or_no_archive_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("x")
    for source, message in ((str(tmp_path / "none"), "nothing at"), (str(tmp_path / "file.txt"), "but no archive")):
        with pytest.raises(AdapterError, match=message) as refused:
            hashes(source, tmp_path / "work")
        assert refused.value.reason == "source"
    shutil.rmtree(tmp_path / "work")
