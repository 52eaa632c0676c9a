"""Final checks: judgements of a whole answer, of its JSON form, its sources and whether it refuses."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from patchbay.core.errors import InvalidRequest
from patchbay.core.schema.compiled import Schema, SchemaError, compile_schema
from patchbay.guards.config import RefusalGuard, SchemaGuard
from patchbay.guards.grounding import grounding
from patchbay.guards.judges.config import GroundingGuard
from patchbay.guards.part import Part
from patchbay.guards.prompts import document_texts
from patchbay.guards.refusal import refusal_kind
from patchbay.guards.structured import Checks
from patchbay.guards.verdict import Action, FoundSpan


class FinalJudge:
    """A `FinalCheck` that checks a whole answer with the guards that need all of it.

    `parts`: those guards; `fields`: the request; `schemas`: the schemas of its answers; `note`: is called with each
    span and its text. `holds`: whether a check may repair the answer.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        fields: Mapping[str, Any],
        schemas: "AnswerSchemas",
        note: Callable[[FoundSpan, str], None],
    ) -> None:
        self._fields = fields
        self._note = note
        self._parts = parts
        self._checks = {
            part.name: Checks(schema)
            for part in parts
            if isinstance(part.config, SchemaGuard) and (schema := schemas.of(part.config)) is not None
        }
        self.holds = bool(self._checks)

    def __call__(self, text: str, *, quiet: bool) -> str | None:
        """Returns the text as it may go out, None where a guard blocks it; see `FinalCheck`."""
        blocked = False
        for part in self._parts:
            if isinstance(part.config, SchemaGuard):
                repaired, kinds, kind = self._fit(part, part.config, text)
            else:
                repaired, kinds, kind = text, (), self._judge(part, text)
            if not quiet:
                for told in kinds:
                    self._tell(part, told, "flag", text)
                if kind is not None:
                    self._tell(part, kind, part.action, text)
            text = repaired if kind is None else text
            blocked = blocked or (kind is not None and part.action == "block")
        return None if blocked else text

    def _tell(self, part: Part, kind: str, action: Action, text: str) -> None:
        span = FoundSpan(start=0, end=len(text), guard=part.name, rule=kind, kind=kind.upper(), action=action)
        self._note(span, text)

    def _fit(self, part: Part, config: SchemaGuard, text: str) -> tuple[str, Sequence[str], str | None]:
        """Returns the text, repaired where that is possible, what a repair has closed or dropped, and the kind of fault
        in the text, None if there is none."""
        checks = self._checks.get(part.name)
        if checks is None:
            return text, (), None
        result = checks.check(text)
        if not result.value_ok or (result.repaired and not config.repair):
            return text, (), "schema_unchecked" if result.spent else "schema"
        told = {"schema_closed": "brackets" in result.repaired, "schema_dropped": result.dropped}
        return text if part.dry_run else result.text, [kind for kind, is_so in told.items() if is_so], None

    def _judge(self, part: Part, text: str) -> str | None:
        """Returns the kind of fault in a text, None if there is none."""
        config = part.config
        if isinstance(config, RefusalGuard):
            return "refusal" if refusal_kind(text) is not None else None
        if isinstance(config, GroundingGuard):
            sources = document_texts(self._fields)
            support = grounding(text, sources)
            unsupported = bool(sources) and (support.share < config.share or bool(support.missing_citations))
            return "grounding" if unsupported else None
        return None


class AnswerSchemas:
    """The schemas that a request's answers are checked by: each guard's own, or the one that the request asks for.

    `requested`: the request's schema, compiled.
    """

    def __init__(self, requested: Schema | None = None) -> None:
        self._requested = requested

    def of(self, guard: SchemaGuard) -> Schema | None:
        """Returns the schema that `guard` checks by; None where there is none."""
        return guard.compiled or self._requested

    @property
    def hard(self) -> bool:
        """Whether a client's schema may make even a short answer slow to check."""
        return self._requested is not None and self._requested.heavy


def client_schema_guards(parts: Sequence[Part]) -> list[Part]:
    """Returns the guards among `parts` that check answers by the requests' own schemas."""
    return [part for part in parts if isinstance(part.config, SchemaGuard) and part.config.compiled is None]


def answer_schemas(parts: Sequence[Part], fields: Mapping[str, Any]) -> AnswerSchemas:
    """Returns the schemas for a request's answers. `parts`: the guards; `fields`: the request.

    Raises InvalidRequest where a guard has to check the answer by the request's own schema and cannot use that: what
    cannot be checked is not let through.
    """
    guards = client_schema_guards(parts)
    requested = _requested_schema(fields) if guards else None
    if requested is None:
        return AnswerSchemas()
    field, schema = requested
    try:
        return AnswerSchemas(compile_schema(schema))
    except SchemaError as error:
        if all(part.dry_run for part in guards):
            return AnswerSchemas()
        raise InvalidRequest(
            f"The JSON schema in '{field}' cannot be used to check the answer, {error.message}.", param=field
        ) from error


def _requested_schema(fields: Mapping[str, Any]) -> tuple[str, Any] | None:
    """Returns the field that a request asks for a schema in, by either of OpenAI's two ways, and the schema."""
    response_format = fields.get("response_format")
    form = response_format.get("json_schema") if isinstance(response_format, dict) else None
    if isinstance(form, dict) and form.get("schema") is not None:
        return "response_format.json_schema.schema", form["schema"]
    text = fields.get("text")
    form = text.get("format") if isinstance(text, dict) else None
    if isinstance(form, dict) and form.get("schema") is not None:
        return "text.format.schema", form["schema"]
    return None
