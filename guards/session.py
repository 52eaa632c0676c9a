"""One request under its guards: its prompt, its answer, and what was found in both."""

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any

import msgspec

from patchbay.core.asgi import Headers
from patchbay.core.errors import AnswerUnreadable, ContentFiltered, InvalidRequest, RequestError
from patchbay.core.json_body import decoded, encoded
from patchbay.core.offload import Offload
from patchbay.guards.config import SchemaGuard
from patchbay.guards.constrain import constrain
from patchbay.guards.final_checks import FinalJudge, Forms, by_clients, forms_for
from patchbay.guards.findings import Findings
from patchbay.guards.formats.codec import Codec, StreamStopped, StrictCodec, Used, readable
from patchbay.guards.formats.completions import ChoicesCodec, RequestedAnswer, prompt_results
from patchbay.guards.formats.document import WITH_TEXT, filtered_answer
from patchbay.guards.formats.filter import Filter
from patchbay.guards.formats.messages import MessagesCodec
from patchbay.guards.formats.plain_text import spoken_in
from patchbay.guards.formats.responses import ResponsesCodec
from patchbay.guards.formats.texts import MOST_TEXTS, AnswerTexts, barred_texts
from patchbay.guards.judges.judge import TextOrigin
from patchbay.guards.judges.judges import Judges
from patchbay.guards.judges.panel import JudgePanel, check_judged
from patchbay.guards.masks import Masks
from patchbay.guards.pipeline import Pipeline
from patchbay.guards.prompts import TRUSTED, system_prompt, untrusted_text, visit_texts
from patchbay.guards.reask import Reask, SecondAnswer, SecondAnswerClient
from patchbay.guards.stream.channel import Channel, Released
from patchbay.guards.stream.leak_watch import SuffixAutomaton, letters
from patchbay.guards.stream_gate import StreamGate
from patchbay.guards.verdict import Action, FoundSpan, Side

HEADER = b"x-patchbay-guards"
_PROMPT_LIMIT = 64 * 1024


class Rerouted(RequestError):
    """A guard has the request go to `route` instead."""

    def __init__(self, guard: str, route: str) -> None:
        super().__init__(f"The guard '{guard}' sends this request elsewhere.")
        self.guard = guard
        self.route = route


class GuardSession:
    """`key`: what the marks of findings are made with; `endpoint`: its name; `judges`: whom guards ask that ask
    somebody else, and `facts`, what they are told beside the text; `offload`: does what takes long; `tells_results`:
    whether an answer says in its body what was found; `spent`: tokens of a prompt and an answer beside the request's
    own."""

    def __init__(
        self, pipeline: Pipeline, endpoint: str, key: bytes, judges: Judges, facts: TextOrigin, offload: Offload
    ) -> None:
        self._pipeline = pipeline
        self._endpoint = endpoint
        self._key = key
        self._judges = judges
        self._facts = facts
        self._offload = offload
        self.tells_results = False
        self.spent = (0, 0)
        self.findings = Findings(key, pipeline.dry)
        self._panel = JudgePanel(pipeline.asked, judges, facts, self.findings.add)
        self._masks = Masks()
        self._fields: dict[str, Any] = {}
        self._known: SuffixAutomaton | None = None
        self._forms = Forms()
        self._read_bytes = 0

    @property
    def masked(self) -> bool:
        """Whether anything in the prompt is masked."""
        return bool(self._masks.back)

    @property
    def looks_at_answers(self) -> bool:
        """Whether the answer has to go through here."""
        return self._endpoint in WITH_TEXT and (self._pipeline.looks_at_answers or self.masked)

    async def checked(self, body: bytes) -> bytes:
        """A request's body as it may go on.

        Raises ContentFiltered where it may not, Rerouted where it is to go elsewhere, and InvalidRequest where it
        cannot be read.
        """
        self._read_bytes = len(body)
        # A schema of a kilobyte has patterns that take long to compile.
        hard = bool(by_clients(self._pipeline.finals))
        return await self._offload.run(lambda: self._checked(body), len(body), hard=hard)

    def _checked(self, body: bytes) -> bytes:
        self._fields = fields = decoded(body)
        self._forms = forms_for(self._pipeline.finals, fields)
        visit_texts(fields, self._prompt_text)
        for found in self.findings.counts:
            self._act_on(found.action, found.guard, found.kind)
        self._known = self._system_prompt()
        self._constrain(fields)
        # Written anew though nothing was changed: of a name that the body says twice another reader may take the first.
        return encoded(fields)

    def _constrain(self, fields: dict[str, Any]) -> None:
        """Puts a guard's schema into the request."""
        schemas = [
            part.config.json_schema
            for part in self._pipeline.finals
            if isinstance(part.config, SchemaGuard) and part.config.constrain and not part.dry_run
        ]
        for schema in schemas[:1]:
            if schema:
                constrain(fields, self._endpoint, schema)

    @property
    def judges_prompt(self) -> bool:
        """Whether somebody has to be asked about the prompt."""
        return self._panel.judges("input")

    async def judge_prompt(self) -> None:
        """Asks about the prompt, as it was `checked`. Raises as that does, and GuardFailed where there is none."""
        text = await self._offload.run(lambda: untrusted_text(self._fields), self._read_bytes)
        for span in await self._panel.prompt(text):
            check_judged(span, "this prompt")
            self._act_on(span.action, span.guard, span.kind)

    def filter(self, used: Used, let_go: Callable[[bytes], None]) -> Filter:
        """What a stream goes through. `used`: the tokens of the prompt and the answer so far; `let_go`: sends what may
        go to the client."""
        texts = self._texts(self.findings)
        codec = StrictCodec(self._codec(texts, used))
        return Filter(codec, self._offload, let_go, lambda: texts.gathered, hard=self._forms.hard)

    def gate(self, way_out: Filter) -> StreamGate | None:
        """What is before the `way_out` of a stream where somebody judges it, or it may be asked for once more."""
        panel, again = self._panel if self._panel.judges("output") else None, self._reask()
        if panel is None and again is None:
            return None
        return StreamGate(self._endpoint, panel, way_out, again.events if again is not None else None)

    def codec(self, used: Used) -> Codec:
        """The wire format of a stream. `used`: the tokens of the prompt and the answer so far."""
        return StrictCodec(self._codec(self._texts(self.findings), used))

    def _codec(self, texts: AnswerTexts, used: Used) -> Codec:
        if self._endpoint == "responses":
            return ResponsesCodec(texts, used)
        if self._endpoint == "messages":
            return MessagesCodec(texts, used)
        usage = self._fields.get("stream_options") or {}
        wants_usage = bool(isinstance(usage, dict) and usage.get("include_usage"))
        wanted = RequestedAnswer(_choices_in(self._fields), usage=wants_usage, results=self.tells_results)
        texts.most = max(MOST_TEXTS, 8 * wanted.choices)
        return ChoicesCodec(texts, used, self.results, wanted)

    async def whole(self, body: bytes) -> bytes:
        """An answer that is one JSON document, as it may go out. Raises AnswerUnreadable where it is none, and
        GuardFailed where it could not be judged."""
        answer = await self._offload.run_json(lambda: _document(body), len(body))
        if (again := self._reask()) is not None:
            await again.whole(answer)
        barred = self._panel.judges("output") and await self._is_barred(answer, len(body))
        work = partial(self._whole, answer, self.findings, barred=barred)
        return await self._offload.run(work, len(body), hard=self._forms.hard)

    async def copy(self, answer: bytes) -> bytes:
        """Another answer to the same request, filtered the same; its findings are nobody's."""
        return await self._offload.run(lambda: self._copied(answer), len(answer), hard=self._forms.hard)

    def _copied(self, answer: bytes) -> bytes:
        findings = Findings(self._key, self._pipeline.dry)
        if answer.startswith(b"{"):
            return self._whole(_document(answer), findings)
        other = GuardSession(self._pipeline, self._endpoint, self._key, self._judges, self._facts, self._offload)
        other._fields, other._masks, other._known, other._forms = self._fields, self._masks, self._known, self._forms
        codec = other.codec(lambda: (0, 0))
        try:
            return codec.feed(answer) + codec.finish()
        except StreamStopped as stop:
            return stop.last

    @property
    def summary(self) -> str:
        """What the header says: the guards, and what they found, without any of it."""
        return "; ".join([", ".join(self._pipeline.names), *self.findings.summary])

    def headers(self, others: Headers) -> Headers:
        """The headers of an answer, with what is known of its guards by now."""
        return [
            *(pair for pair in others if pair[0] != HEADER),
            (HEADER, self.summary.encode("ascii", "replace")[:2000]),
        ]

    def results(self, side: Side) -> dict[str, dict[str, bool]]:
        """Verdicts on that side by guard, in the form of Azure's `content_filter_results`."""
        made = {part.name: {"filtered": False, "detected": False} for part in self._pipeline.parts_on(side)}
        for one in self.findings.counts:
            if one.side == side:
                entry = made[one.guard]
                entry["detected"] = True
                entry["filtered"] = entry["filtered"] or one.action in ("block", "redact", "mask")
        return made

    def _reask(self) -> Reask | None:
        """What asks once more, where an answer has a form and a guard wants that."""
        if self._endpoint != "chat_completions" or self._fields.get("n") not in (None, 1):
            return None
        for part in self._pipeline.finals:
            guard = part.config
            if isinstance(guard, SchemaGuard) and guard.reask and not part.dry_run:
                schema = self._forms.of(guard)
                if schema is not None:
                    told = partial(self._asked_again, part.name)
                    asking = SecondAnswerClient(self._judges.again, guard.reask_timeout_s, told)
                    return Reask(self._fields, schema, asking, self._offload)
        return None

    def _asked_again(self, guard: str, again: SecondAnswer, text: str) -> None:
        prompt, answer = self.spent
        self.spent = (prompt + again.prompt_tokens, answer + again.answer_tokens)
        self.findings.add("output", FoundSpan(0, len(text), guard, "schema", "REASKED", "flag"), text)

    async def _is_barred(self, answer: Mapping[str, Any], length: int) -> bool:
        """Whether an answer of so many bytes may not go out at all."""
        said = await self._offload.run(lambda: spoken_in(self._endpoint, answer), length)
        found = await self._panel.answer(said)
        for span in found:
            check_judged(span, "the answer")
        return any(span.action == "block" for span in found)

    def _whole(self, answer: dict[str, Any], findings: Findings, *, barred: bool = False) -> bytes:
        texts = barred_texts() if barred else self._texts(findings)
        with readable():
            answer = filtered_answer(self._endpoint, answer, texts)
            if self._endpoint in ("chat_completions", "completions"):
                self._add_results(answer)
            return msgspec.json.encode(answer)

    def _add_results(self, answer: dict[str, Any]) -> None:
        """Says in an answer that is one document what was found, where that is asked for or the answer was ended."""
        choices = answer.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if self.tells_results or choice.get("finish_reason") == "content_filter":
                choice["content_filter_results"] = self.results("output")
        if self.tells_results:
            answer["prompt_filter_results"] = prompt_results(self.results("input"))

    def _act_on(self, action: Action, guard: str, kind: str) -> None:
        """Does about a prompt what is to be done about what was found in it."""
        if action == "block":
            refused = ContentFiltered(f"The guard '{guard}' does not let this prompt through ({kind}).")
            refused.results = self.results("input") if self.tells_results else None
            raise refused
        if action == "route":
            raise Rerouted(guard, self._pipeline.routes[guard])

    def _texts(self, findings: Findings) -> AnswerTexts:
        def note(released: Released) -> None:
            _note(findings, "output", released)

        def make(escaped: bool) -> Channel:
            return Channel(self._pipeline.watches("output", self._known, escaped=escaped), _marker, is_json=escaped)

        finals = self._pipeline.finals
        final = FinalJudge(finals, self._fields, self._forms, findings.on("output")) if finals else None
        return AnswerTexts(make, note, self._masks, final)

    def _system_prompt(self) -> SuffixAutomaton | None:
        """The system prompt's, where a guard keeps it."""
        if not self._pipeline.leaks:
            return None
        text = letters(system_prompt(self._fields)[:_PROMPT_LIMIT])
        return _automaton(text) if text else None

    def _prompt_text(self, text: str, role: str, escaped: bool) -> str:
        if role not in TRUSTED:
            for span in self._pipeline.judged(text):
                self.findings.add("input", span, text)
        watches = self._pipeline.watches("input", None, escaped=escaped)
        if not watches:
            return text
        channel = Channel(watches, _Masking(self._masks, text), is_json=escaped)
        first, last = channel.feed(text), channel.finish()
        for released in (first, last):
            _note(self.findings, "input", released)
        return first.text + last.text


class _Masking:
    """A marker that gives masks for what is to be masked."""

    def __init__(self, masks: Masks, text: str) -> None:
        self._masks = masks
        self._text = text

    def __call__(self, span: FoundSpan) -> str:
        return (
            self._masks.mask(span.kind, self._text[span.start : span.end]) if span.action == "mask" else _marker(span)
        )


def _document(body: bytes) -> dict[str, Any]:
    try:
        answer = decoded(body)
    except InvalidRequest as error:
        raise AnswerUnreadable from error
    if not isinstance(answer, dict):
        raise AnswerUnreadable
    return answer


def _choices_in(fields: Mapping[str, Any]) -> int:
    """How many choices a request asks for: so many for each of its prompts, of which a list of tokens is one."""
    number, prompts = fields.get("n"), fields.get("prompt")
    each = number if isinstance(number, int) and number > 0 else 1
    if not isinstance(prompts, list) or any(isinstance(part, int) for part in prompts):
        return each
    return each * max(1, len(prompts))


def _marker(span: FoundSpan) -> str:
    return f"[{span.kind}]"


@lru_cache(maxsize=64)
def _automaton(text: str) -> SuffixAutomaton:
    """Requests of one application have one system prompt."""
    return SuffixAutomaton(text)


def _note(findings: Findings, side: Side, released: Released) -> None:
    for span, text in zip(released.spans, released.texts, strict=True):
        findings.add(side, span, text)
