"""The guards' look at the texts of data sets, without any router: personal data and secrets, by the guards' own rules,
and entities where a configuration has such guards."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from patchbay.core.errors import ConfigError
from patchbay.core.paths import cache_dir
from patchbay.core.settings import load_yaml, parse_settings
from patchbay.guards.verdict import FoundSpan

if TYPE_CHECKING:
    from patchbay.guards.pipeline import Pipeline

SETS: Final = ("secrets", "pii")
# Kinds of guards that look at a text by itself; of these a configuration's are used, too.
_USABLE: Final = ("rules", "entities")


@dataclass(frozen=True, slots=True)
class TextGuards:
    """Guards that look at one text at a time. A span's `guard` is `secrets`, `pii`, or a guard's of the
    configuration."""

    pipeline: "Pipeline"

    def look(self, text: str) -> list[FoundSpan]:
        """Returns what is found in a text, in order, spans that overlap joined into the first. Raises GuardFailed where
        a finder of entities does not answer."""
        from patchbay.guards.looking import TextLook

        if not self.pipeline.asks_in("output") and not self.pipeline.may_match("output", text):
            return []
        look = TextLook(self.pipeline.watches("output", None, escaped=False))
        found = [one.span for looked in (look.feed(text), look.finish()) for one in looked.found]
        return _apart(sorted(found, key=lambda span: (span.start, _rank(span), -span.end)))

    def masked(self, text: str) -> str:
        """Returns a text with its kind in the place of each thing found: `[EMAIL]`."""
        return replaced(text, self.look(text))


def compiled_guards(config: Path | None = None) -> TextGuards:
    """Compiles the built-in rules, and guards of the configuration in `config` that look at texts by themselves.

    Raises ConfigError where that is wrong.
    """
    from patchbay.guards.config import GuardsConfig, RulesGuard
    from patchbay.guards.pipeline import compile_guards

    own = _configured(config)
    built_in: dict[str, Any] = {name: RulesGuard(kind="rules", sets=(name,), action="redact") for name in SETS}
    known = {**built_in, **{name: guard for name, guard in own.items() if getattr(guard, "kind", "") in _USABLE}}
    folder = config.absolute().parent if config is not None else None
    guards = compile_guards(GuardsConfig(guards=known), [], cache_dir() / "guards", folder)
    made = guards.pipeline(tuple(known), "")
    if made is None:
        raise ConfigError("No guard looks at texts.")
    return TextGuards(made)


def replaced(text: str, spans: Sequence[FoundSpan]) -> str:
    """Returns a text with the kind of each span in its place: `[EMAIL]`."""
    parts, at = [], 0
    for span in spans:
        parts += [text[at : span.start], f"[{span.kind}]"]
        at = min(span.end, len(text))
    return "".join([*parts, text[at:]])


def _configured(config: Path | None) -> dict[str, Any]:
    from patchbay.guards.config import GuardsConfig

    if config is None:
        return {}
    section = load_yaml(config).get("guards") or {}
    return dict(parse_settings(GuardsConfig, {"guards": section}, source=f"{config}: guards", file=config).guards)


def _rank(span: FoundSpan) -> int:
    """The place of a span's guard: what is a secret and personal data is a secret."""
    return SETS.index(span.guard) if span.guard in SETS else len(SETS)


def _apart(spans: Sequence[FoundSpan]) -> list[FoundSpan]:
    from dataclasses import replace

    found: list[FoundSpan] = []
    for span in spans:
        if found and span.start < found[-1].end:
            last = found.pop()
            first = min(last, span, key=_rank)
            found.append(replace(first, start=last.start, end=max(last.end, span.end)))
        else:
            found.append(span)
    return found
