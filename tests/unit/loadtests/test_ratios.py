from loadtests.ratios.__main__ import as_markdown
from loadtests.ratios.asking import Load, Place
from loadtests.ratios.ways import RATIOS, Measured, Stack, steps, summed

SIDES = {side for ratio in RATIOS for side in (ratio.of, ratio.by)}


def repetition(**changed: float) -> Measured:
    return dict.fromkeys(SIDES, 10.0) | changed


def test_a_ratio_is_taken_within_a_repetition_and_then_the_median() -> None:
    repetitions = [repetition(cold=value) for value in (20.0, 90.0, 30.0)]
    cold = next(one for one in summed(repetitions) if "cold" in one.name)
    assert (cold.median, cold.least, cold.most, cold.of, cold.by) == (3, 2, 9, 30, 10)


def test_all_the_ratios_that_are_kept_are_there() -> None:
    told = " ".join(one.name for one in summed([repetition()]))
    for kept in ("LoRA on", "4 adapters over one", "working set", "cold over resident", "gap", "guards", "Zipf"):
        assert kept in told


def test_each_throughput_that_a_ratio_needs_is_measured() -> None:
    stack = Stack(Place("http://127.0.0.1:1"), Place("http://127.0.0.1:2"))
    needed = {side for ratio in RATIOS for side in (ratio.of, ratio.by) if ratio.unit == "tokens/s"}
    assert needed <= steps(stack, Load()).keys()


def test_the_table_for_the_page_has_a_row_for_each_ratio() -> None:
    lines = as_markdown(summed([repetition()])).splitlines()
    assert len(lines) == 2 + len(RATIOS)
    assert {line.count("|") for line in lines} == {6}
