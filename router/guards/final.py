"""What is judged of an answer once it is whole: its form, its sources, whether it refuses."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from router.guards.config import GroundingGuard, RefusalGuard, SchemaGuard
from router.guards.grounding import grounding
from router.guards.pipeline import Part
from router.guards.refusal import refusal_kind
from router.guards.structured import check
from router.guards.verdict import Span


class FinalJudge:
    """A `Final`. `parts`: the guards that judge; `fields`: the request; `note`: is told what was found in what."""

    def __init__(self, parts: Sequence[Part], fields: Mapping[str, Any], note: Callable[[Span, str], None]) -> None:
        self._fields = fields
        self._note = note
        self._parts = parts
        self.holds = any(isinstance(part.config, SchemaGuard) and schema_for(part.config, fields) for part in parts)

    def __call__(self, text: str, *, quiet: bool) -> str | None:
        """As `Final` says."""
        blocked = False
        for part in self._parts:
            mended, kind = self._judged(part, text)
            if kind is None:
                text = mended
                continue
            if not quiet:
                self._note(Span(0, len(text), part.name, kind, kind.upper(), part.action), text)
            blocked = blocked or part.action == "block"
        return None if blocked else text

    def _judged(self, part: Part, text: str) -> tuple[str, str | None]:
        """The text, mended where it can be, and what is wrong with it, if anything is."""
        config = part.config
        if isinstance(config, SchemaGuard):
            schema = schema_for(config, self._fields)
            if schema is None:
                return text, None
            checked = check(text, schema)
            mended = checked.text if config.repair and not part.dry_run else text
            right = checked.value_ok and (config.repair or not checked.repaired)
            return mended, None if right else "schema"
        if isinstance(config, RefusalGuard):
            return text, "refusal" if refusal_kind(text) is not None else None
        if isinstance(config, GroundingGuard):
            sources = list(_sources(self._fields.get("documents")))
            found = grounding(text, sources)
            wrong = bool(sources) and (found.share < config.share or bool(found.missing_citations))
            return text, "grounding" if wrong else None
        return text, None


def schema_for(config: SchemaGuard, fields: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The guard's own schema, or what the request asks for, in OpenAI's two ways; None where there is none."""
    if config.json_schema:
        return config.json_schema
    asked = fields.get("response_format")
    if isinstance(asked, dict) and isinstance(asked.get("json_schema"), dict):
        return _sound(asked["json_schema"].get("schema"))
    text = fields.get("text")
    form = text.get("format") if isinstance(text, dict) else None
    return _sound(form.get("schema")) if isinstance(form, dict) else None


def _sound(schema: Any) -> Mapping[str, Any] | None:
    """A request's schema, where it is one. What is none is the engine's to refuse."""
    if not isinstance(schema, dict):
        return None
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError:
        return None
    return schema


def _sources(documents: Any) -> Sequence[str]:
    """The texts of a request's `documents`, as vLLM takes them: each an object of strings."""
    if not isinstance(documents, list):
        return ()
    return [
        " ".join(value for value in one.values() if isinstance(value, str)) if isinstance(one, dict) else str(one)
        for one in documents
    ]
