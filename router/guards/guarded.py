"""One request under its guards: its prompt, its answer, and what was found in both."""

from collections import Counter
from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any

import msgspec

from adapters.asgi import Headers
from adapters.errors import ContentFiltered, GuardFailed, RequestError
from router.guards.answers.choices import ChoicesCodec
from router.guards.answers.messages import MessagesCodec
from router.guards.answers.responses import ResponsesCodec
from router.guards.answers.stop import Codec, StreamStopped, Used
from router.guards.answers.texts import AnswerTexts
from router.guards.answers.whole import WITH_TEXT, filtered_answer
from router.guards.final import FinalJudge
from router.guards.masks import Masks
from router.guards.pipeline import Pipeline
from router.guards.prompts import system_prompt, visit_texts
from router.guards.stream.channel import Channel, Released
from router.guards.stream.leak_watch import SuffixAutomaton, letters
from router.guards.verdict import Action, Finding, Side, Span, mark_of

HEADER = b"x-patchbay-guards"
_TRUSTED = ("system", "developer", "assistant")
_PROMPT_LIMIT = 64 * 1024


class Rerouted(RequestError):
    """A guard has the request go to `route` instead."""

    def __init__(self, guard: str, route: str) -> None:
        super().__init__(f"The guard '{guard}' sends this request elsewhere.")
        self.guard = guard
        self.route = route


class Guarded:
    """`key`: what the marks of findings are made with; `endpoint`: its name."""

    def __init__(self, pipeline: Pipeline, endpoint: str, key: bytes) -> None:
        self._pipeline = pipeline
        self._endpoint = endpoint
        self._key = key
        self._masks = Masks()
        self._fields: dict[str, Any] = {}
        self.findings: list[Finding] = []

    @property
    def masked(self) -> bool:
        """Whether anything in the prompt is masked."""
        return bool(self._masks.back)

    @property
    def looks_at_answers(self) -> bool:
        """Whether the answer has to go through here."""
        return self._endpoint in WITH_TEXT and (self._pipeline.looks_at_answers or self.masked)

    def checked(self, body: bytes) -> bytes:
        """A request's body as it may go on.

        Raises ContentFiltered where it may not, Rerouted where it is to go elsewhere, and InvalidRequest where it
        cannot be read.
        """
        self._fields = fields = msgspec.json.decode(body)
        changed = visit_texts(fields, self._prompt_text)
        for finding in self.findings:
            if finding.action == "block":
                raise ContentFiltered(f"The guard '{finding.guard}' does not let this prompt through ({finding.kind}).")
            if finding.action == "route":
                raise Rerouted(finding.guard, self._pipeline.routes[finding.guard])
        return msgspec.json.encode(fields) if changed else body

    def codec(self, used: Used) -> Codec:
        """What a stream goes through. `used`: the tokens of the prompt and the answer so far."""
        texts = self._texts(self.findings)
        if self._endpoint == "responses":
            return ResponsesCodec(texts, used)
        if self._endpoint == "messages":
            return MessagesCodec(texts, used)
        usage = self._fields.get("stream_options") or {}
        choices = self._fields.get("n")
        count = choices if isinstance(choices, int) and choices > 0 else 1
        prompts = self._fields.get("prompt")
        count *= len(prompts) if isinstance(prompts, list) and prompts else 1
        return ChoicesCodec(
            texts, used, choices=count, usage=bool(isinstance(usage, dict) and usage.get("include_usage"))
        )

    def whole(self, body: bytes) -> bytes:
        """An answer that is one JSON document, as it may go out. Raises GuardFailed where it is none."""
        return self._whole(body, self.findings)

    def copy(self, answer: bytes) -> bytes:
        """Another answer to the same request, filtered the same; its findings are nobody's."""
        findings: list[Finding] = []
        if answer.startswith(b"{"):
            return self._whole(answer, findings)
        other = Guarded(self._pipeline, self._endpoint, self._key)
        other._fields, other._masks = self._fields, self._masks
        codec = other.codec(lambda: (0, 0))
        try:
            return codec.feed(answer) + codec.finish()
        except StreamStopped as stop:
            return stop.last

    @property
    def summary(self) -> str:
        """What the header says: the guards, and what they found, without any of it."""
        found = Counter((one.guard, one.side, one.kind, one.action, one.dry_run) for one in self.findings)
        told = [
            f"{guard}={kind}*{count} {side} {'dry-run' if dry else action}"
            for (guard, side, kind, action, dry), count in found.items()
        ]
        return "; ".join([", ".join(self._pipeline.names), *told])

    def headers(self, others: Headers) -> Headers:
        """The headers of an answer, with what is known of its guards by now."""
        return [
            *(pair for pair in others if pair[0] != HEADER),
            (HEADER, self.summary.encode("ascii", "replace")[:2000]),
        ]

    def results(self) -> dict[str, dict[str, Any]]:
        """Verdicts by guard, in the form of Azure's `content_filter_results`."""
        made: dict[str, dict[str, Any]] = {
            name: {"filtered": False, "detected": False} for name in self._pipeline.names
        }
        for one in self.findings:
            entry = made[one.guard]
            entry["detected"] = True
            entry["filtered"] = entry["filtered"] or one.action in ("block", "redact")
        return made

    def _whole(self, body: bytes, findings: list[Finding]) -> bytes:
        try:
            answer = msgspec.json.decode(body)
        except msgspec.DecodeError as error:
            raise GuardFailed("The answer could not be read, so it was not let through.") from error
        if not isinstance(answer, dict):
            raise GuardFailed("The answer could not be read, so it was not let through.")
        return msgspec.json.encode(filtered_answer(self._endpoint, answer, self._texts(findings)))

    def _texts(self, findings: list[Finding]) -> AnswerTexts:
        def note(released: Released) -> None:
            self._note(findings, "output", released)

        def make(escaped: bool) -> Channel:
            return Channel(self._pipeline.watches("output", self._known, escaped=escaped), _marker)

        def told(span: Span, text: str) -> None:
            findings.append(self._finding("output", span, text))

        finals = self._pipeline.finals
        final = FinalJudge(finals, self._fields, told) if finals else None
        return AnswerTexts(make, note, self._masks.back, final)

    @cached_property
    def _known(self) -> SuffixAutomaton | None:
        """The system prompt's, where a guard keeps it."""
        if not self._pipeline.leaks:
            return None
        text = letters(system_prompt(self._fields)[:_PROMPT_LIMIT])
        return _automaton(text) if text else None

    def _prompt_text(self, text: str, role: str, escaped: bool) -> str:
        if role not in _TRUSTED:
            self.findings += [self._finding("input", span, text) for span in self._pipeline.judged(text)]
        watches = self._pipeline.watches("input", None, escaped=escaped)
        if not watches:
            return text
        channel = Channel(watches, _Masking(self._masks, text))
        first, last = channel.feed(text), channel.finish()
        for released in (first, last):
            self._note(self.findings, "input", released)
        return first.text + last.text

    def _note(self, findings: list[Finding], side: Side, released: Released) -> None:
        for span, text in zip(released.spans, released.texts, strict=True):
            findings.append(self._finding(side, span, text))

    def _finding(self, side: Side, span: Span, text: str) -> Finding:
        dry = span.guard in self._pipeline.dry
        action: Action = span.action
        mark = mark_of(self._key, text)
        return Finding(span.guard, span.rule, span.kind, action, side, span.start, span.end, mark, dry)


class _Masking:
    """A marker that gives masks for what is to be masked."""

    def __init__(self, masks: Masks, text: str) -> None:
        self._masks = masks
        self._text = text

    def __call__(self, span: Span) -> str:
        return (
            self._masks.mask(span.kind, self._text[span.start : span.end]) if span.action == "mask" else _marker(span)
        )


def _marker(span: Span) -> str:
    return f"[{span.kind}]"


@lru_cache(maxsize=64)
def _automaton(text: str) -> SuffixAutomaton:
    """Requests of one application have one system prompt."""
    return SuffixAutomaton(text)


def kinds_of(findings: Sequence[Finding]) -> Counter[tuple[str, str, Action, Side]]:
    """How often what was found, for metrics."""
    return Counter((one.guard, one.kind, one.action, one.side) for one in findings)
