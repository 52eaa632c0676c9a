"""What is judged of an answer once it is whole: its form, its sources, whether it refuses."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from patchbay.core.errors import InvalidRequest
from patchbay.core.schema.compiled import Schema, SchemaError, compile_schema
from patchbay.guards.config import GroundingGuard, RefusalGuard, SchemaGuard
from patchbay.guards.grounding import grounding
from patchbay.guards.pipeline import Part
from patchbay.guards.refusal import refusal_kind
from patchbay.guards.structured import Checks
from patchbay.guards.verdict import FoundSpan


class FinalJudge:
    """A `Final`. `parts`: the guards that judge; `fields`: the request; `forms`: the schemas of its answers; `note`: is
    told what was found in what."""

    def __init__(
        self, parts: Sequence[Part], fields: Mapping[str, Any], forms: "Forms", note: Callable[[FoundSpan, str], None]
    ) -> None:
        self._fields = fields
        self._note = note
        self._parts = parts
        self._checks = {
            part.name: Checks(schema)
            for part in parts
            if isinstance(part.config, SchemaGuard) and (schema := forms.of(part.config)) is not None
        }
        self.holds = bool(self._checks)

    def __call__(self, text: str, *, quiet: bool) -> str | None:
        """As `Final` says."""
        blocked = False
        for part in self._parts:
            mended, kind = self._judged(part, text)
            if kind is None:
                text = mended
                continue
            if not quiet:
                self._note(FoundSpan(0, len(text), part.name, kind, kind.upper(), part.action), text)
            blocked = blocked or part.action == "block"
        return None if blocked else text

    def _judged(self, part: Part, text: str) -> tuple[str, str | None]:
        """The text, mended where it can be, and what is wrong with it, if anything is."""
        config = part.config
        if isinstance(config, SchemaGuard):
            checks = self._checks.get(part.name)
            if checks is None:
                return text, None
            checked = checks.check(text)
            mended = checked.text if config.repair and not part.dry_run else text
            right = checked.value_ok and (config.repair or not checked.repaired)
            return mended, None if right else "schema_unchecked" if checked.spent else "schema"
        if isinstance(config, RefusalGuard):
            return text, "refusal" if refusal_kind(text) is not None else None
        if isinstance(config, GroundingGuard):
            sources = list(_sources(self._fields.get("documents")))
            found = grounding(text, sources)
            wrong = bool(sources) and (found.share < config.share or bool(found.missing_citations))
            return text, "grounding" if wrong else None
        return text, None


class Forms:
    """The schemas that a request's answers are held to: each guard's own, or what the request asks for."""

    def __init__(self, asked: Schema | None = None) -> None:
        self._asked = asked

    def of(self, guard: SchemaGuard) -> Schema | None:
        """The schema by which `guard` judges; None where there is none."""
        return guard.compiled or self._asked

    @property
    def hard(self) -> bool:
        """Whether a client's schema may make a short answer take long."""
        return self._asked is not None and self._asked.heavy


def by_clients(parts: Sequence[Part]) -> list[Part]:
    """The guards among `parts` that hold answers to the schemas of requests."""
    return [part for part in parts if isinstance(part.config, SchemaGuard) and part.config.compiled is None]


def forms_for(parts: Sequence[Part], fields: Mapping[str, Any]) -> Forms:
    """The forms of a request under guards. Raises InvalidRequest where a guard is to hold the answer to the request's
    own schema and cannot use that: what cannot be checked is not let through."""
    guards = by_clients(parts)
    found = _asked_for(fields) if guards else None
    if found is None:
        return Forms()
    field, schema = found
    try:
        return Forms(compile_schema(schema))
    except SchemaError as error:
        if all(part.dry_run for part in guards):
            return Forms()
        raise InvalidRequest(
            f"The JSON schema in '{field}' cannot be used to check the answer, {error.message}.", param=field
        ) from error


def _asked_for(fields: Mapping[str, Any]) -> tuple[str, Any] | None:
    """The schema that a request asks for, in OpenAI's two ways, and the field that it stands in."""
    asked = fields.get("response_format")
    form = asked.get("json_schema") if isinstance(asked, dict) else None
    if isinstance(form, dict) and form.get("schema") is not None:
        return "response_format.json_schema.schema", form["schema"]
    text = fields.get("text")
    form = text.get("format") if isinstance(text, dict) else None
    if isinstance(form, dict) and form.get("schema") is not None:
        return "text.format.schema", form["schema"]
    return None


def _sources(documents: Any) -> Sequence[str]:
    """The texts of a request's `documents`, as vLLM takes them: each an object of strings."""
    if not isinstance(documents, list):
        return ()
    return [
        " ".join(value for value in one.values() if isinstance(value, str)) if isinstance(one, dict) else str(one)
        for one in documents
    ]
