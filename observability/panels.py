"""What a dashboard is made of, in Grafana's JSON: schema 38, which Grafana 10 and later load."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Json = dict[str, Any]
Kind = Literal["timeseries", "stat", "text"]
WIDTH = 24
_SOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
_LETTERS = "ABCDEFGHIJ"


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL expression, and what its lines are called."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. `text`: its description, or what a text panel says; `thresholds`: from which value on which colour;
    `most`: the axis' end, where there is one; `names`: words for values."""

    title: str
    text: str
    queries: tuple[Query, ...] = ()
    unit: str = "short"
    kind: Kind = "timeseries"
    width: int = 8
    height: int = 8
    thresholds: tuple[tuple[float, str], ...] = ()
    most: float | None = None
    names: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """Panels under a heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice at a dashboard's top: the values of a label."""

    name: str
    series: str
    label: str


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A dashboard. `uid`: its address in Grafana, and its file's name after `patchbay-`."""

    uid: str
    title: str
    text: str
    variables: tuple[Variable, ...]
    sections: tuple[Section, ...]


def stat(title: str, text: str, query: Query, unit: str = "short", **more: Any) -> Panel:
    """A number, of which a row holds six."""
    return Panel(title, text, (query,), unit, kind="stat", width=4, height=4, **more)


def note(title: str, text: str) -> Panel:
    """A text over the whole width."""
    return Panel(title, text, kind="text", width=WIDTH, height=6)


def document(board: Dashboard) -> Json:
    """`board` as Grafana's JSON."""
    return {
        "uid": f"patchbay-{board.uid}",
        "title": f"Patchbay: {board.title}",
        "description": board.text,
        "tags": ["patchbay"],
        "schemaVersion": 38,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "time": {"from": "now-3h", "to": "now"},
        "refresh": "30s",
        "timezone": "",
        "annotations": {"list": []},
        "links": [_link()],
        "templating": {"list": [_source(), *(_variable(one) for one in board.variables)]},
        "panels": list(_panels(board.sections)),
    }


def _panels(sections: Sequence[Section]) -> Iterator[Json]:
    """Rows from top to bottom, each panel beside the one before while there is room."""
    made, top = 0, 0
    for section in sections:
        made += 1
        yield _row(made, section.title, top)
        top, left, tallest = top + 1, 0, 0
        for panel in section.panels:
            if left + panel.width > WIDTH:
                top, left, tallest = top + tallest, 0, 0
            made += 1
            yield _panel(made, panel, {"x": left, "y": top, "w": panel.width, "h": panel.height})
            left, tallest = left + panel.width, max(tallest, panel.height)
        top += tallest


def _row(made: int, title: str, top: int) -> Json:
    place = {"x": 0, "y": top, "w": WIDTH, "h": 1}
    return {"id": made, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}


def _panel(made: int, panel: Panel, place: Json) -> Json:
    common = {"id": made, "type": panel.kind, "title": panel.title, "gridPos": place}
    if panel.kind == "text":
        said = {"mode": "markdown", "content": panel.text}
        return {**common, "description": "What this dashboard does not show, and why.", "options": said}
    return {
        **common,
        "description": panel.text,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _STAT if panel.kind == "stat" else _LINES,
        "targets": [_target(letter, one) for letter, one in zip(_LETTERS, panel.queries, strict=False)],
    }


def _target(letter: str, query: Query) -> Json:
    asked = {"expr": query.expr, "legendFormat": query.legend, "editorMode": "code", "range": True}
    return {"refId": letter, "datasource": _SOURCE, **asked}


def _defaults(panel: Panel) -> Json:
    steps = [{"color": "green", "value": None}, *({"color": color, "value": at} for at, color in panel.thresholds)]
    found: Json = {
        "unit": panel.unit,
        "thresholds": {"mode": "absolute", "steps": steps},
        "color": {"mode": "thresholds" if panel.kind == "stat" else "palette-classic"},
        "mappings": [_named(value, word) for value, word in panel.names],
    }
    if panel.most is not None:
        found["max"] = panel.most
    if panel.kind == "timeseries":
        found["custom"] = {**_DRAWN, "thresholdsStyle": {"mode": "line" if panel.thresholds else "off"}}
    return found


def _named(value: str, word: str) -> Json:
    return {"type": "value", "options": {value: {"text": word, "index": 0}}}


def _source() -> Json:
    shown = {"label": "Data source", "hide": 0, "refresh": 1, "regex": "", "multi": False, "includeAll": False}
    return {"name": "datasource", "type": "datasource", "query": "prometheus", "current": {}, "options": [], **shown}


def _variable(one: Variable) -> Json:
    asked = f"label_values({one.series}, {one.label})"
    everything = {"includeAll": True, "allValue": ".*", "multi": True, "current": _ALL}
    return {
        "name": one.name,
        "label": one.name.capitalize(),
        "type": "query",
        "datasource": _SOURCE,
        "definition": asked,
        "query": {"query": asked, "refId": "PrometheusVariableQueryEditor-VariableQuery"},
        "refresh": 2,
        "sort": 1,
        "hide": 0,
        "regex": "",
        "options": [],
        **everything,
    }


def _link() -> Json:
    shown = {"asDropdown": False, "includeVars": False, "keepTime": True, "targetBlank": False}
    return {"title": "Patchbay", "type": "dashboards", "tags": ["patchbay"], "icon": "external link", **shown}


_ALL: Json = {"selected": True, "text": ["All"], "value": ["$__all"]}
_DRAWN: Json = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 10, "showPoints": "never", "spanNulls": False}
_LINES: Json = {
    "legend": {"showLegend": True, "displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]},
    "tooltip": {"mode": "multi", "sort": "desc"},
}
_STAT: Json = {
    "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    "colorMode": "value",
    "graphMode": "area",
    "justifyMode": "auto",
    "orientation": "auto",
    "textMode": "auto",
}
