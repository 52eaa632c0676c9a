"""Step of a request for a response: puts the conversation that it goes on from into it, and has its answer kept."""

from functools import partial

from patchbay.core.errors import ConversationTooLong
from patchbay.core.offload import Offload
from patchbay.router.forward.exchange import Exchange
from patchbay.router.request.incoming import Incoming
from patchbay.router.responses.answers import KeepCase
from patchbay.router.responses.asked import AskedResponse, read_options
from patchbay.router.responses.conversation import expanded
from patchbay.router.responses.kept_responses import KeptResponses, previous_is_off
from patchbay.router.responses.response_keeper import ResponseKeeper
from patchbay.router.settings.config import RouterConfig
from patchbay.router.telemetry.response_metrics import ResponseMetrics


class ResponseStep:
    """The step that goes on from kept responses, and keeps new ones. `kept`: holds them, None without a registry;
    `offload`: does slow work."""

    def __init__(
        self, kept: KeptResponses | None, config: RouterConfig, metrics: ResponseMetrics, offload: Offload
    ) -> None:
        self._kept = kept
        self._config = config
        self._metrics = metrics
        self._offload = offload

    async def begin(self, exchange: Exchange, tenant: str, body: bytes) -> tuple[bytes, AskedResponse]:
        """Reads what a request asks, and returns its body with all that it goes on from, as replicas are to get it.

        Raises InvalidRequest, and Unavailable where the registry does not answer.
        """
        options = await self._offload.run_json(partial(read_options, body), len(body))
        if options.previous is None:
            return body, AskedResponse(options)
        if self._kept is None:
            raise previous_is_off(options.previous)
        end = await self._kept.link(tenant, options.previous)
        exchange.arrival.request.grow(end.size)
        turns = await self._kept.turns(end)
        body, earlier = await self._offload.run_json(partial(expanded, body, turns), len(body) + end.size)
        most = self._config.max_body_bytes
        if len(body) > most:
            raise ConversationTooLong(f"with this request it has {len(body)} bytes, and may have {most}")
        return body, AskedResponse(options, end, earlier)

    def keeper(self, incoming: Incoming, body: bytes) -> ResponseKeeper | None:
        """Makes who keeps the answer, or says in it that it is not kept; None where the answer stays as it is.

        `body`: as it goes to the replica, so what guards took out of it is not kept.
        """
        asked = incoming.response
        if asked is None:
            return None
        keeps = self._kept is not None and self._config.responses.store
        # Who does not say expects to be told only where something may be kept.
        tells = keeps if asked.options.store is None else asked.options.store
        if not tells and asked.previous is None:
            return None
        session = incoming.exchange.guard_session
        # The answer has in it again what was masked in the prompt.
        masked = session is not None and session.masked
        wanted = keeps and asked.options.store is not False
        queue = self._kept.queue if self._kept is not None and wanted and not masked else None
        case = KeepCase(
            tenant=incoming.client.tenant,
            body=body,
            earlier=asked.earlier,
            previous=asked.previous,
            most_bytes=self._config.responses.max_bytes,
        )
        return ResponseKeeper(case, queue, self._offload, self._metrics, why="masked" if wanted and masked else None)
