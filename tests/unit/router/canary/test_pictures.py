"""The plot of a canary: places in pixels, labels, and three pictures that were kept."""

import math
from pathlib import Path

import pytest

from patchbay.router.canary.evidence_course import Point
from patchbay.router.canary.plot import HEIGHT, WIDTH, Curve, Scale, curves, plot, spread, ticks

HERE = Path(__file__).parent


def point(requests: int, worse: dict[str, float], no_worse: dict[str, float], weight: float = 10.0) -> Point:
    return Point(requests=requests, weight=weight, worse=worse, no_worse=no_worse, bad={})


LINEAR = [
    point(20, {"errors": 0.2, "votes": 0.0, "empty": 0.0}, {"errors": 0.1, "votes": 0.3, "empty": 0.3}),
    point(50, {"errors": 0.7, "votes": 0.0, "empty": 0.1}, {"errors": 0.0, "votes": 0.6, "empty": 0.6}),
    point(120, {"errors": 1.1, "votes": 0.0, "empty": 0.0}, {"errors": 0.0, "votes": 0.9, "empty": 0.9}, 50.0),
]
LOGARITHMIC = [
    point(1000 * number, {"errors": 0.01 * number, "a<b": 0.0}, {"errors": float(2**number), "wins": 0.5}, 1.0 + number)
    for number in range(1, 9)
]


@pytest.mark.parametrize(("name", "points"), [("linear", LINEAR), ("logarithmic", LOGARITHMIC), ("empty", [])])
def test_a_picture_is_as_it_was_kept(name: str, points: list[Point]) -> None:
    """To keep another one: write what `plot` returns into the file, and look at it."""
    assert plot("Canary 7: sql@4 & more", points) == (HERE / f"plot_{name}.svg").read_text(encoding="utf-8")


def test_the_picture_has_its_size() -> None:
    assert (WIDTH, HEIGHT) == (900, 620)


def test_a_panel_lies_between_its_edges() -> None:
    scale = Scale(200, 2.0, 74)
    assert [scale.x(requests) for requests in (0, 100, 200)] == [92, 391, 690]
    assert [scale.y(share) for share in (0.0, 1.0, 2.0)] == [264, 169, 74]
    assert scale.marks == [0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0]
    assert not scale.logarithmic


def test_much_evidence_is_drawn_by_factors_from_a_tenth_on() -> None:
    scale = Scale(200, 100.0, 0)
    assert scale.logarithmic
    assert [round(scale.y(share), 6) for share in (0.0, 0.1, 1.0, 10.0, 100.0)] == pytest.approx(
        [190, 190, 190 * 2 / 3, 190 / 3, 0], abs=1e-5
    )
    assert scale.marks == pytest.approx([0.1, 1, 10, 100])
    assert (Scale(1, 3.0, 0).logarithmic, Scale(1, math.nextafter(3.0, 4), 0).logarithmic) == (False, True)


@pytest.mark.parametrize(
    ("most", "found"),
    [
        (0, [0]),
        (1, [0, 1]),
        (5, [0, 1, 2, 3, 4, 5]),
        (7, [0, 2, 4, 6]),
        (10, [0, 2, 4, 6, 8, 10]),
        (29, [0, 5, 10, 15, 20, 25]),
        (31, [0, 10, 20, 30]),
        (99, [0, 20, 40, 60, 80]),
        (100, [0, 20, 40, 60, 80, 100]),
        (1234, [0, 500, 1000]),
    ],
)
def test_an_axis_has_round_numbers(most: int, found: list[int]) -> None:
    assert ticks(most) == found


@pytest.mark.parametrize(
    ("wanted", "placed"),
    [
        ([], []),
        ([(50.0, 1)], [50.0]),
        ([(-5.0, 1)], [0.0]),
        ([(99.0, 1)], [85.0]),
        ([(50.0, 1), (50.0, 1)], [50.0, 65.0]),
        ([(50.0, 2), (50.0, 1)], [50.0, 80.0]),
        ([(90.0, 1), (95.0, 2)], [55.0, 70.0]),
        ([(40.0, 1), (95.0, 1)], [40.0, 85.0]),
        ([(0.0, 4), (0.0, 4)], [0.0, 40.0]),
    ],
)
def test_labels_move_apart_and_stay_within_the_panel(wanted: list[tuple[float, int]], placed: list[float]) -> None:
    assert spread(wanted, 0.0, 100.0) == placed


def test_a_label_has_names_and_the_last_value_in_lines_of_28_characters() -> None:
    assert Curve(("errors",), ((0, 0.0), (9, 0.456))).label == ("errors 46%",)
    names = ("errors", "empty", "guards", "schema", "refusals")
    assert Curve(names, ((9, 1.5),)).label == ("errors, empty, guards,", "schema, refusals 150%")
    exact = Curve(("a" * 11, "b" * 15), ((9, 1.0),)).label
    assert exact == ("a" * 11 + ",", "b" * 15 + " 100%")


def test_each_metric_has_a_colour_and_dashes_of_its_own_and_strangers_have_the_first() -> None:
    looks = [Curve((name,), ((0, 0.0),)).look for name in ("errors", "empty", "wins", "unknown")]
    assert looks == [("#D55E00", ""), ("#0072B2", "8 3"), ("#808080", "8 3"), ("#D55E00", "")]


def test_curves_begin_at_nothing_and_the_highest_at_its_end_comes_first() -> None:
    against = curves(LINEAR, against=True)
    assert [curve.names for curve in against] == [("errors",), ("empty",), ("votes",)]
    assert against[0].points == ((0, 0.0), (20, 0.2), (50, 0.7), (120, 1.1))
    shared = curves(LINEAR, against=False)
    assert [curve.names for curve in shared] == [("empty", "votes"), ("errors",)]


def test_a_long_course_is_thinned_and_keeps_its_ends_and_its_highest() -> None:
    points = [point(number, {"errors": 9.0 if number == 777 else 0.1}, {}) for number in range(1, 1400)]
    [curve] = curves(points, against=True)
    assert len(curve.points) <= 502
    assert (curve.points[0], curve.points[-1]) == ((0, 0.0), (1399, 0.1))
    assert (777, 9.0) in curve.points
    assert len(curves(points[:498], against=True)[0].points) == 499
