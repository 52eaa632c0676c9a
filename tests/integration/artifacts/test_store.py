"""The artifact store, in a folder and on S3: what is there is right, or it is not handed out."""

import asyncio
import hashlib
import os
import time
from pathlib import Path

import fsspec
import pytest

from patchbay.adapters.artifacts.cache import FAILURE_MEMORY_S, Fetcher
from patchbay.adapters.artifacts.store import ArtifactStore
from patchbay.adapters.config import ArtifactsConfig
from patchbay.adapters.digest import digest_of
from patchbay.core.errors import ArtifactError, ConfigError
from patchbay.registry.records import FileRecord

SIZE = 3 * 1024 * 1024 + 17


@pytest.fixture
def store(artifacts: ArtifactsConfig) -> ArtifactStore:
    return ArtifactStore.open(artifacts, sleep=lambda seconds: None)


def written(folder: Path, name: str = "weights", size: int = SIZE) -> FileRecord:
    folder.mkdir(parents=True, exist_ok=True)
    raw = os.urandom(size)
    (folder / name).write_bytes(raw)
    return FileRecord(name=name, sha256=hashlib.sha256(raw).hexdigest(), size=size)


def place(artifacts: ArtifactsConfig, file: FileRecord) -> tuple[fsspec.AbstractFileSystem, str]:
    files, root = fsspec.core.url_to_fs(artifacts.url, **artifacts.options)
    return files, f"{root}/sha256/{file.sha256[:2]}/{file.sha256}"


def test_what_is_put_comes_back_byte_for_byte_and_the_same_file_is_stored_once(
    store: ArtifactStore, tmp_path: Path
) -> None:
    file = written(tmp_path / "in")
    assert not store.has(file.sha256)
    assert [store.put(tmp_path / "in" / "weights", file.sha256) for _ in range(2)] == [True, False]
    assert store.has(file.sha256)
    assert store.verify(file.sha256)
    seen: list[int] = []
    store.fetch(
        [file, FileRecord(name="deep/copy", sha256=file.sha256, size=file.size)], tmp_path / "out", progress=seen.append
    )
    raw = (tmp_path / "in" / "weights").read_bytes()
    assert (tmp_path / "out" / "weights").read_bytes() == (tmp_path / "out" / "deep" / "copy").read_bytes() == raw
    assert sum(seen) == 2 * SIZE
    ((sha256, at),) = store.hashes()
    assert (sha256, abs(at - time.time()) < 60) == (file.sha256, True)
    store.remove(file.sha256)
    store.remove(file.sha256)
    assert list(store.hashes()) == []


def test_a_file_that_changes_while_it_is_stored_is_never_seen_under_its_name(
    store: ArtifactStore, tmp_path: Path
) -> None:
    file = written(tmp_path / "in")
    (tmp_path / "in" / "weights").write_bytes(b"other")
    with pytest.raises(ArtifactError, match="changed while it was stored"):
        store.put(tmp_path / "in" / "weights", file.sha256)
    assert not store.has(file.sha256)
    assert list(store.hashes()) == []


@pytest.mark.parametrize("damage", ["other bytes", "cut short", "longer", "gone"])
def test_a_damaged_file_is_never_handed_out(
    store: ArtifactStore, artifacts: ArtifactsConfig, tmp_path: Path, damage: str
) -> None:
    file = written(tmp_path / "in")
    store.put(tmp_path / "in" / "weights", file.sha256)
    files, name = place(artifacts, file)
    raw = (tmp_path / "in" / "weights").read_bytes()
    changed = {"other bytes": raw[:-1] + bytes([raw[-1] ^ 1]), "cut short": raw[:-9], "longer": raw + b"x"}
    if damage == "gone":
        files.rm_file(name)
    else:
        files.pipe_file(name, changed[damage])
    with pytest.raises(ArtifactError):
        ArtifactStore.open(artifacts, sleep=lambda seconds: None).fetch([file], tmp_path / "out")
    assert not (tmp_path / "out" / "weights").exists()


def test_a_fetch_that_was_cut_off_goes_on_where_it_ended_and_starts_clean_where_that_is_wrong(
    store: ArtifactStore, tmp_path: Path
) -> None:
    file = written(tmp_path / "in")
    store.put(tmp_path / "in" / "weights", file.sha256)
    raw = (tmp_path / "in" / "weights").read_bytes()
    for index, left in enumerate((raw[:1_000_000], b"x" * 1_000_000, raw + b"more", raw)):
        out = tmp_path / f"out-{index}"
        out.mkdir()
        (out / ".weights.part").write_bytes(left)
        read: list[int] = []
        store.fetch([file], out, progress=read.append)
        assert (out / "weights").read_bytes() == raw
        assert [path.name for path in out.iterdir()] == ["weights"]
        if index == 0:
            assert sum(read) == SIZE - 1_000_000


@pytest.mark.parametrize("name", ["../up", "/etc/x", "a/../../b", "", "a\\b", "a\0b"])
def test_a_name_that_leads_elsewhere_is_refused(store: ArtifactStore, tmp_path: Path, name: str) -> None:
    with pytest.raises(ArtifactError, match="is no name for"):
        store.fetch([FileRecord(name=name, sha256="0" * 64, size=1)], tmp_path / "out")


def test_a_store_that_cannot_be_reached_or_opened_says_so(tmp_path: Path) -> None:
    gone = ArtifactsConfig(
        url="s3://bucket/x", options={"endpoint_url": "http://127.0.0.1:1", "key": "a", "secret": "b"}
    )
    with pytest.raises(ArtifactError):
        ArtifactStore.open(gone, sleep=lambda seconds: None).has("0" * 64)
    with pytest.raises(ConfigError, match="cannot be opened"):
        ArtifactStore.open(ArtifactsConfig(url="nonsense://x"))
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(ArtifactError):
        ArtifactStore.open(ArtifactsConfig(url=str(file))).put(file, hashlib.sha256(b"x").hexdigest())


def test_one_fetch_serves_all_who_ask_and_a_failure_is_remembered_for_a_while(
    store: ArtifactStore, tmp_path: Path
) -> None:
    file = written(tmp_path / "in")
    store.put(tmp_path / "in" / "weights", file.sha256)
    digest = digest_of({file.name: file.sha256})
    missing = FileRecord(name="weights", sha256="1" * 64, size=5)
    now, fetches = [0.0], [0]
    real = store.fetch

    def counting(*arguments: object, **named: object) -> None:
        fetches[0] += 1
        real(*arguments, **named)  # type: ignore[arg-type]

    store.fetch = counting  # type: ignore[method-assign]

    async def scenario() -> None:
        fetcher = Fetcher(store, tmp_path / "cache", clock=lambda: now[0])
        waiting = [asyncio.create_task(fetcher.get(digest, [file])) for _ in range(8)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        folders = await asyncio.gather(*waiting[1:])
        assert {hashlib.sha256((folder / "weights").read_bytes()).hexdigest() for folder in folders} == {file.sha256}
        assert fetches == [1]
        wrong = digest_of({"weights": "1" * 64})
        for moment, expected in ((0.0, 2), (1.0, 2), (FAILURE_MEMORY_S + 1, 3)):
            now[0] = moment
            with pytest.raises(ArtifactError):
                await fetcher.get(wrong, [missing])
            assert fetches == [expected]
        with pytest.raises(ArtifactError, match="does not belong to the digest"):
            await fetcher.get("2" * 64, [file])
        await fetcher.close()

    asyncio.run(scenario())
