"""What is scored is checked before vLLM sees it, whose front end would pass on what ends the engine."""

from types import SimpleNamespace
from typing import Any

import pytest
from vllm.exceptions import VLLMValidationError
from vllm.v1.engine.exceptions import EngineDeadError

from patchbay.core.errors import AdapterRejected, PatchbayError, Unavailable
from patchbay.server.vllm_scoring import VllmScorer

pytestmark = pytest.mark.anyio


class Llm:
    """vLLM's front end, which answers every place with the same log-probability, or fails."""

    model_config = SimpleNamespace(max_model_len=8, get_vocab_size=lambda: 10)

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.asked: list[Any] = []

    async def generate(self, prompt: Any, *_rest: Any, **_options: Any) -> Any:
        self.asked.append(prompt["prompt_token_ids"])
        if self.error is not None:
            raise self.error
        places = [{token: SimpleNamespace(logprob=float("-inf"))} for token in prompt["prompt_token_ids"]]
        yield SimpleNamespace(prompt_logprobs=[None, *places[1:]])


async def plainly(call: Any) -> Any:
    return await call


@pytest.mark.parametrize("ids", [[1, 10], [-1, 1], [1], [], [1] * 8])
async def test_a_row_that_would_end_the_engine_reaches_it(ids: list[int]) -> None:
    llm: Any = Llm()
    with pytest.raises(AdapterRejected, match="parity row"):
        await VllmScorer(llm, plainly, None).logprobs(ids, None)
    assert llm.asked == []


async def test_a_probability_of_zero_is_no_finite_number() -> None:
    llm: Any = Llm()
    assert await VllmScorer(llm, plainly, None).logprobs([1, 2, 3], None) == (-1000.0, -1000.0)


@pytest.mark.parametrize(
    ("error", "kind"), [(EngineDeadError(), Unavailable), (VLLMValidationError("no"), AdapterRejected)]
)
async def test_an_error_of_vllms_gets_out_as_it_is(error: Exception, kind: type[PatchbayError]) -> None:
    llm: Any = Llm(error)
    with pytest.raises(kind):
        await VllmScorer(llm, plainly, None).logprobs([1, 2], None)
