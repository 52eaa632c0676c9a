"""Answers about kept responses: the response again, its input, and its deletion."""

from functools import partial
from urllib.parse import parse_qs

import msgspec

from patchbay.core.errors import InvalidRequest, UnsupportedParameter
from patchbay.router.forward.exchange import Exchange
from patchbay.router.http.endpoints import RESPONSE, RESPONSE_CANCEL, RESPONSE_ITEMS, Endpoint, response_id
from patchbay.router.responses.answers import whole_response
from patchbay.router.responses.items import items_page, read_paging
from patchbay.router.responses.kept_responses import KeptResponses, not_found

_ENDPOINTS = (RESPONSE, RESPONSE_ITEMS, RESPONSE_CANCEL)
_NO_STREAM = "A kept response is not streamed again. Leave 'stream' out."
# OpenAI's own words: what is kept here has ended.
_NO_CANCEL = "Cannot cancel a synchronous response."


class ResponsePages:
    """The answers about kept responses. `kept`: holds them, None without a registry."""

    def __init__(self, kept: KeptResponses | None) -> None:
        self._kept = kept

    def has(self, endpoint: Endpoint) -> bool:
        """Whether `endpoint` is answered here."""
        return endpoint in _ENDPOINTS

    async def answer(self, exchange: Exchange) -> bytes:
        """Returns the JSON that answers a request about a kept response of its client's tenant.

        Raises NotFound, InvalidRequest, and Unavailable where the registry does not answer.
        """
        request, asked = exchange.arrival.request, exchange.asked
        name = response_id(request.path)
        if self._kept is None:
            raise not_found(name, is_off=True)
        if request.method == "DELETE":
            await self._kept.delete(asked.tenant, name)
            return msgspec.json.encode({"id": name, "object": "response", "deleted": True})
        if asked.endpoint is RESPONSE_ITEMS:
            paging = read_paging(request.query)
            return await self._kept.shown(asked.tenant, name, partial(items_page, paging=paging))
        if parse_qs(request.query).get(b"stream") == [b"true"]:
            raise UnsupportedParameter(_NO_STREAM, param="stream")
        whole = await self._kept.shown(asked.tenant, name, whole_response)
        if asked.endpoint is RESPONSE_CANCEL:
            raise InvalidRequest(_NO_CANCEL)
        return whole
