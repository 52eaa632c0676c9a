"""The calls that the control loop makes to a replica's internal API."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from patchbay.core.errors import PatchbayError, Unavailable
from patchbay.core.json_body import UNREADABLE
from patchbay.registry.records import FileRecord
from patchbay.router.control.plan import Put
from patchbay.router.fleet.fleet import Fleet
from patchbay.router.http.headers import REVISION
from patchbay.router.upstream.client import Call, Document, ReplicaClient
from patchbay.router.upstream.failure import ReplicaFailure
from patchbay.router.upstream.link import Link

# Fetching a large adapter takes long. The replica goes on when this time is over, and the next look shows the result.
_PUT_S = 120.0
# A removal waits for the requests that use the revision.
_DROP_S = 900.0
_ANSWER_S = 60.0
# The largest answer to a golden prompt, in bytes; it has 512 tokens at most.
_ANSWER_LIMIT = 1024 * 1024
# In what vLLM says of a chat with a base that has no chat template.
_NO_TEMPLATE = "chat template"
_FINAL = frozenset({400, 404, 409, 422})


class ReplicaRefused(PatchbayError):
    """Error: a replica did not do what it was asked. `final`: whether asking again is pointless."""

    def __init__(self, message: str, *, final: bool) -> None:
        super().__init__(message)
        self.final = final


class _Error(msgspec.Struct, frozen=True):
    message: str = ""


class _ErrorBody(msgspec.Struct, frozen=True):
    error: _Error


class _Message(msgspec.Struct, frozen=True, kw_only=True):
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    tool_calls: tuple[msgspec.Raw, ...] | None = None


class _Choice(msgspec.Struct, frozen=True):
    message: _Message = _Message()
    text: str | None = None


class _Completion(msgspec.Struct, frozen=True):
    choices: tuple[_Choice, ...]


class _Base(msgspec.Struct, frozen=True):
    layout: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class TrialAnswer:
    """Answer of a model that is tried. `text`: what it says; `thinks_or_calls`: whether it also thinks, or calls a
    tool: with a parser for these its text may be empty."""

    text: str
    thinks_or_calls: bool = False

    @property
    def empty(self) -> bool:
        """Whether there is nothing in it at all. White space is something."""
        return not self.text and not self.thinks_or_calls


@dataclass(frozen=True, slots=True)
class ReplicaControl:
    """Calls one replica's internal API. A call raises ReplicaRefused where the replica refuses, ReplicaFailure where it
    does not answer."""

    client: ReplicaClient
    token: str | None

    async def put(self, put: Put, files: Sequence[FileRecord]) -> None:
        """Has the replica fetch, check and declare a revision, and load it where `put` says so. `files`: the
        revision's."""
        wanted = put.wanted
        body = {
            "revision": wanted.number,
            "digest": wanted.digest,
            "base": wanted.base,
            "files": [{"name": file.name, "sha256": file.sha256, "size": file.size} for file in files],
            "load": put.load,
            "pin": wanted.settings.pin,
        }
        _accepted(await self._send("PUT", f"/internal/adapters/{wanted.adapter}", body, timeout_s=_PUT_S))

    async def drop(self, name: str) -> None:
        """Has the replica remove the revision `name` (`sql@3`), once nobody uses it. It need not have it."""
        answer = await self._send("DELETE", f"/internal/adapters/{name}", None, timeout_s=_DROP_S)
        if answer.status != 404:
            _accepted(answer)

    async def base(self) -> Mapping[str, Any] | None:
        """Returns the layout of its base model as JSON (adapters.checks.base), None where it cannot read that
        itself."""
        document = await self._send("GET", "/internal/base", None, timeout_s=_ANSWER_S)
        _accepted(document)
        try:
            layout = msgspec.json.decode(document.body, type=_Base).layout
        except UNREADABLE as error:
            raise ReplicaRefused(f"it describes its base model in an unknown form: {error}", final=False) from error
        return layout

    async def answer(self, model: str, engine_name: str | None, request: Mapping[str, Any]) -> TrialAnswer:
        """Returns what `model` answers to a chat `request`; `engine_name`: the exact revision that must give it.

        A base without a chat template is asked to go on with the messages' text.
        """
        try:
            return await self._answer("/v1/chat/completions", {**request, "model": model}, engine_name)
        except ReplicaRefused as error:
            if _NO_TEMPLATE not in error.message:
                raise
        plain = {name: value for name, value in request.items() if name != "messages"}
        prompt = "\n".join(str(message["content"]) for message in request["messages"])
        return await self._answer("/v1/completions", {**plain, "model": model, "prompt": prompt}, engine_name)

    async def _answer(self, path: str, body: dict[str, Any], engine_name: str | None) -> TrialAnswer:
        headers = [(REVISION, engine_name.encode())] if engine_name else []
        document = await self._send("POST", path, body, headers=headers, timeout_s=_ANSWER_S)
        _accepted(document)
        if len(document.body) > _ANSWER_LIMIT:
            raise ReplicaRefused(f"its answer is over {_ANSWER_LIMIT} bytes", final=False)
        try:
            completion = msgspec.json.decode(document.body, type=_Completion)
        except UNREADABLE as error:
            raise ReplicaRefused(f"its answer is no completion: {error}", final=False) from error
        if not completion.choices:
            raise ReplicaRefused("its answer has no choice", final=False)
        choice = completion.choices[0]
        message = choice.message
        more = message.reasoning or message.reasoning_content or message.tool_calls
        return TrialAnswer(choice.text or message.content or "", bool(more))

    async def _send(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None,
        *,
        headers: Sequence[tuple[bytes, bytes]] = (),
        timeout_s: float,
    ) -> Document:
        sent = [(b"accept-encoding", b"identity"), *headers]
        if self.token is not None:
            sent.append((b"authorization", f"Bearer {self.token}".encode()))
        if body is not None:
            sent.append((b"content-type", b"application/json"))
        call = Call(method=method, path=path, headers=sent, body=b"" if body is None else json.dumps(body).encode())
        try:
            return await self.client.fetch(call, timeout_s=timeout_s)
        except Unavailable as error:
            raise ReplicaFailure(f"it could not be asked: {error.message}", kind="busy") from error


class ReplicaControls(Mapping[str, ReplicaControl]):
    """The internal APIs of the present replicas, by name.

    One that has just gone can still be looked up: calls to it fail like those to any replica that cannot be reached.
    """

    def __init__(self, fleet: Fleet, links: Mapping[str, Link]) -> None:
        self._fleet = fleet
        self._links = links
        self._known: dict[str, ReplicaControl] = {}

    def __getitem__(self, name: str) -> ReplicaControl:
        link = self._links.get(name)
        if link is not None:
            self._known[name] = ReplicaControl(link.client, link.token)
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._fleet.doubts))

    def __len__(self) -> int:
        return len(self._fleet.doubts)


def _accepted(document: Document) -> None:
    if document.status < 300:
        return
    try:
        message = msgspec.json.decode(document.body, type=_ErrorBody).error.message
    except UNREADABLE:
        message = ""
    raise ReplicaRefused(message or f"it answers {document.status}", final=document.status in _FINAL)
