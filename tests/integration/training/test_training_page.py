"""Every command and every block of the page's part on training, run in its order over the tiny base."""

import asyncio
import json
import re
import shlex
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from patchbay.command import build_app
from tests.fakes.raw_replica import RawReplica, answer
from tests.fakes.training_runs import BASE, chats, write_rows

ROOT = Path(__file__).parent.parent.parent.parent
SECTION = (ROOT / "docs" / "tuning.md").read_text().partition("\n## Training\n")[2].partition("\n## ")[0]


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", SECTION, re.MULTILINE | re.DOTALL)


COMMANDS = [
    shlex.split(line, comments=True)
    for block in blocks("sh")
    for line in block.splitlines()
    if line.startswith("patchbay ")
]


def said(body: bytes) -> list[bytes]:
    """A teacher who knows one answer, and is cut short once."""
    cut = b"cut me" in body
    choice = {"message": {"role": "assistant", "content": "shipping"}, "finish_reason": "length" if cut else "stop"}
    return [answer(json.dumps({"choices": [choice]}).encode())]


@pytest.fixture(scope="module")
def teacher() -> Iterator[str]:
    """The address of a teacher that answers on a thread of its own."""
    loop, replica, up = asyncio.new_event_loop(), RawReplica(said), threading.Event()
    ended = asyncio.Event()

    async def serve() -> None:
        async with replica.running():
            up.set()
            await ended.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    up.wait()
    yield replica.url
    loop.call_soon_threadsafe(ended.set)
    thread.join()
    loop.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory as the page describes it."""
    folder = tmp_path_factory.mktemp("page")
    shutil.copytree(BASE, folder / "base")
    shutil.copytree(ROOT / "deploy" / "recipes", folder / "deploy" / "recipes")
    rows = chats(16)
    write_rows(folder / "train.jsonl", [*rows, *(json.loads(block) for block in blocks("json"))])
    write_rows(folder / "general.jsonl", chats(2, task="style", held_out=True))
    write_rows(folder / "prompts.jsonl", [*rows[:3], {"prompt": "cut me"}, rows[0]])
    recipe, space = blocks("yaml")
    (folder / "recipe.yaml").write_text(recipe)
    # One trial shows as much as twelve.
    (folder / "space.yaml").write_text(space.replace("trials: 12", "trials: 1"))
    return folder


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command[1:3]))
def test_a_command_of_the_page_does_what_it_says(
    command: list[str], place: Path, teacher: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    monkeypatch.setenv("PATCHBAY_DATA_DIR", str(place / "data"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    arguments = [teacher if part == "http://127.0.0.1:8080" else part for part in command[1:]]
    done = CliRunner().invoke(build_app(), arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output


def test_what_the_commands_left_is_what_the_page_says(place: Path) -> None:
    named = re.findall(r"^\| (`[^|]+) \|", SECTION.partition("The folder has:")[2].partition("###")[0], re.MULTILINE)
    for name in re.findall(r"`([^`]+)`", " ".join(named)):
        assert (place / "runs" / "tickets" / name).exists()
    assert "<svg" in (place / "tickets.html").read_text()
    assert {path.name for path in (place / "runs" / "tickets-sweep").iterdir()} >= {
        "ablation.md",
        "ablation.json",
        "ablation.svg",
        "best.yaml",
    }
    assert "FSDP" in (place / "accelerate.yaml").read_text() or "MULTI_GPU" in (place / "accelerate.yaml").read_text()


def test_distilled_rows_are_chats_with_their_provenance(place: Path) -> None:
    rows = [json.loads(line) for line in (place / "distilled.jsonl").read_text().splitlines()]
    assert len(rows) == 3
    assert all(row["messages"][-1] == {"role": "assistant", "content": "shipping"} for row in rows)
    assert {row["source"]["teacher"] for row in rows} == {"large"}
