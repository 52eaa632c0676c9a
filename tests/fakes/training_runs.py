"""Small recipes and rows to train on, over the demo's tiny base."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from patchbay.tuning.demo.build import ARTIFACTS
from patchbay.tuning.demo.corpus import task_examples
from patchbay.tuning.training.recipe import TrainingRecipe, load_recipe
from patchbay.tuning.training.runs import RunRecord
from patchbay.tuning.training.start import open_run, run_folder, wanted_record

BASE = ARTIFACTS / "base"
Row = dict[str, Any]


def chats(count: int, *, task: str = "label", held_out: bool = False) -> list[Row]:
    """Chats of one of the demo's tasks."""
    return [
        {
            "messages": [
                *({"role": turn.role, "content": turn.content} for turn in example.messages),
                {"role": "assistant", "content": example.answer},
            ]
        }
        for example in task_examples(task, 7, count, held_out=held_out)
    ]


def pairs(count: int, *, held_out: bool = False) -> list[Row]:
    """Pairs of the right answer and one that says nothing."""
    return [
        {"prompt": row["messages"][:-1], "chosen": row["messages"][-1:], "rejected": "I cannot say."}
        for row in chats(count, held_out=held_out)
    ]


def votes(count: int, *, held_out: bool = False) -> list[Row]:
    """Votes for right answers, and against one that says nothing."""
    made = []
    for place, row in enumerate(chats(count, held_out=held_out)):
        answer = row["messages"][-1]["content"] if place % 2 else "I cannot say."
        made.append({"prompt": row["messages"][:-1], "completion": answer, "label": bool(place % 2)})
    return made


ROWS = {"sft": chats, "dpo": pairs, "orpo": pairs, "kto": votes}


def write_rows(path: Path, rows: Iterable[Row]) -> Path:
    """Writes rows as JSON lines."""
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def write_recipe(folder: Path, *, method: str = "sft", rows: int = 12, **changes: Any) -> Path:
    """Writes a recipe of a few steps, and its rows. `changes`: of whole sections' keys."""
    folder.mkdir(parents=True, exist_ok=True)
    write_rows(folder / "train.jsonl", ROWS[method](rows))
    write_rows(folder / "validation.jsonl", ROWS[method](4, held_out=True))
    write_rows(folder / "general.jsonl", chats(2, task="style", held_out=True))
    document: dict[str, Any] = {
        "name": "tiny",
        "base": str(BASE),
        "method": method,
        "data": {"train": "train.jsonl", "validation": "validation.jsonl", "general": "general.jsonl"},
        "adapter": {"rank": 4, "targets": ["q_proj", "v_proj", "down_proj"]},
        "schedule": {"steps": 6, "batch": 2, "rate": 0.002, "warmup": 1},
        "compute": {"precision": "float32", "threads": 1},
        "watch": {"every": 2},
    }
    for section, keys in changes.items():
        document[section] = {**document.get(section, {}), **keys} if isinstance(keys, dict) else keys
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def begun(path: Path) -> tuple[Path, TrainingRecipe, RunRecord]:
    """A run that has begun: its folder, its recipe, its record."""
    recipe = load_recipe(path)
    _, record = open_run(run_folder(recipe), wanted_record(recipe, "patchbay tune run recipe.yaml"))
    return run_folder(recipe), recipe, record
