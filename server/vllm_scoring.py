"""The scoring of tokens by vLLM: log-probabilities of a prompt, and texts as it makes them of messages."""

import copy
import uuid
from collections.abc import Callable, Coroutine, Sequence
from functools import cached_property
from typing import Any

from jinja2 import TemplateError
from vllm.exceptions import VLLMError
from vllm.inputs import TokensPrompt
from vllm.lora.request import LoRARequest
from vllm.renderers.chat_utils import load_chat_template
from vllm.sampling_params import RequestOutputKind, SamplingParams
from vllm.v1.engine.exceptions import EngineDeadError

from patchbay.adapters.parity.digests import vocabulary_digest
from patchbay.adapters.parity.file import ParityRow
from patchbay.adapters.parity.hypotheses import Rendered
from patchbay.core.errors import AdapterRejected, Unavailable
from patchbay.server.engine import EngineLora
from patchbay.server.vllm_llm import ContainedLLM

# A template is a program: it raises its own errors at messages that it does not take, or Python's.
_TEMPLATE_FAULTS = (TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
# A probability of 0 has no logarithm.
_LEAST = -1000.0
Ask = Callable[[Coroutine[Any, Any, Any]], Coroutine[Any, Any, Any]]


class VllmScorer:
    """The implementation of `patchbay.server.engine.Scorer` over vLLM.

    `ask`: awaits a call while the engine lives; `template`: a chat template's file, in place of the
    tokenizer's own.
    """

    def __init__(self, llm: ContainedLLM, ask: Ask, template: str | None) -> None:
        self._llm = llm
        self._ask = ask
        self._template_file = template

    @property
    def max_length(self) -> int:
        # vLLM takes no prompt that leaves no room for an answer.
        return int(self._llm.model_config.max_model_len) - 1

    def vocabulary(self) -> str:
        return self._vocabulary

    def render(self, row: ParityRow) -> Rendered | None:
        again = self._tokens(row.prompt)
        if not row.messages:
            return Rendered(row.prompt, again, again)
        try:
            prompt: str = self._tokenizer.apply_chat_template(
                [dict(message) for message in row.messages],
                chat_template=self._template,
                tokenize=False,
                add_generation_prompt=True,
            )
        except _TEMPLATE_FAULTS:
            return None
        return Rendered(prompt, self._tokens(prompt), again)

    async def logprobs(self, ids: Sequence[int], lora: EngineLora | None) -> tuple[float, ...]:
        rows = int(self._llm.model_config.get_vocab_size())
        # vLLM checks that at its endpoints alone; here such a token would end the engine.
        if not all(0 <= token < rows for token in ids) or not 2 <= len(ids) <= self.max_length:
            raise AdapterRejected(
                f"A parity row has a token that the base model's {rows} embeddings have not, or too many of them.",
                param="model",
            )
        try:
            places: list[Any] = await self._ask(self._places(ids, lora))
        except EngineDeadError as error:
            raise Unavailable(f"The engine died: {error}", retry_after_s=5) from error
        except VLLMError as error:
            raise AdapterRejected(f"A parity row cannot be scored: {error}", param="model") from error
        # The first place has no probability: nothing is before it.
        rest = zip(ids[1:], places[1:], strict=True)
        return tuple(max(float(place[token].logprob), _LEAST) for token, place in rest)

    async def _places(self, ids: Sequence[int], lora: EngineLora | None) -> list[Any]:
        request = LoRARequest(lora.name, lora.lora_id, str(lora.folder)) if lora is not None else None
        params = SamplingParams(
            max_tokens=1,
            temperature=0,
            prompt_logprobs=0,
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        prompt = TokensPrompt(prompt_token_ids=list(ids))
        found: list[Any] = []
        async for output in self._llm.generate(prompt, params, f"parity-{uuid.uuid4().hex}", lora_request=request):
            found = output.prompt_logprobs or found
        return found

    @cached_property
    def _tokenizer(self) -> Any:
        # A copy of its own: a fast tokenizer is not to be used by two threads, and vLLM uses its own all the time.
        return copy.deepcopy(self._llm.get_tokenizer())

    @cached_property
    def _template(self) -> str | None:
        text: str | None = load_chat_template(self._template_file)
        return text

    @cached_property
    def _vocabulary(self) -> str:
        return vocabulary_digest(self._tokenizer.get_vocab())

    def _tokens(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer(text, add_special_tokens=False)["input_ids"])
