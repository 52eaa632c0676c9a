"""The sending of one try, and the reading of all that comes back, within a time limit."""

import asyncio
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp

from loadtests.attack.tries import Answer, Try

# After so long a client goes away. What is legal may take longer, so going away is none's fault.
PATIENCE_S = 20.0
_READ = 4 << 20
_DETAIL = 300
_NOT_IMPLEMENTED = 501
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
# An event of a stream that says that the server failed, in OpenAI's words or Anthropic's.
_FAILED = re.compile(
    rb'"type":\s*"(?:server_error|api_error|InternalServerError|Internal Server Error|response\.failed)"'
    rb'|"code":\s*50\d\b'
)


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of a Patchbay's two ports. `token`: of the admin port, where it asks for one."""

    clients: str
    operators: str
    token: str = ""

    @property
    def shown(self) -> dict[str, str]:
        """The headers that open the admin port."""
        return {"authorization": f"Bearer {self.token}"} if self.token else {}


class Sender:
    """Sends tries to a Patchbay. Used within the `session`'s life."""

    def __init__(self, session: aiohttp.ClientSession, addresses: Addresses) -> None:
        self._session = session
        self._addresses = addresses

    async def send(self, attempt: Try) -> Answer:
        """Sends a try and returns its answer. Never raises: a connection that breaks is an answer too."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await (self._on_wire(attempt) if attempt.door == "wire" else self._by_http(attempt))
        except TimeoutError:
            return Answer(0, left=True)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Answer(0, detail=f"{type(error).__name__}: {error}"[:_DETAIL])

    async def _by_http(self, attempt: Try) -> Answer:
        inside = attempt.door == "operators"
        base, shown = (self._addresses.operators, self._addresses.shown) if inside else (self._addresses.clients, {})
        headers = {"content-type": "application/json", **shown, **attempt.headers}
        async with self._session.post(base + attempt.path, data=attempt.body, headers=headers) as response:
            body = await _read(response)
            failed = response.status >= 500 or (_streamed(response) and _FAILED.search(body) is not None)
            end = body[-_DETAIL:] if failed and response.status < 400 else body[:_DETAIL]
            return Answer(response.status, failed, detail=end.decode(errors="replace"))

    async def _on_wire(self, attempt: Try) -> Answer:
        address = urlsplit(self._addresses.clients)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        try:
            await _write(writer, attempt)
            received = await _until_quiet(reader)
        finally:
            writer.close()
        statuses = [int(found) for found in _STATUS.findall(received)]
        worst = max(statuses, default=0)
        # A coding that no server here implements is a 501 by RFC 9112, section 6.1, and the client's doing.
        failed = any(status >= 500 and status != _NOT_IMPLEMENTED for status in statuses)
        return Answer(worst, failed, detail=received[:_DETAIL].decode(errors="replace"))


def _streamed(response: aiohttp.ClientResponse) -> bool:
    return response.content_type == "text/event-stream"


async def _read(response: aiohttp.ClientResponse) -> bytes:
    parts = bytearray()
    async for chunk in response.content.iter_any():
        if len(parts) < _READ:
            parts += chunk
    return bytes(parts)


async def _write(writer: asyncio.StreamWriter, attempt: Try) -> None:
    piece = attempt.piece or len(attempt.body) or 1
    for start in range(0, len(attempt.body), piece):
        writer.write(attempt.body[start : start + piece])
        await writer.drain()
        if attempt.pause_s:
            await asyncio.sleep(attempt.pause_s)


async def _until_quiet(reader: asyncio.StreamReader, quiet_s: float = 2.0) -> bytes:
    received = bytearray()
    try:
        while chunk := await asyncio.wait_for(reader.read(65536), quiet_s):
            received += chunk
    except TimeoutError:
        pass
    return bytes(received)
