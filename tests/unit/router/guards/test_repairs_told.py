"""A repair of an answer tells of all that it closes or drops, and of nothing that it does not change."""

import pytest

from patchbay.core.settings import parse_settings
from patchbay.guards.config import GuardsConfig
from patchbay.guards.final_checks import AnswerSchemas, FinalJudge
from patchbay.guards.pipeline import compile_guards
from patchbay.guards.verdict import FoundSpan

SCHEMA = {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}


def judged(text: str, *, quiet: bool = False, **guard: object) -> tuple[str | None, list[tuple[str, str]]]:
    """What a schema guard lets out of a text, and what it tells: kinds and actions."""
    form = {"kind": "schema", "schema": SCHEMA, "action": "block", **guard}
    config = parse_settings(GuardsConfig, {"guards": {"form": form}}, source="x")
    pipeline = compile_guards(config, [("form",)], None, None).pipeline(("form",), "")
    assert pipeline is not None
    told: list[FoundSpan] = []
    judge = FinalJudge(pipeline.finals, {}, AnswerSchemas(), lambda span, _: told.append(span))
    return judge(text, quiet=quiet), [(span.kind, span.action) for span in told]


@pytest.mark.parametrize(
    ("text", "out", "told"),
    [
        ('{"a": 1}', '{"a": 1}', []),
        ('Here: {"a": 1}', '{"a": 1}', []),
        ('{"a": 1, "b": [', '{"a": 1, "b": []}', [("SCHEMA_CLOSED", "flag")]),
        ('{"a": 1, "b": 2', '{"a": 1}', [("SCHEMA_CLOSED", "flag"), ("SCHEMA_DROPPED", "flag")]),
        ('{"a": 1} {"a": 2}', '{"a": 2}', [("SCHEMA_DROPPED", "flag")]),
        ('{"a": "x"}', None, [("SCHEMA", "block")]),
        ("none", None, [("SCHEMA", "block")]),
    ],
)
def test_what_a_repair_loses_is_told(text: str, out: str | None, told: list[tuple[str, str]]) -> None:
    assert judged(text) == (out, told)
    assert judged(text, quiet=True) == (out, [])


def test_without_repair_nothing_is_closed() -> None:
    assert judged('{"a": 1', repair=False) == (None, [("SCHEMA", "block")])
    assert judged('{"a": 1, "b": 2', dry_run=True) == (
        '{"a": 1, "b": 2',
        [("SCHEMA_CLOSED", "flag"), ("SCHEMA_DROPPED", "flag")],
    )
    assert judged("x", dry_run=True) == ("x", [("SCHEMA", "flag")])
