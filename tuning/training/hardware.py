"""The devices that training runs on: known GPUs, what this machine has, and how fast it computes."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from patchbay.core.errors import ConfigError
from patchbay.core.nearest import nearest

_GIB: Final = 2**30
# The share of a GPU's peak that training with an adapter reaches, as a rule; much less for short rows.
_GPU_SHARE: Final = 0.35
_TRIALS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device. `memory`: in bytes; `flops`: operations a second that training reaches on it; `overhead`: bytes that
    the runtime takes before any model; `step`: seconds that a step takes beside its arithmetic."""

    name: str
    memory: int
    flops: float
    overhead: int
    step: float
    gpu: bool = True


def _gpu(name: str, gib: int, teraflops: float) -> Device:
    return Device(
        name=name, memory=gib * _GIB, flops=teraflops * 1e12 * _GPU_SHARE, overhead=int(1.2 * _GIB), step=0.03
    )


# Dense bfloat16 with float32 sums, from NVIDIA's data sheets.
GPUS: Final[Mapping[str, Device]] = MappingProxyType(
    {
        device.name: device
        for device in (
            _gpu("l4-24", 24, 121),
            _gpu("a10-24", 24, 125),
            _gpu("rtx3090-24", 24, 71),
            _gpu("rtx4090-24", 24, 165),
            _gpu("a100-40", 40, 312),
            _gpu("a100-80", 80, 312),
            _gpu("l40s-48", 48, 362),
            _gpu("h100-80", 80, 989),
            _gpu("h200-141", 141, 989),
            _gpu("b200-180", 180, 2250),
        )
    }
)


def known_gpu(name: str) -> Device:
    """Returns a known GPU by its name. Raises ConfigError with the nearest one."""
    if name in GPUS:
        return GPUS[name]
    near = nearest(name, list(GPUS))
    meant = f"Did you mean {near}?" if near else f"Known are {', '.join(GPUS)}."
    raise ConfigError(f"'{name}' is no GPU that is known here.", hint=meant)


def own_gpus() -> list[Device]:
    """Returns the GPUs of this machine, by what `nvidia-smi` says; none where it is not there."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    asked = [tool, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    told = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=30)
    return parse_gpus(told.stdout) if told.returncode == 0 else []


def parse_gpus(text: str) -> list[Device]:
    """Reads what `nvidia-smi` lists, name and MiB by line. A GPU that is not known is taken for as fast as an L4."""
    found = []
    for line in text.splitlines():
        name, _, memory = line.rpartition(",")
        if not memory.strip().isdigit():
            continue
        plain = re.sub(r"[^a-z0-9]", "", name.lower())
        alike = [device for device in GPUS.values() if device.name.partition("-")[0] in plain]
        # "l4" is in "l40s", too.
        model = max(alike, key=lambda device: len(device.name.partition("-")[0]), default=GPUS["l4-24"])
        made = Device(
            name=name.strip(),
            memory=int(memory) * 2**20,
            flops=model.flops,
            overhead=model.overhead,
            step=model.step,
        )
        found.append(made)
    return found


def own_cpu(threads: int) -> Device:
    """Measures this machine's processor: a tenth of a second of matrix products on all of its cores."""
    import psutil

    share = min(1.0, threads / max(1, len(os.sched_getaffinity(0))))
    return Device(
        name=f"CPU, {threads} threads",
        memory=int(psutil.virtual_memory().available),
        flops=_matrix_flops() * share * 0.5,
        overhead=int(0.85 * _GIB),
        step=0.12,
        gpu=False,
    )


def _matrix_flops() -> float:
    """Returns the operations a second of products in float32, of matrices as layers of a small model have."""
    import numpy as np

    one = np.ones((512, 768), dtype=np.float32)
    other = np.ones((768, 768), dtype=np.float32)
    best = float("inf")
    for _ in range(_TRIALS):
        began = time.perf_counter()
        one @ other
        best = min(best, time.perf_counter() - began)
    return 2 * 512 * 768 * 768 / best
