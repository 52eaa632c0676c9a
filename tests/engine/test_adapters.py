"""Adapters in a running engine: loaded, evicted, removed and refused, and the engine lives through all of it."""

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from openai import OpenAI
from safetensors.torch import load_file, save_file

from patchbay.core.errors import AdapterError, Conflict
from tests.engine.conftest import Stack
from tests.engine.test_endpoints import REQUEST, TICKET, answer, user

pytestmark = pytest.mark.engine
Tensors = dict[str, torch.Tensor]


def variant(stack: Stack, folder: Path, change: Callable[[Tensors], Tensors], **config: Any) -> Path:
    """A copy of the `sql` adapter with its tensors and configuration changed."""
    shutil.copytree(stack.models.adapters["sql"], folder)
    weights = folder / "adapter_model.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in change(load_file(weights)).items()}, weights)
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | config))
    return folder


def scaled_by(factor: float) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {name: tensor * factor for name, tensor in tensors.items()}


def unchanged(tensors: Tensors) -> Tensors:
    return tensors


def revision(stack: Stack, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in stack.status()["revisions"] if one["adapter"] == name)
    return found


def until(condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come to be in time"
        time.sleep(0.02)


def has(stack: Stack, name: str) -> bool:
    return name in {one["adapter"] for one in stack.status()["revisions"]}


def test_a_new_adapter_serves_and_when_withdrawn_the_engine_itself_no_longer_has_it(
    stack: Stack, client: OpenAI, tmp_path: Path
) -> None:
    before = stack.status()["slots"]["cpu_used"]
    stack.serve("new", variant(stack, tmp_path / "new", scaled_by(0.5)))
    assert revision(stack, "new")["tier"] == "slot"
    assert "new" in {model.id for model in client.models.list()}
    assert answer(client, "new", REQUEST)
    stack.withdraw("new")
    until(lambda: not has(stack, "new"), timeout_s=20)
    assert stack.status()["slots"]["cpu_used"] == before
    assert "new" not in {model.id for model in client.models.list()}


def test_the_least_recently_used_are_evicted_and_come_back_with_the_same_answers(
    stack: Stack, client: OpenAI, tmp_path: Path
) -> None:
    alone = {name: answer(client, name) for name in ("json", "label")}
    names = [f"extra{index}" for index in range(6)]
    for index, name in enumerate(names):
        folder = variant(stack, tmp_path / name, scaled_by(index + 1))
        stack.serve(name, folder)
        shutil.rmtree(folder)
    status = stack.status()
    assert status["slots"]["cpu_used"] == status["slots"]["cpu"] == 7
    assert {revision(stack, name)["tier"] for name in ("json", "sql", "style")} == {"disk"}
    assert {name: answer(client, name) for name in alone} == alone
    assert answer(client, names[0], REQUEST)
    stack.withdraw(*names)
    until(lambda: not any(has(stack, name) for name in names), timeout_s=20)


def rename_modules(tensors: Tensors) -> Tensors:
    return {name.replace("layers.", "layers.9"): tensor for name, tensor in tensors.items()}


def wrap_modules(tensors: Tensors) -> Tensors:
    """Names as a multimodal base has them, which only the engine can tell that this one has not."""
    return {name.replace("model.layers.", "model.language_model.layers."): t for name, t in tensors.items()}


def widen(tensors: Tensors) -> Tensors:
    return {name: torch.cat([t, t], dim=1) if "lora_A" in name else t for name, t in tensors.items()}


def with_linear_embedding(tensors: Tensors) -> Tensors:
    """As if the embedding were a linear layer: it fits by its shape, and the engine fails half way through loading."""
    name = "base_model.model.model.embed_tokens"
    return tensors | {f"{name}.lora_A.weight": torch.ones(8, 256), f"{name}.lora_B.weight": torch.ones(1536, 8)}


MISFITS: dict[str, tuple[Callable[[Tensors], Tensors], dict[str, Any], str]] = {
    "no module matches": (rename_modules, {}, "a module that the base model has not"),
    "no module matches in the engine": (wrap_modules, {}, "modules that the base model has not"),
    "a load that fails half way": (with_linear_embedding, {}, "the engine cannot load"),
    "wrong shape": (widen, {}, "expected [8, 512], since the base model's"),
    "rank too high": (unchanged, {"r": 64}, "rank is 64"),
    "dora": (unchanged, {"use_dora": True}, "dora"),
}


@contextmanager
def asked_all_the_time(stack: Stack) -> Iterator[None]:
    """The block, while somebody else polls the replica's state: some polls fall in the middle of a load."""
    over = threading.Event()

    def poll() -> None:
        while not over.wait(0.005):
            stack.status()

    asking = threading.Thread(target=poll)
    asking.start()
    try:
        yield
    finally:
        over.set()
        asking.join()


@pytest.mark.parametrize("kind", MISFITS)
def test_an_adapter_that_does_not_fit_is_refused_with_the_reason_and_never_the_engines_end(
    stack: Stack, client: OpenAI, tmp_path: Path, kind: str
) -> None:
    change, config, says = MISFITS[kind]
    answer(client, "sql")
    before = stack.status()["slots"]["cpu_used"]
    with asked_all_the_time(stack), pytest.raises((AdapterError, Conflict)) as refused:
        stack.serve("misfit", variant(stack, tmp_path / "misfit", change, **config))
    assert says in str(refused.value).lower()
    after = stack.status()["slots"]["cpu_used"]
    answer(client, "sql")
    settled = stack.status()["slots"]["cpu_used"]
    assert settled <= before, "a leak: the failed load still holds a place after a step of the engine"
    assert after <= before, "the status lags: it told of a place that the engine had given up"
    assert "misfit" not in {model.id for model in client.models.list()}
    assert answer(client, "sql", REQUEST)


def test_a_client_that_goes_away_frees_its_request_in_the_engine(stack: Stack, client: OpenAI) -> None:
    stream = client.chat.completions.create(
        model="style",
        messages=user(TICKET),
        max_tokens=1500,
        # One alone would be over before its state has been asked for on a busy machine.
        n=24,
        stream=True,
        extra_body={"ignore_eos": True, "min_tokens": 1500},
    )
    next(iter(stream))
    until(lambda: revision(stack, "style")["references"] == 1)
    stream.close()
    until(lambda: stack.status()["requests"]["running"] == 0, timeout_s=2)
    until(lambda: revision(stack, "style")["references"] == 0, timeout_s=2)


def test_removal_waits_for_the_stream_that_uses_it(stack: Stack, client: OpenAI, tmp_path: Path) -> None:
    stack.serve("leaving", variant(stack, tmp_path / "leaving", unchanged))
    stream = client.chat.completions.create(
        model="leaving", messages=user(REQUEST), max_tokens=1500, stream=True, extra_body={"ignore_eos": True}
    )
    chunks = iter(stream)
    next(chunks)
    stack.withdraw("leaving")
    rest = list(chunks)
    assert len(rest) > 200
    assert rest[-1].choices[0].finish_reason == "length"
    until(lambda: not has(stack, "leaving"), timeout_s=20)


def test_adapters_that_come_and_go_do_not_disturb_a_stream_of_another(
    stack: Stack, client: OpenAI, tmp_path: Path
) -> None:
    options: dict[str, Any] = {
        "model": "style", "messages": user(TICKET), "max_tokens": 400, "temperature": 0, "stream": True,
        "extra_body": {"ignore_eos": True},
    }  # fmt: skip

    def text(chunks: Any) -> str:
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)

    undisturbed = text(client.chat.completions.create(**options))
    stream = iter(client.chat.completions.create(**options))
    head = [next(stream), next(stream)]
    for number in range(1, 5):
        stack.serve("other", variant(stack, tmp_path / f"other-{number}", scaled_by(number)))
    assert text([*head, *stream]) == undisturbed
    stack.withdraw("other")
