"""What means harm is given up within its limits, in a process that takes nobody with it."""

import os
import signal
import tarfile
import threading
from pathlib import Path

import psutil
import pytest

from patchbay.adapters.checks.folder import FolderLimits
from patchbay.adapters.config import SigningConfig
from patchbay.adapters.inspection import Requirements, inspect
from patchbay.adapters.sandbox.bounds import Bounds, Pace, Stop, Task
from patchbay.adapters.sandbox.process import run
from patchbay.adapters.sources.authority import environment_of
from patchbay.adapters.sources.config import SourcesConfig
from patchbay.adapters.sources.fetch import Terms, obtain
from patchbay.adapters.sources.place import Fetched
from patchbay.core.errors import AdapterError, SourceError, TooCostly, WorkStopped
from tests.fakes.adapter_folder import write_adapter
from tests.fakes.hostile import (
    HostileServer,
    dripping,
    endless_manifest,
    gzip_bomb,
    huge_pax_header,
    pax_bomb,
    tar_with,
    wait_until,
    zip_of_entries,
)

MIB = 1024**2
LIMITS = FolderLimits(files=64, folder_bytes=64 * MIB)


def demands(**sources: object) -> Requirements:
    return Requirements(LIMITS, 16, SigningConfig(), SourcesConfig.model_validate({"cpu_s": 5, **sources}))


def archive(tmp_path: Path, raw: bytes, name: str = "a.tar.gz") -> Path:
    path = tmp_path / name
    path.write_bytes(raw)
    return path


def children() -> list[psutil.Process]:
    return [one for one in psutil.Process().children() if "patchbay.adapters.sandbox.child" in one.cmdline()]


@pytest.mark.parametrize(
    ("raw", "name", "message"),
    [
        (lambda: gzip_bomb(200 * MIB), "a.tar.gz", "unpacks to over|more than 67108864 bytes"),
        (lambda: zip_of_entries(20_000), "a.zip", "more than 4096 members"),
        (lambda: tar_with("/".join(["d"] * 3000)), "a.tar.gz", "cannot be unpacked|leads out|does not exist"),
        (lambda: tar_with("vocab.json", tarfile.GNUTYPE_SPARSE), "a.tar.gz", "special file|no sound archive|not exist"),
        (lambda: tar_with("adapter_model.safetensors", tarfile.SYMTYPE, "/etc/passwd"), "a.tar.gz", "is a link"),
        (lambda: tar_with("../../x"), "a.tar.gz", "leads out"),
    ],
    ids=["gzip bomb", "entries", "deep path", "sparse", "link out", "way out"],
)
def test_a_hostile_archive_is_refused_by_the_confined_process_in_its_own_words(
    tmp_path: Path, raw: object, name: str, message: str
) -> None:
    assert callable(raw)
    with pytest.raises(AdapterError, match=message) as refused:
        inspect(Fetched(archive(tmp_path, raw(), name)), demands(), workdir=tmp_path)
    assert refused.value.reason in ("archive", "limits")
    assert not children()


def test_a_pax_header_of_digits_is_given_up_once_it_took_its_processor_time(tmp_path: Path) -> None:
    bomb = pax_bomb()
    assert len(bomb) < 300
    with pytest.raises(TooCostly, match="more than 2 seconds of processor time") as refused:
        inspect(Fetched(archive(tmp_path, bomb)), demands(cpu_s=2), workdir=tmp_path)
    assert refused.value.reason == "limits"


def test_a_header_that_is_read_whole_is_given_up_once_it_took_its_memory(tmp_path: Path) -> None:
    with pytest.raises(TooCostly, match="more than 256 MiB of memory"):
        inspect(
            Fetched(archive(tmp_path, huge_pax_header(400 * MIB))), demands(memory_mib=256, cpu_s=60), workdir=tmp_path
        )


def test_a_process_that_dies_in_the_middle_is_the_error_of_this_push_alone(tmp_path: Path) -> None:
    failed: list[AdapterError] = []

    def look() -> None:
        with pytest.raises(AdapterError) as refused:
            inspect(Fetched(archive(tmp_path, pax_bomb())), demands(cpu_s=60), workdir=tmp_path)
        failed.append(refused.value)

    thread = threading.Thread(target=look)
    thread.start()
    wait_until(lambda: bool(children()))
    os.kill(children()[0].pid, signal.SIGSEGV)
    thread.join()
    assert failed[0].reason == "crash"
    good = inspect(Fetched(write_adapter(tmp_path / "good")), demands(), workdir=tmp_path)
    assert good.rank


def test_whoever_stops_the_work_ends_the_process(tmp_path: Path) -> None:
    stop = Stop()
    threading.Timer(1.0, stop.ask, ("nobody wants it",)).start()
    with pytest.raises(WorkStopped, match="nobody wants it"):
        inspect(Fetched(archive(tmp_path, pax_bomb())), demands(cpu_s=600), workdir=tmp_path, stop=stop)
    assert not children()


def test_work_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    work = {"place": str(archive(tmp_path, pax_bomb())), "workdir": str(tmp_path), "limits": LIMITS.model_dump()}
    task = Task("inspect", work | {"signing": {}, "base": None, "max_rank": 16, "pick": None, "left_out": []})
    with pytest.raises(TooCostly, match="more than 2 seconds"):
        run(task, Bounds(600, 512 * MIB, MIB, 2.0), workdir=tmp_path)
    assert not children()


@pytest.mark.parametrize(
    ("answer", "slow_s", "message"),
    [(dripping, 2, "less than 1000 bytes a second"), (endless_manifest, 100, "more than 4194304 bytes")],
    ids=["drips", "600 MB"],
)
def test_a_manifest_that_drips_or_never_ends_is_given_up(
    tmp_path: Path, answer: object, slow_s: float, message: str
) -> None:
    assert callable(answer)
    config = SourcesConfig(least_bytes_per_s=1000, slow_s=slow_s, timeout_s=60)
    with HostileServer(answer).serving() as server:
        with pytest.raises(AdapterError, match=message):
            obtain(f"oci://{server.host}/a/b:v1", Terms(LIMITS, config, "operator"), workdir=tmp_path)
        wait_until(lambda: server.open == 0)
    assert not children()


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"layers": 7}', b'{"manifests": [7]}', b"\xff", b"9" * 5000, b"null"])
def test_a_manifest_that_is_none_is_a_source_error(tmp_path: Path, body: bytes) -> None:
    with (
        HostileServer(lambda asked: asked.answer("200 OK", body)).serving() as server,
        pytest.raises(SourceError, match=f"oci://{server.host}/a/b:v1"),
    ):
        obtain(f"oci://{server.host}/a/b:v1", Terms(LIMITS, SourcesConfig(), "operator"), workdir=tmp_path)


def test_a_fetch_has_the_credentials_of_its_own_kind_and_no_others() -> None:
    environ = {"PATCHBAY_REGISTRY": "secret", "AWS_SECRET_ACCESS_KEY": "a", "HF_TOKEN": "h", "HOME": "/h", "X": "y"}
    assert environment_of("s3://b/k", environ).keys() == {"AWS_SECRET_ACCESS_KEY", "HOME"}
    assert environment_of("hf://a/b", environ).keys() == {"HF_TOKEN", "HOME"}
    assert environment_of("https://a/b.zip", environ).keys() == {"HOME"}


def test_a_transfer_is_slow_only_by_whole_stretches() -> None:
    pace = Pace(SourcesConfig(least_bytes_per_s=10, slow_s=5).least, 0.0)
    assert [pace.is_too_slow(total, now) for now, total in ((1, 0), (4.9, 0), (5, 50), (9, 50), (10, 99))] == [
        False,
        False,
        False,
        False,
        True,
    ]
