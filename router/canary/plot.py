"""The plot of a canary's evidence, as an SVG: evidence against it above, evidence for it below. Pure.

Each metric has a colour and dashes of its own, and its name beside the end of its line. Metrics whose lines are the
same share one, and those that are at zero throughout are named below the axis.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from patchbay.router.canary.evidence_course import Point
from patchbay.router.canary.plan import METRICS

WIDTH, HEIGHT = 900, 620
_LEFT, _RIGHT, _TOP, _PANEL, _BETWEEN = 92, 690, 74, 190, 100
_LINE = 15
_LABEL_CHARS = 28
_MOST_POINTS = 500
# Beyond this share of what decides a panel is logarithmic, from a tenth on: evidence for a good canary goes on growing.
_LINEAR_SHARE = 3.0
_LEAST_SHARE = 0.1
_SHADES = ("#D55E00", "#0072B2", "#B0338A", "#00815C", "#7A5C00", "#6A3D9A", "#2AA5C9", "#1B1B1B", "#E08E00", "#808080")
_DASHES = ("", "8 3", "2 3", "9 3 2 3")
_NAMES = (*METRICS, "wins")
_GREY = "#555"
_STYLES: Mapping[str, str] = {
    "anchor": "text-anchor",
    "colour": "fill",
    "size": "font-size",
    "weight": "font-weight",
}
_REQUESTS = "requests that the canary has answered"


@dataclass(frozen=True, slots=True)
class Curve:
    """A line of one metric, or of several whose lines are the same. `points`: pairs of requests and share."""

    names: tuple[str, ...]
    points: tuple[tuple[int, float], ...]

    @property
    def label(self) -> tuple[str, ...]:
        """Its names and last value, split into lines."""
        words, lines = [*(f"{name}," for name in self.names[:-1]), f"{self.names[-1]} {self.points[-1][1]:.0%}"], [""]
        for word in words:
            if lines[-1] and len(lines[-1]) + 1 + len(word) > _LABEL_CHARS:
                lines.append("")
            lines[-1] = f"{lines[-1]} {word}".strip()
        return tuple(lines)

    @property
    def look(self) -> tuple[str, str]:
        """Its colour and its dashes."""
        place = _NAMES.index(self.names[0]) if self.names[0] in _NAMES else 0
        return _SHADES[place % len(_SHADES)], _DASHES[place % len(_DASHES)]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlotPanel:
    """One of the two panels.

    `top`: its upper end, in pixels; `decides`: what happens at 100%; `against`: whether it shows the evidence against
    the canary, or for it.
    """

    top: int
    name: str
    decides: str
    against: bool


_AGAINST = PlotPanel(top=_TOP, name="Evidence that it is worse", decides="rolled back at 100%", against=True)
_FOR = PlotPanel(
    top=_TOP + _PANEL + _BETWEEN,
    name="Evidence that it is no worse",
    decides="promoted once all reach 100%",
    against=False,
)


@dataclass(frozen=True, slots=True)
class Scale:
    """The scale of a panel.

    `most`: the requests at its right end; `share`: the share of the deciding evidence at its upper end; `top`: that
    end, in pixels.
    """

    most: int
    share: float
    top: int

    def x(self, requests: float) -> float:
        """Returns the horizontal place of a number of requests, in pixels."""
        return _LEFT + (_RIGHT - _LEFT) * requests / self.most

    def y(self, share: float) -> float:
        """Returns the vertical place of a share of the deciding evidence, in pixels."""
        if self.logarithmic:
            height = math.log(max(share, _LEAST_SHARE) / _LEAST_SHARE) / math.log(self.share / _LEAST_SHARE)
        else:
            height = share / self.share
        return self.top + _PANEL * (1 - height)

    @property
    def logarithmic(self) -> bool:
        """Whether equal distances are equal factors."""
        return self.share > _LINEAR_SHARE

    @property
    def marks(self) -> Sequence[float]:
        """The shares that the axis names."""
        if self.logarithmic:
            return [10.0**power for power in range(-1, math.floor(math.log10(self.share)) + 1)]
        return [share for share in (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0) if share <= self.share]


def plot(title: str, points: Sequence[Point]) -> str:
    """Draws the course of a canary, under `title`, as an SVG of 900 by 620 pixels."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        _text(_LEFT, 26, title, size=15),
        *_drawn(_AGAINST, points),
        *_drawn(_FOR, points),
        _text((_LEFT + _RIGHT) / 2, HEIGHT - 24, _REQUESTS, anchor="middle", colour=_GREY),
        "</svg>",
    ]
    return "\n".join([*parts, ""])


def curves(points: Sequence[Point], *, against: bool) -> tuple[Curve, ...]:
    """Returns the lines of one panel, the highest at its end first. Metrics with the same line share it."""
    of: dict[str, list[tuple[int, float]]] = {}
    for point in points:
        for name, share in (point.worse if against else point.no_worse).items():
            of.setdefault(name, [(0, 0.0)]).append((point.requests, share))
    same: dict[tuple[tuple[int, float], ...], list[str]] = {}
    for name in sorted(of, key=_rank):
        same.setdefault(_thinned(of[name]), []).append(name)
    found = [Curve(tuple(names), line) for line, names in same.items()]
    return tuple(sorted(found, key=lambda curve: -curve.points[-1][1]))


def spread(wanted: Sequence[tuple[float, int]], low: float, high: float) -> list[float]:
    """Places labels, in pixels from the top: each as near to its wanted place as it can be without overlapping another.

    `wanted`: pairs of the wanted place and the number of lines of a label, in order from the top; `low`, `high`: the
    labels stay between these, as far as there is room.
    """
    placed: list[float] = []
    for at, _ in wanted:
        free = placed[-1] + _LINE * wanted[len(placed) - 1][1] if placed else low
        placed.append(max(at, free))
    limit = high
    for place in range(len(placed) - 1, -1, -1):
        placed[place] = max(low, min(placed[place], limit - _LINE * wanted[place][1]))
        limit = placed[place]
    return placed


def ticks(most: int) -> list[int]:
    """Returns about five round numbers from 0 to `most`."""
    step = 10 ** math.floor(math.log10(max(most, 1)))
    fitting = [size for size in (step // 5, step // 2, step, 2 * step) if size >= 1 and most / size <= 6]
    return [*range(0, most + 1, fitting[0] if fitting else step)]


def _drawn(panel: PlotPanel, points: Sequence[Point]) -> Iterator[str]:
    """Draws a panel."""
    lines = curves(points, against=panel.against)
    highest = max((share for curve in lines for _, share in curve.points), default=0.0)
    most = max((point.requests for point in points), default=0) or 1
    scale = Scale(most, max(1.2, highest * 1.05), panel.top)
    rising = [curve for curve in lines if any(share > 0 for _, share in curve.points)]
    yield _text(_LEFT, panel.top - 24, panel.name, size=13, weight="bold")
    yield from _axes(scale)
    yield from _steps(scale, points)
    for curve in rising:
        colour, dashes = curve.look
        yield _line([(scale.x(x), scale.y(y)) for x, y in curve.points], colour, dashes=dashes, width=2)
    yield from _threshold(scale, panel.decides)
    yield from _labels(scale, rising)
    bottom = panel.top + _PANEL
    if flat := [name for curve in lines if curve not in rising for name in curve.names]:
        yield _text(_LEFT, bottom + 36, f"at 0% throughout: {', '.join(flat)}", size=11, colour=_GREY)
    if not lines:
        yield _text((_LEFT + _RIGHT) / 2, bottom - _PANEL / 2, "no request was judged", anchor="middle", colour=_GREY)


def _threshold(scale: Scale, decides: str) -> Iterator[str]:
    """Draws the line at which something happens, and says what above the panel, where no line is."""
    y, words = scale.y(1.0), scale.top - 28
    yield _line([(_LEFT, y), (_RIGHT, y)], "#000", dashes="6 4", width=1.2)
    yield _line([(_RIGHT - 230, words), (_RIGHT - 190, words)], "#000", dashes="6 4", width=1.2)
    yield _text(_RIGHT - 182, words + 4, decides)


def _axes(scale: Scale) -> Iterator[str]:
    bottom = scale.top + _PANEL
    yield _line([(_LEFT, bottom), (_RIGHT, bottom)], "#333")
    for share in scale.marks:
        y = scale.y(share)
        yield _line([(_LEFT, y), (_RIGHT, y)], "#ddd")
        yield _text(_LEFT - 8, y + 4, f"{share:.0%}", anchor="end", colour=_GREY)
    yield _line([(_LEFT, scale.top), (_LEFT, bottom)], "#333")
    for at in ticks(scale.most):
        yield _line([(scale.x(at), bottom), (scale.x(at), bottom + 5)], "#333")
        yield _text(scale.x(at), bottom + 18, str(at), anchor="middle", colour=_GREY)
    middle = scale.top + _PANEL / 2
    yield (
        f'<text x="18" y="{middle}" transform="rotate(-90 18 {middle})" text-anchor="middle" fill="{_GREY}">'
        f"share of what decides{', log' if scale.logarithmic else ''}</text>"
    )


def _steps(scale: Scale, points: Sequence[Point]) -> Iterator[str]:
    """Marks where the canary's share of the callers changed."""
    before, free = None, 0.0
    for point, last in zip(points, [None, *points], strict=False):
        if point.weight == before:
            continue
        before, x = point.weight, scale.x(last.requests if last is not None else 0)
        yield _line([(x, scale.top), (x, scale.top + _PANEL)], "#bbb", dashes="1 3")
        if x >= free:
            words = f"{point.weight:g}%" if free else f"{point.weight:g}% of callers"
            yield _text(x + 3, scale.top - 6, words, size=10, colour=_GREY)
            free = x + 7 * len(words) + 6


def _labels(scale: Scale, drawn: Sequence[Curve]) -> Iterator[str]:
    """Writes names beside the ends of lines, each with a piece of its line."""
    ends = [(scale.y(curve.points[-1][1]) - _LINE / 2, len(curve.label)) for curve in drawn]
    placed = spread(ends, scale.top - 10, scale.top + _PANEL + 50)
    for curve, y in zip(drawn, placed, strict=True):
        colour, dashes = curve.look
        middle = y + _LINE / 2
        end = scale.x(curve.points[-1][0]), scale.y(curve.points[-1][1])
        yield _line([end, (_RIGHT + 10, middle)], colour, width=0.7)
        yield _line([(_RIGHT + 10, middle), (_RIGHT + 38, middle)], colour, dashes=dashes, width=2)
        for number, words in enumerate(curve.label):
            yield _text(_RIGHT + 44, middle + 4 + _LINE * number, words, colour=colour, size=11)


def _thinned(points: Sequence[tuple[int, float]]) -> tuple[tuple[int, float], ...]:
    """Returns the points, or as many as can be told apart, with the first, the highest and the last among them."""
    step = len(points) // _MOST_POINTS + 1
    highest = max(range(len(points)), key=lambda at: points[at][1])
    kept = sorted({*range(0, len(points), step), highest, len(points) - 1})
    return tuple(points[at] for at in kept)


def _rank(name: str) -> tuple[int, str]:
    return (_NAMES.index(name) if name in _NAMES else len(_NAMES), name)


def _line(points: Iterable[tuple[float, float]], colour: str, *, dashes: str = "", width: float = 1) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dash = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width:g}"{dash}/>'


def _text(x: float, y: float, words: str, **style: object) -> str:
    attributes = "".join(f' {_STYLES[name]}="{value}"' for name, value in style.items())
    return f'<text x="{x:.1f}" y="{y:.1f}"{attributes}>{escape(words)}</text>'
