"""The replica without an engine: it takes revisions, answers at once, and remembers what it must not have seen."""

import json
from dataclasses import dataclass, field

from aiohttp import web

from patchbay.core.names import engine_name
from patchbay.core.replica import BaseModelStatus, ReplicaStatus, RequestStatus, RevisionStatus, SlotStatus

TOKEN = "faults-replica"  # noqa: S105 - of servers on loopback that end with this run
# A mail address, which the guard of the run's routers redacts: a replica must never see it.
MARK = "jane.doe@example.org"
_SLOTS = 32


@dataclass
class Replica:
    """A fake replica on this event loop.

    `removed`: what it was asked to remove, as `sql@3`; `unredacted`: requests in which it saw the mark.
    """

    name: str = "replica-0"
    removed: list[str] = field(default_factory=list)
    unredacted: int = 0
    port: int = 0
    _revisions: dict[str, RevisionStatus] = field(default_factory=dict)
    _runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """The URL at which it listens."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listens on a free port."""
        app = web.Application(client_max_size=2**26)
        app.router.add_get("/health", self._health)
        app.router.add_get("/internal/status", self._status)
        app.router.add_get("/internal/base", self._base)
        app.router.add_put("/internal/adapters/{name}", self._put)
        app.router.add_delete("/internal/adapters/{reference}", self._delete)
        app.router.add_post("/v1/chat/completions", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Ends it."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response()

    async def _base(self, _: web.Request) -> web.Response:
        return web.json_response({"fingerprint": None, "layout": None})

    async def _status(self, _: web.Request) -> web.Response:
        held = tuple(self._revisions.values())
        status = ReplicaStatus(
            replica=self.name,
            phase="ready",
            base=BaseModelStatus(name="base", source="faults", quantization=None, max_model_len=4096, fingerprint=None),
            tasks=("generate",),
            revisions=held,
            slots=SlotStatus(slots=_SLOTS, slots_used=len(held), cpu=_SLOTS, cpu_used=len(held)),
            requests=RequestStatus(running=0, waiting=0, kv_cache_use=0.0),
        )
        return web.Response(text=status.model_dump_json(), content_type="application/json")

    async def _put(self, request: web.Request) -> web.Response:
        body, name = await request.json(), request.match_info["name"]
        number, digest = body["revision"], body["digest"]
        taken = RevisionStatus(
            adapter=name,
            number=number,
            digest=digest,
            engine_name=engine_name(name, number, digest),
            state="resident",
            tier="slot",
            references=0,
            pin=body["pin"],
        )
        self._revisions[f"{name}@{number}"] = taken
        return web.json_response(taken.model_dump(mode="json"))

    async def _delete(self, request: web.Request) -> web.Response:
        leaving = request.match_info["reference"]
        self.removed.append(leaving)
        gone = self._revisions.pop(leaving, None)
        return web.json_response({"removed": [gone.engine_name] if gone else []}, status=200 if gone else 404)

    async def _answer(self, request: web.Request) -> web.Response:
        text = await request.text()
        self.unredacted += MARK in text
        chosen = request.headers.get("x-patchbay-revision")
        if chosen is not None and chosen not in {revision.engine_name for revision in self._revisions.values()}:
            missing = {"error": {"message": f"{chosen} is not here", "type": "server_error"}}
            return web.json_response(missing, status=503, headers={"x-patchbay-missing": "1"})
        choice = {"index": 0, "message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4}
        completion = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": json.loads(text)["model"]}
        return web.json_response(completion | {"choices": [choice], "usage": usage})
