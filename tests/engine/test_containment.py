"""What one request or adapter does, in the engine itself: nobody else's answer changes, and the engine lives.

The engine runs in this process, without a router, so that an adapter can be given to it that the gate would refuse.
"""

import asyncio
import json
import math
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
import torch
from safetensors.torch import load_file, save_file

from patchbay.adapters.checks.check import AdapterSummary
from patchbay.launch.demo import demo_sections
from patchbay.server.app import ServerApp
from patchbay.server.config import ServerConfig
from patchbay.server.environment import set_environment
from patchbay.server.metrics import ServerMetrics
from patchbay.server.replica import ServingReplica
from patchbay.server.staging import StagedAdapter
from patchbay.tuning.demo.build import DemoModels

pytestmark = pytest.mark.engine
T = TypeVar("T")
SENTENCES = ["hello world", "Write JSON for: Anna Berg, 31, Oslo.", "List all users who are older than 30. " * 18]


class Served:
    """A replica over the real engine, asked without a network."""

    def __init__(self, models: DemoModels, folder: Path) -> None:
        self.models = models
        self.runner = asyncio.Runner()
        sections = demo_sections(models)
        engine = sections["engine"]
        engine["arguments"] = engine["arguments"] | {"max_num_batched_tokens": 128, "enable_prefix_caching": True}
        config = {"base": sections["base"], "engine": engine, "cache_dir": folder, "lora": {"max_loras": 4}}
        self.config = ServerConfig.model_validate(config)
        self.replica = ServingReplica(self.config, ServerMetrics())
        self.runner.run(self._open())
        self.app = ServerApp(self.replica)

    async def _open(self) -> None:
        from patchbay.server.vllm_engine import VllmEngine

        await self.replica.open(await VllmEngine.start(self.config))

    def declare(self, name: str, folder: Path) -> None:
        """Makes an adapter known that nothing has looked at."""
        digest = name.encode().hex().ljust(64, "0")
        self.replica.slots.declare(name, 1, StagedAdapter(folder, digest, AdapterSummary(8, 16.0, frozenset())))

    def ask(self, *requests: tuple[str, dict[str, Any]]) -> list[httpx.Response]:
        """The answers to requests that are made at one time."""

        async def all_of() -> list[httpx.Response]:
            # An engine that has died never answers.
            async with (
                asyncio.timeout(120),
                httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://x", timeout=120) as to,
            ):
                return list(await asyncio.gather(*(to.post(path, json=body) for path, body in requests)))

        return self.run(all_of())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)


@pytest.fixture(scope="module")
def served(demo_models: DemoModels, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("contained")
    config = ServerConfig.model_validate({"base": {"model": str(demo_models.base)}})
    set_environment(config, verbose=False)
    made = Served(demo_models, folder)
    try:
        for name in ("json", "sql"):
            made.declare(name, demo_models.adapters[name])
        yield made
    finally:
        made.run(made.replica.close())
        made.runner.close()


def echo(model: str, prompt: str | list[int], **more: Any) -> tuple[str, dict[str, Any]]:
    body = {"model": model, "prompt": prompt, "max_tokens": 1, "echo": True, "logprobs": 1, "temperature": 0}
    return "/v1/completions", body | more


def told(answer: httpx.Response, count: int) -> list[float]:
    assert answer.status_code == 200, answer.text
    return [float(one) for one in answer.json()["choices"][0]["logprobs"]["token_logprobs"][1:count]]


class Oracle:
    """transformers and PEFT on the same weights, one prompt at a time."""

    def __init__(self, models: DemoModels) -> None:
        from peft import PeftModel
        from tokenizers import Tokenizer
        from transformers import AutoModelForCausalLM, CompressedTensorsConfig

        # PEFT looks for a layer's weight, which a packed layer has not.
        unpacked = CompressedTensorsConfig(run_compressed=False)
        base = AutoModelForCausalLM.from_pretrained(models.base, dtype=torch.float32, quantization_config=unpacked)
        self.model = PeftModel.from_pretrained(base, models.adapters["json"], adapter_name="json")
        self.model.load_adapter(models.adapters["sql"], "sql")
        self.tokenizer = Tokenizer.from_file(str(models.base / "tokenizer.json"))

    @torch.inference_mode()
    def logprobs(self, model: str, ids: list[int]) -> list[float]:
        if model in ("json", "sql"):
            self.model.set_adapter(model)
            logits = self.model(torch.tensor([ids])).logits[0]
        else:
            with self.model.disable_adapter():
                logits = self.model(torch.tensor([ids])).logits[0]
        found = logits.log_softmax(-1)[:-1].gather(1, torch.tensor(ids[1:]).unsqueeze(1)).squeeze(1)
        return [float(one) for one in found]


@pytest.fixture(scope="module")
def oracle(demo_models: DemoModels) -> Oracle:
    return Oracle(demo_models)


# In nats, against float32, over 2 to 300 rows. Measured where the int4 kernel is vLLM's own, in bfloat16 (AVX-512 and
# AMX): 0.07 in the mean and 0.48 at the most; where weights are unpacked to float32 (AVX2): 0.03, and 0.23 at the most.
MEAN, LARGEST = 0.1, 0.7
# Another adapter's values are further off.
WRONG = 0.5


@pytest.mark.parametrize("rows", [2, 5, 64, 300])
def test_log_probabilities_of_prompts_are_those_of_their_own_adapter_alone_and_mixed(
    served: Served, oracle: Oracle, rows: int
) -> None:
    ids = oracle.tokenizer.encode(" ".join(SENTENCES * 4)).ids[:rows]
    names = ["json", served.config.base.served_name, "sql"]
    alone = [served.ask(echo(name, ids))[0] for name in names]
    # Sampled requests beside them, and each prompt a second time, so that there is a prefix to hit.
    mixed = served.ask(*(echo(name, ids) for name in names * 2), *(echo(name, ids, echo=False) for name in names))[:6]
    right = {name: oracle.logprobs(name, ids) for name in names}
    for name, answer in zip(names * 3, [*alone, *mixed], strict=True):
        off = {other: _off(told(answer, rows), right[other]) for other in names}
        assert sum(off[name]) / len(off[name]) < MEAN
        assert max(off[name]) < LARGEST
        if rows > 5:
            assert all(sum(off[other]) / len(off[other]) > WRONG for other in names if other != name)


def _off(found: list[float], right: list[float]) -> list[float]:
    return [abs(one - other) for one, other in zip(found, right, strict=True)]


def test_a_prompt_of_one_token_and_chat_have_log_probabilities_too(served: Served) -> None:
    one, chat = served.ask(
        echo("json", [5]),
        ("/v1/chat/completions", {
            "model": "sql", "max_tokens": 1, "prompt_logprobs": 1, "messages": [{"role": "user", "content": "hello"}],
        }),
    )  # fmt: skip
    assert told(one, 1) == []
    found = [next(iter(place.values()))["logprob"] for place in chat.json()["prompt_logprobs"][1:]]
    assert found
    assert all(math.isfinite(value) for value in found)


def overflowing(models: DemoModels, folder: Path) -> Path:
    """The `json` adapter with a product that overflows: finite weights alone."""
    folder.mkdir()
    (folder / "adapter_config.json").write_bytes((models.adapters["json"] / "adapter_config.json").read_bytes())
    weights = load_file(models.adapters["json"] / "adapter_model.safetensors")
    huge = {name: tensor.float().sign() * 1e37 for name, tensor in weights.items()}
    save_file(huge, folder / "adapter_model.safetensors")
    return folder


def greedy(model: str, **more: Any) -> tuple[str, dict[str, Any]]:
    body = {"model": model, "prompt": SENTENCES[2], "max_tokens": 24, "temperature": 0, "logprobs": 1}
    return "/v1/completions", body | more


def text(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    found: str = answer.json()["choices"][0]["text"]
    return found


@pytest.mark.parametrize("stream", [False, True])
def test_an_adapter_that_overflows_fails_alone_is_quarantined_and_leaves_nothing_behind(
    served: Served, tmp_path: Path, stream: bool
) -> None:
    name, base = f"hostile-{stream}", served.config.base.served_name
    served.declare(name, overflowing(served.models, tmp_path / "hostile"))
    right = [text(served.ask(greedy(one))[0]) for one in (base, "sql")]
    found = served.ask(greedy(name, stream=stream), greedy(base), greedy("sql"))
    if stream:
        first = json.loads(found[0].text.partition("\n\n")[0].removeprefix("data: "))
        assert first["error"]["code"] == "not_finite"
    else:
        assert found[0].status_code == 500
        assert found[0].json()["error"]["code"] == "not_finite"
    assert [text(one) for one in found[1:]] == right
    again = served.ask(greedy(name), greedy(base), greedy("sql"))
    assert again[0].status_code == 422
    assert "not finite" in again[0].json()["error"]["message"]
    assert [text(one) for one in again[1:]] == right
    state = next(one for one in served.run(served.replica.status()).revisions if one.adapter == name)
    assert (state.state, state.tier) == ("failed", "disk")
    assert "not finite" in (state.reason or "")


def test_sampling_that_makes_infinities_of_good_logits_quarantines_nobody(served: Served) -> None:
    served.ask(greedy("sql", repetition_penalty=1e-39, logprobs=None))
    assert served.ask(greedy("sql"))[0].status_code == 200
