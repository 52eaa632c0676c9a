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

# Fetching a large adapter takes its time, and the replica goes on where we give up waiting: the next look shows it.
_PUT_S = 120.0
# A removal waits for the requests that use the revision.
_DROP_S = 900.0
_ANSWER_S = 60.0
# Of a golden prompt's answer, which has 512 tokens at most.
_ANSWER_LIMIT = 1024 * 1024
_FINAL = frozenset({400, 404, 409, 422})


class ReplicaRefused(PatchbayError):
    """A replica did not do what it was asked. `final`: whether asking again is of no use."""

    def __init__(self, message: str, *, final: bool) -> None:
        super().__init__(message)
        self.final = final


class _Error(msgspec.Struct, frozen=True):
    message: str = ""


class _ErrorBody(msgspec.Struct, frozen=True):
    error: _Error


class _Message(msgspec.Struct, frozen=True):
    content: str | None = None


class _Choice(msgspec.Struct, frozen=True):
    message: _Message


class _Completion(msgspec.Struct, frozen=True):
    choices: tuple[_Choice, ...]


class _Base(msgspec.Struct, frozen=True):
    layout: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ReplicaControl:
    """One replica's internal API. A call raises Refused where it says no, ReplicaFailure where it is silent."""

    client: ReplicaClient
    token: str | None

    async def put(self, put: Put, files: Sequence[FileRecord]) -> None:
        """Has the replica fetch, check and declare a revision, and load it where `put` says so."""
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
        """Has the replica remove the revision `sql@3`, once nobody uses it. One that it has not is fine."""
        answer = await self._send("DELETE", f"/internal/adapters/{name}", None, timeout_s=_DROP_S)
        if answer.status != 404:
            _accepted(answer)

    async def base(self) -> Mapping[str, Any] | None:
        """The layout of its base model as JSON (adapters.admission.base), None where it cannot read that itself."""
        document = await self._send("GET", "/internal/base", None, timeout_s=_ANSWER_S)
        _accepted(document)
        try:
            layout = msgspec.json.decode(document.body, type=_Base).layout
        except UNREADABLE as error:
            raise ReplicaRefused(f"its base model is told in an unknown form: {error}", final=False) from error
        return layout

    async def answer(self, model: str, engine_name: str | None, request: dict[str, Any]) -> str:
        """What `model` answers to a chat request; `engine_name`: the exact revision that must give it."""
        headers = [(REVISION, engine_name.encode())] if engine_name else []
        document = await self._send(
            "POST", "/v1/chat/completions", {**request, "model": model}, headers=headers, timeout_s=_ANSWER_S
        )
        _accepted(document)
        if len(document.body) > _ANSWER_LIMIT:
            raise ReplicaRefused(f"its answer is over {_ANSWER_LIMIT} bytes", final=False)
        try:
            completion = msgspec.json.decode(document.body, type=_Completion)
        except UNREADABLE as error:
            raise ReplicaRefused(f"its answer is no chat completion: {error}", final=False) from error
        if not completion.choices:
            raise ReplicaRefused("its answer has no choice", final=False)
        return completion.choices[0].message.content or ""

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
            raise ReplicaFailure(f"it was not asked: {error.message}", kind="busy") from error


class ReplicaControls(Mapping[str, ReplicaControl]):
    """The internal APIs of the replicas that there are, by name. One that has just gone can still be had: calls to it
    fail as those to any replica that cannot be reached."""

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
