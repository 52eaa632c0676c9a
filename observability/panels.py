"""The parts of a dashboard, and their conversion to Grafana's JSON: schema 38, which Grafana 10 and later load."""

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
    """A PromQL expression, and the legend of its lines."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel of a dashboard.

    `text`: its description, or the content of a text panel; `width`, `height`: in Grafana's grid units; `thresholds`:
    pairs of a value and the colour from there on; `most`: the end of the axis, None for automatic; `names`: pairs of a
    value and the word for it.
    """

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
    """A choice at a dashboard's top: the values of `label` in `series`."""

    name: str
    series: str
    label: str


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A dashboard: variables at its top and sections of panels. `uid`: its address in Grafana and its file's name."""

    uid: str
    title: str
    text: str
    variables: tuple[Variable, ...]
    sections: tuple[Section, ...]


def stat(title: str, text: str, query: Query, unit: str = "short", **more: Any) -> Panel:
    """Makes a panel with a number, of which a row holds six."""
    return Panel(title, text, (query,), unit, kind="stat", width=4, height=4, **more)


def note(title: str, text: str) -> Panel:
    """Makes a panel with a text over the whole width."""
    return Panel(title, text, kind="text", width=WIDTH, height=6)


def document(board: Dashboard) -> Json:
    """Converts `board` to Grafana's JSON."""
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
        "templating": {"list": [_source(), *(_variable(variable) for variable in board.variables)]},
        "panels": list(_panels(board.sections)),
    }


def _panels(sections: Sequence[Section]) -> Iterator[Json]:
    """Lays out rows from top to bottom, and in them panels from left to right while there is room."""
    panel_id, top = 0, 0
    for section in sections:
        panel_id += 1
        yield _row(panel_id, section.title, top)
        top, left, tallest = top + 1, 0, 0
        for panel in section.panels:
            if left + panel.width > WIDTH:
                top, left, tallest = top + tallest, 0, 0
            panel_id += 1
            yield _panel(panel_id, panel, {"x": left, "y": top, "w": panel.width, "h": panel.height})
            left, tallest = left + panel.width, max(tallest, panel.height)
        top += tallest


def _row(panel_id: int, title: str, top: int) -> Json:
    place = {"x": 0, "y": top, "w": WIDTH, "h": 1}
    return {"id": panel_id, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}


def _panel(panel_id: int, panel: Panel, place: Json) -> Json:
    common = {"id": panel_id, "type": panel.kind, "title": panel.title, "gridPos": place}
    if panel.kind == "text":
        text_options = {"mode": "markdown", "content": panel.text}
        return {**common, "description": "What this dashboard does not show, and why.", "options": text_options}
    return {
        **common,
        "description": panel.text,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _STAT if panel.kind == "stat" else _LINES,
        "targets": [_target(letter, query) for letter, query in zip(_LETTERS, panel.queries, strict=False)],
    }


def _target(letter: str, query: Query) -> Json:
    fields = {"expr": query.expr, "legendFormat": query.legend, "editorMode": "code", "range": True}
    return {"refId": letter, "datasource": _SOURCE, **fields}


def _defaults(panel: Panel) -> Json:
    steps = [{"color": "green", "value": None}, *({"color": color, "value": at} for at, color in panel.thresholds)]
    defaults: Json = {
        "unit": panel.unit,
        "thresholds": {"mode": "absolute", "steps": steps},
        "color": {"mode": "thresholds" if panel.kind == "stat" else "palette-classic"},
        "mappings": [_value_mapping(value, word) for value, word in panel.names],
    }
    if panel.most is not None:
        defaults["max"] = panel.most
    if panel.kind == "timeseries":
        defaults["custom"] = {**_LINE_STYLE, "thresholdsStyle": {"mode": "line" if panel.thresholds else "off"}}
    return defaults


def _value_mapping(value: str, word: str) -> Json:
    return {"type": "value", "options": {value: {"text": word, "index": 0}}}


def _source() -> Json:
    options = {"label": "Data source", "hide": 0, "refresh": 1, "regex": "", "multi": False, "includeAll": False}
    return {"name": "datasource", "type": "datasource", "query": "prometheus", "current": {}, "options": [], **options}


def _variable(variable: Variable) -> Json:
    definition = f"label_values({variable.series}, {variable.label})"
    everything = {"includeAll": True, "allValue": ".*", "multi": True, "current": _ALL}
    return {
        "name": variable.name,
        "label": variable.name.capitalize(),
        "type": "query",
        "datasource": _SOURCE,
        "definition": definition,
        "query": {"query": definition, "refId": "PrometheusVariableQueryEditor-VariableQuery"},
        "refresh": 2,
        "sort": 1,
        "hide": 0,
        "regex": "",
        "options": [],
        **everything,
    }


def _link() -> Json:
    options = {"asDropdown": False, "includeVars": False, "keepTime": True, "targetBlank": False}
    return {"title": "Patchbay", "type": "dashboards", "tags": ["patchbay"], "icon": "external link", **options}


_ALL: Json = {"selected": True, "text": ["All"], "value": ["$__all"]}
_LINE_STYLE: Json = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 10, "showPoints": "never", "spanNulls": False}
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
