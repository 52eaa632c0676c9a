from hypothesis import given, settings
from hypothesis import strategies as st

from patchbay.launch.cores import available_cores, partition_cores

_cores = st.lists(st.integers(0, 300), min_size=1, max_size=64, unique=True).map(sorted)


def _spelled(text: str) -> list[int]:
    cores: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        cores += range(int(first), int(last or first) + 1)
    return cores


@settings(deadline=None)
@given(_cores, st.integers(1, 64))
def test_every_core_is_used_and_none_is_shared_while_there_are_enough(cores: list[int], replicas: int) -> None:
    parts = [_spelled(text) for text in partition_cores(cores, replicas)]
    assert len(parts) == replicas
    assert {core for part in parts for core in part} == set(cores[:replicas] if replicas > len(cores) else cores)
    if replicas <= len(cores):
        assert sorted(core for part in parts for core in part) == cores
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


@settings(deadline=None)
@given(_cores, st.integers(1, 200))
def test_with_too_few_cores_each_is_shared_as_evenly_as_can_be(cores: list[int], more: int) -> None:
    parts = partition_cores(cores, len(cores) + more)
    uses = [parts.count(str(core)) for core in cores]
    assert sum(uses) == len(parts)
    assert max(uses) - min(uses) <= 1


def test_one_replica_gets_all() -> None:
    assert partition_cores([0, 1, 2, 5], 1) == ["0-2,5"]
    assert partition_cores([0, 1], 2) == ["0", "1"]


def test_this_machine_has_cores() -> None:
    assert available_cores()
