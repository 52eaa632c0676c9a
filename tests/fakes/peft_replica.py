"""A replica whose engine is transformers and PEFT, in another precision than the trainer's: kernels that round."""

import asyncio
import copy
import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model

from patchbay.adapters.checks.base import BaseLayout
from patchbay.adapters.checks.folder import DEFAULT_LIMITS
from patchbay.adapters.parity.digests import vocabulary_digest
from patchbay.adapters.parity.file import ParityRow
from patchbay.adapters.parity.hypotheses import Rendered
from patchbay.core.errors import AdapterRejected
from patchbay.server.engine import EngineLora
from patchbay.server.metrics import ServerMetrics
from patchbay.server.parity import ParityCheck, ParityMode, ParityRules
from patchbay.tuning.bases.loading import served_model, served_tokenizer
from patchbay.tuning.demo.corpus import task_examples
from patchbay.tuning.parity.rows import tokens_of
from patchbay.tuning.parity.scoring import logprobs
from patchbay.tuning.parity.write import write_parity
from tests.fakes.artifacts import staged

BASE = Path(__file__).parents[2] / "tuning" / "demo" / "artifacts" / "base"
ADAPTERS = BASE.parent / "adapters"
LINEARS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def demo_rows(task: str, count: int) -> list[Mapping[str, Any]]:
    """Conversations of one of the demo's tasks, as rows of training."""
    rows: list[Mapping[str, Any]] = []
    for example in task_examples(task, 5, count, held_out=True):
        messages = [dataclasses.asdict(message) for message in example.messages]
        rows.append({"messages": [*messages, {"role": "assistant", "content": example.answer}]})
    return rows


class PeftScorer:
    """`server.engine.Scorer` over a transformers `model`, which is left as it was. `factor`: what the engine multiplies
    an adapter's scale by, against its settings."""

    max_length = 2047

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.factor = 1.0
        self._plain: dict[tuple[int, ...], tuple[float, ...]] = {}
        self._adapted: tuple[Path, Any] | None = None

    def vocabulary(self) -> str:
        return vocabulary_digest(self.tokenizer.get_vocab())

    def render(self, row: ParityRow) -> Rendered | None:
        messages = [dict(message) for message in row.messages]
        prompt = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        return Rendered(prompt, tokens_of(self.tokenizer, prompt), tokens_of(self.tokenizer, row.prompt))

    async def logprobs(self, ids: Sequence[int], lora: EngineLora | None) -> tuple[float, ...]:
        if lora is not None:
            return logprobs(self._with(lora.folder), ids)
        if tuple(ids) not in self._plain:
            self._unload()
            self._plain[tuple(ids)] = logprobs(self.model, ids)
        return self._plain[tuple(ids)]

    def copy(self) -> "PeftScorer":
        """Another engine with the same base, without any adapter."""
        self._unload()
        return PeftScorer(copy.deepcopy(self.model), self.tokenizer)

    def _with(self, folder: Path) -> Any:
        if self._adapted is None or self._adapted[0] != folder:
            self._unload()
            adapted = PeftModel.from_pretrained(self.model, str(folder), autocast_adapter_dtype=False).eval()
            for module in adapted.modules():
                if isinstance(scaling := getattr(module, "scaling", None), dict):
                    scaling.update({name: scale * self.factor for name, scale in scaling.items()})
            self._adapted = folder, adapted
        return self._adapted[1]

    def _unload(self) -> None:
        if self._adapted is not None:
            self.model = self._adapted[1].unload()
            self._adapted = None


class Workshop:
    """A trainer in float32 and a base that serves in bfloat16, of the same int4 weights."""

    def __init__(self) -> None:
        torch.set_num_threads(1)
        self.tokenizer = served_tokenizer(BASE)
        self.trainer = served_model(BASE).eval()
        self.serving = served_model(BASE, dtype=torch.bfloat16).eval()
        self.layout = BaseLayout.of_folder(BASE)
        self.scorer = PeftScorer(self.serving, self.tokenizer)

    def train(self, folder: Path, seed: int, **settings: Any) -> Path:
        """Saves an adapter of random weights, the size of whose effect is random too."""
        torch.manual_seed(seed)
        config = LoraConfig(task_type="CAUSAL_LM", **settings)
        model = get_peft_model(self.trainer, config)
        size = 0.01 * (1 + seed % 7)
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=size)
        model.save_pretrained(str(folder), save_embedding_layers=False)
        model.unload()
        return folder

    def write(self, folder: Path, rows: Sequence[Mapping[str, Any]], **options: Any) -> None:
        """Writes the parity file as the trainer has it."""
        tokenizer = options.pop("tokenizer", self.tokenizer)
        base = options.pop("base", self.trainer)
        model = PeftModel.from_pretrained(base, str(folder)).eval()
        try:
            write_parity(folder, model=model, tokenizer=tokenizer, rows=rows, **options)
        finally:
            model.unload()

    def prove(self, folder: Path, *, scorer: PeftScorer | None = None, mode: ParityMode = "refuse") -> str | None:
        """Proves the adapter in `folder` as a replica does. Raises AdapterRejected."""
        rules = ParityRules(mode, DEFAULT_LIMITS, self.layout)
        check = ParityCheck(scorer or self.scorer, rules, ServerMetrics())
        return asyncio.run(check.prove(EngineLora("sql@1-0123456789ab", 1, folder), staged(folder)))

    def refusal(self, folder: Path, *, scorer: PeftScorer | None = None) -> str:
        """Returns the words by which the adapter is refused, "" where it is not."""
        try:
            self.prove(folder, scorer=scorer)
        except AdapterRejected as error:
            return error.message
        return ""


def change_config(folder: Path, **changes: Any) -> None:
    """Changes an adapter's settings behind its trainer's back."""
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def parameters_of_blocks(model: Any) -> Iterator[Any]:
    """The weights of a model's linear layers."""
    for name, parameter in model.named_parameters():
        if name.endswith("_proj.weight"):
            yield parameter
