"""The assignment of CPU cores to replicas.

Replicas that share cores slow each other down many times over, and vLLM left alone puts all of them on the same ones.
"""

import os
from collections.abc import Sequence
from itertools import pairwise


def available_cores() -> list[int]:
    """Lists the cores that this process may use, in order."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def partition_cores(cores: Sequence[int], replicas: int) -> list[str]:
    """Assigns a set of cores, such as `0-3`, to each replica: all are used, none twice, sizes differ by at most one.

    With at least as many replicas as cores, each gets a single core, in turns.
    """
    if replicas >= len(cores):
        return [str(cores[index % len(cores)]) for index in range(replicas)]
    bounds = [len(cores) * index // replicas for index in range(replicas + 1)]
    return [_ranges(cores[start:end]) for start, end in pairwise(bounds)]


def _ranges(cores: Sequence[int]) -> str:
    """Formats sorted `cores` as a list of ranges: `0-2,5`."""
    runs: list[list[int]] = []
    for core in cores:
        if runs and core == runs[-1][-1] + 1:
            runs[-1].append(core)
        else:
            runs.append([core])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
