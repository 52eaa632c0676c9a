"""Guard session: one request under its guards, with its prompt, its answer and the findings in both."""

import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

import msgspec

from patchbay.core.asgi import Headers
from patchbay.core.errors import AnswerUnreadable, ContentFiltered, InvalidRequest, RequestError
from patchbay.core.json_body import decoded, encoded
from patchbay.core.offload import Offload
from patchbay.guards.config import SchemaGuard
from patchbay.guards.constrain import constrain
from patchbay.guards.entities.adapter_finder import blocking
from patchbay.guards.final_checks import AnswerSchemas, FinalJudge, answer_schemas, client_schema_guards
from patchbay.guards.findings import Findings
from patchbay.guards.formats.codec import Codec, StreamStopped, Used
from patchbay.guards.formats.completions import ChoicesCodec, RequestedAnswer, prompt_results
from patchbay.guards.formats.document import WITH_TEXT, filtered_answer, filtered_error
from patchbay.guards.formats.filter import Filter
from patchbay.guards.formats.messages import MessagesCodec
from patchbay.guards.formats.plain_text import spoken_in
from patchbay.guards.formats.responses import ResponsesCodec
from patchbay.guards.formats.shut import ShutCodec, shut
from patchbay.guards.formats.texts import MOST_TEXTS, AnswerTexts, blocked_texts
from patchbay.guards.judges.judge import TextOrigin
from patchbay.guards.judges.judges import Judges
from patchbay.guards.judges.panel import JudgePanel, check_judged
from patchbay.guards.masks import MaskMarker, Masks, plain_marker, session_secret
from patchbay.guards.pipeline import Pipeline
from patchbay.guards.prompts import (
    TRUSTED,
    PromptText,
    conversation_start,
    document_texts,
    system_prompt,
    untrusted_text,
    visit_prompt,
)
from patchbay.guards.reask import Reask, SecondAnswer, SecondAnswerClient
from patchbay.guards.scan.short_texts import MOST_SHORT, suspects
from patchbay.guards.stream.channel import Channel, Released
from patchbay.guards.stream.leak_watch import SuffixAutomaton, letters
from patchbay.guards.stream_gate import StreamGate
from patchbay.guards.verdict import Action, FoundSpan, Side

HEADER = b"x-patchbay-guards"
# Characters of a system prompt that are watched for: the automaton's memory grows with them.
_PROMPT_LIMIT = 64 * 1024


class Rerouted(RequestError):
    """Raised where a guard sends the request to another route, `route`."""

    def __init__(self, *, guard: str, route: str) -> None:
        super().__init__(f"The guard '{guard}' sends this request elsewhere.")
        self.guard = guard
        self.route = route


class GuardSession:
    """Runs one request through its guards: first its prompt, then its answer.

    `endpoint`: the endpoint's name; `key`: makes the marks of findings; `judges`: the judges that guards ask; `facts`:
    what judges learn beside the text; `offload`: runs long work in threads. `tells_results`: whether the answer's body
    reports what was found; `spent`: prompt and answer tokens that guards used beyond the request's own.
    """

    def __init__(
        self, *, pipeline: Pipeline, endpoint: str, key: bytes, judges: Judges, facts: TextOrigin, offload: Offload
    ) -> None:
        self._pipeline = pipeline.waits_by(offload.waiting)
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
        self._mask_secrets: Mapping[str, bytes] = {}
        self._fields: dict[str, Any] = {}
        self._system_prompt: SuffixAutomaton | None = None
        self._schemas = AnswerSchemas()
        self._body_bytes = 0
        self._began = 0.0

    @property
    def masked(self) -> bool:
        """Whether anything in the prompt is masked."""
        return bool(self._masks.originals)

    @property
    def looks_at_answers(self) -> bool:
        """Whether the answer has to go through this session."""
        return self._endpoint in WITH_TEXT and (self._pipeline.looks_at_answers or self.masked)

    @property
    def _is_hard(self) -> bool:
        """Whether even a short answer may take long."""
        return self._schemas.hard or self._pipeline.asks_in("output")

    async def checked(self, body: bytes) -> bytes:
        """Checks a request's body, and returns it as it may go on to the engine.

        Raises ContentFiltered where a guard blocks it, Rerouted where a guard sends it to another route, InvalidRequest
        where it cannot be read, and GuardFailed where a guard could not look at it.
        """
        self._body_bytes = len(body)
        self._pipeline = self._pipeline.asks_by(blocking(self._judges.ask, self._facts.request))
        # A schema of a kilobyte has patterns that take long to compile.
        hard = bool(client_schema_guards(self._pipeline.finals)) or self._pipeline.asks_in("input")
        return await self._offload.run(lambda: self._checked(body), len(body), hard=hard)

    def _checked(self, body: bytes) -> bytes:
        self._began = time.monotonic()
        self._fields = fields = decoded(body)
        self._schemas = answer_schemas(self._pipeline.finals, fields)
        if stable := self._pipeline.stable_masks:
            secret = session_secret(self._key, self._facts.tenant, conversation_start(fields))
            self._mask_secrets = dict.fromkeys(stable, secret)
        visit_prompt(self._endpoint, fields, self._prompt_visitor(fields))
        self._panel.tell_documents(document_texts(fields))
        for finding in self.findings.counts:
            self._act_on(finding.action, finding.guard, finding.kind)
        self._system_prompt = self._system_prompt_automaton()
        self._constrain(fields)
        # Encoded again even where nothing changed: if a name stands twice in the body, the engine might read the first
        # one while the guards read the last.
        return encoded(fields)

    def _constrain(self, fields: dict[str, Any]) -> None:
        """Has the engine generate by a guard's schema: the first guard's, as there can be only one."""
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
        """Whether a judge has to be asked about the prompt."""
        return self._panel.judges("input")

    async def judge_prompt(self) -> None:
        """Asks judges about the prompt, once it was `checked`.

        Raises ContentFiltered and Rerouted as that does, and GuardFailed where there is no verdict.
        """
        text = await self._offload.run(lambda: untrusted_text(self._endpoint, self._fields), self._body_bytes)
        for span in await self._panel.prompt(text):
            check_judged(span, "this prompt")
            self._act_on(span.action, span.guard, span.kind)

    def filter(self, used: Used, send: Callable[[bytes], None]) -> Filter:
        """Returns a filter for a streamed answer. `used`: returns the tokens of the prompt and the answer so far;
        `send`: sends bytes to the client."""
        texts = self._texts(self.findings)
        codec = self._codec(texts, used)
        return Filter(codec, self._offload, send, lambda: texts.gathered, hard=self._is_hard)

    def gate(self, output: Filter) -> StreamGate | None:
        """Returns the gate before a stream's filter, `output`; None where no judge and no second answer needs one."""
        panel, reask = self._panel if self._panel.judges("output") else None, self._reask()
        if panel is None and reask is None:
            return None
        return StreamGate(self._endpoint, panel, output, reask.events if reask is not None else None)

    def codec(self, used: Used) -> Codec:
        """Returns the codec of a stream's wire format. `used`: returns the tokens of the prompt and the answer so
        far."""
        return self._codec(self._texts(self.findings), used)

    def _codec(self, texts: AnswerTexts, used: Used) -> Codec:
        return ShutCodec(self._format_codec(texts, used))

    def _format_codec(self, texts: AnswerTexts, used: Used) -> Codec:
        if self._endpoint == "responses":
            return ResponsesCodec(texts, used)
        if self._endpoint == "messages":
            return MessagesCodec(texts, used)
        options = self._fields.get("stream_options") or {}
        wants_usage = bool(isinstance(options, dict) and options.get("include_usage"))
        wanted = RequestedAnswer(choices=_count_choices(self._fields), usage=wants_usage, results=self.tells_results)
        texts.most = max(MOST_TEXTS, 8 * wanted.choices)
        return ChoicesCodec(texts, used, self.results, wanted)

    async def whole(self, body: bytes) -> bytes:
        """Filters an answer that is one JSON document. Raises AnswerUnreadable where it is none, and GuardFailed where
        it could not be judged."""
        answer = await self._offload.run_json(lambda: _document(body), len(body))
        if (reask := self._reask()) is not None:
            await reask.whole(answer)
        blocked = self._panel.judges("output") and await self._is_blocked(answer, len(body))
        work = partial(self._filter_document, answer, self.findings, blocked=blocked)
        return await self._offload.run(work, len(body), hard=self._is_hard)

    async def error(self, body: bytes) -> bytes | None:
        """Filters the body of an error, which may quote the prompt or the answer. Returns None where a guard blocks
        it."""
        return await self._offload.run(lambda: self._filter_error(body), len(body), hard=self._is_hard)

    def _filter_error(self, body: bytes) -> bytes | None:
        try:
            decoded_body: Any = decoded(body)
        except InvalidRequest:
            # A page or a bare text: all of it is text.
            decoded_body = None
        with shut():
            error = body.decode("utf-8", "replace") if decoded_body is None else decoded_body
            filtered, blocked = filtered_error(error, self._texts(self.findings))
            if blocked:
                return None
            return str(filtered).encode() if decoded_body is None else msgspec.json.encode(filtered)

    async def copy(self, answer: bytes) -> bytes:
        """Filters another answer to the same request in the same way, without reporting what is found in it."""
        return await self._offload.run(lambda: self._filter_copy(answer), len(answer), hard=self._is_hard)

    def _filter_copy(self, answer: bytes) -> bytes:
        findings = Findings(self._key, self._pipeline.dry)
        if answer.startswith(b"{"):
            return self._filter_document(_document(answer), findings)
        other = GuardSession(
            pipeline=self._pipeline,
            endpoint=self._endpoint,
            key=self._key,
            judges=self._judges,
            facts=self._facts,
            offload=self._offload,
        )
        other._fields, other._masks, other._schemas = self._fields, self._masks, self._schemas
        other._system_prompt = self._system_prompt
        codec = other.codec(lambda: (0, 0))
        try:
            return codec.feed(answer) + codec.finish()
        except StreamStopped as stop:
            return stop.last

    @property
    def summary(self) -> str:
        """The header's value: the guards that found something, with the kinds of it, never the text; empty for none."""
        return "; ".join(self.findings.summary)

    def headers(self, others: Headers) -> Headers:
        """Returns an answer's headers with the guards' header, where there are findings by now."""
        own = [(HEADER, self.summary.encode("ascii", "replace")[:2000])] if self.summary else []
        return [*(pair for pair in others if pair[0] != HEADER), *own]

    def results(self, side: Side) -> dict[str, dict[str, bool]]:
        """Returns the verdicts on `side` by guard, in the form of Azure's `content_filter_results`."""
        results = {part.name: {"filtered": False, "detected": False} for part in self._pipeline.parts_on(side)}
        for finding in self.findings.counts:
            if finding.side == side:
                entry = results[finding.guard]
                entry["detected"] = True
                entry["filtered"] = entry["filtered"] or finding.action in ("block", "redact", "mask")
        return results

    def _reask(self) -> Reask | None:
        """Returns what asks for a second answer; None where the answer has no schema, or no guard wants that."""
        if self._endpoint != "chat_completions" or self._fields.get("n") not in (None, 1):
            return None
        for part in self._pipeline.finals:
            guard = part.config
            if isinstance(guard, SchemaGuard) and guard.reask and not part.dry_run:
                schema = self._schemas.of(guard)
                if schema is not None:
                    on_answer = partial(self._note_second_answer, part.name)
                    client = SecondAnswerClient(self._judges.again, guard.reask_timeout_s, on_answer)
                    return Reask(self._fields, schema, client, self._offload)
        return None

    def _note_second_answer(self, guard: str, second: SecondAnswer, text: str) -> None:
        prompt, answer = self.spent
        self.spent = (prompt + second.prompt_tokens, answer + second.answer_tokens)
        self.findings.add(
            "output", FoundSpan(start=0, end=len(text), guard=guard, rule="schema", kind="REASKED", action="flag"), text
        )

    async def _is_blocked(self, answer: Mapping[str, Any], length: int) -> bool:
        """Whether judges block an answer, of `length` bytes, as a whole."""
        texts = await self._offload.run(lambda: spoken_in(self._endpoint, answer), length)
        spans = await self._panel.answer(texts)
        for span in spans:
            check_judged(span, "the answer")
        return any(span.action == "block" for span in spans)

    def _filter_document(self, answer: dict[str, Any], findings: Findings, *, blocked: bool = False) -> bytes:
        texts = blocked_texts() if blocked else self._texts(findings)
        with shut():
            answer = filtered_answer(self._endpoint, answer, texts)
            if self._endpoint in ("chat_completions", "completions"):
                self._add_results(answer)
            return msgspec.json.encode(answer)

    def _add_results(self, answer: dict[str, Any]) -> None:
        """Adds to a document the verdicts on it, where the client asks for them or a guard ended the answer."""
        choices = answer.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if self.tells_results or choice.get("finish_reason") == "content_filter":
                choice["content_filter_results"] = self.results("output")
        if self.tells_results:
            answer["prompt_filter_results"] = prompt_results(self.results("input"))

    def _act_on(self, action: Action, guard: str, kind: str) -> None:
        """Applies the action for a finding in the prompt. Raises ContentFiltered or Rerouted."""
        if action == "block":
            error = ContentFiltered(f"The guard '{guard}' does not let this prompt through ({kind}).")
            error.results = self.results("input") if self.tells_results else None
            raise error
        if action == "route":
            raise Rerouted(guard=guard, route=self._pipeline.routes[guard])

    def _texts(self, findings: Findings) -> AnswerTexts:
        def note(released: Released) -> None:
            _note(findings, "output", released)

        def make(escaped: bool, lead: str) -> Channel:
            watches = self._pipeline.watches("output", self._system_prompt, escaped=escaped, lead=lead)
            return Channel(watches, plain_marker, is_json=escaped)

        finals = self._pipeline.finals
        final = FinalJudge(finals, self._fields, self._schemas, findings.on("output")) if finals else None
        may_match = partial(self._pipeline.may_match, "output")
        return AnswerTexts(make=make, note=note, masks=self._masks, final=final, may_match=may_match)

    def _system_prompt_automaton(self) -> SuffixAutomaton | None:
        """The automaton of the request's system prompt; None where no guard protects it."""
        if not self._pipeline.leaks:
            return None
        text = letters(system_prompt(self._endpoint, self._fields)[:_PROMPT_LIMIT])
        return self._pipeline.automata.automaton(text) if text else None

    def _prompt_visitor(self, fields: dict[str, Any]) -> Callable[[PromptText], str]:
        """Returns what filters each text of the request `fields`."""
        short: set[str] = set()
        if self._pipeline.asks_in("input"):
            return partial(self._filter_prompt_text, self._pipeline.asked_ahead(self._endpoint, fields), short)
        if not self._pipeline.has_patterns("input"):
            return partial(self._filter_prompt_text, self._pipeline, short)

        def note(one: PromptText) -> str:
            if not one.escaped and len(one.text) <= MOST_SHORT:
                short.add(one.lead + one.text)
            return one.text

        visit_prompt(self._endpoint, dict(fields), note)
        clean = short - suspects(short, partial(self._pipeline.may_match, "input"))
        return partial(self._filter_prompt_text, self._pipeline, clean)

    def _filter_prompt_text(self, looks: Pipeline, clean: Collection[str], one: PromptText) -> str:
        """Looks for findings in one text of the prompt, and returns it redacted and masked. `looks`: the pipeline to
        look with; `clean`: texts, each behind its lead, in which no rule and no word can match."""
        text, role, escaped, lead = one
        if role not in TRUSTED:
            for span in self._pipeline.judged(text, role, lambda: time.monotonic() - self._began):
                self.findings.add("input", span, text)
        if not escaped and lead + text in clean:
            return text
        watches = looks.watches("input", None, escaped=escaped, lead=lead)
        if not watches:
            return text
        marker = MaskMarker(self._masks, text, escaped, self._mask_secrets)
        channel = Channel(watches, marker, is_json=escaped)
        first, last = channel.feed(text), channel.finish()
        for released in (first, last):
            _note(self.findings, "input", released)
        return first.text + last.text


def _document(body: bytes) -> dict[str, Any]:
    try:
        answer = decoded(body)
    except InvalidRequest as error:
        raise AnswerUnreadable from error
    if not isinstance(answer, dict):
        raise AnswerUnreadable
    return answer


def _count_choices(fields: Mapping[str, Any]) -> int:
    """Counts the choices that a request asks for, for all of its prompts. A list of token ids is one prompt."""
    number, prompts = fields.get("n"), fields.get("prompt")
    each = number if isinstance(number, int) and number > 0 else 1
    if not isinstance(prompts, list) or any(isinstance(part, int) for part in prompts):
        return each
    return each * max(1, len(prompts))


def _note(findings: Findings, side: Side, released: Released) -> None:
    for span, text in zip(released.spans, released.texts, strict=True):
        findings.add(side, span, text)
