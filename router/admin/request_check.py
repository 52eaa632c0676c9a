"""The admin port's check of origins: refuses requests that another site's web page could have sent, before anything is
read.

Health is open to everybody, since probes use any host name.
"""

from patchbay.core.asgi import ASGIApp, Receive, Scope, Send
from patchbay.core.error_bodies import openai_body
from patchbay.core.errors import RequestError
from patchbay.router.http.origin_check import OriginCheck, check_change, check_site

_HEALTH = ("/healthz", "/readyz")
_UPLOAD = "/upload"
# A page's address may contain the token, and others may look at what a browser keeps of a page.
_PRIVATE = ((b"referrer-policy", b"no-referrer"), (b"cache-control", b"no-store"), (b"x-frame-options", b"DENY"))


class AdminRequestCheck:
    """Passes on to `app` the requests that `door` allows. An ASGI application."""

    def __init__(self, app: ASGIApp, door: OriginCheck) -> None:
        self._app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http" or scope["path"] in _HEALTH:
            await self._app(scope, receive, send)
            return
        try:
            self._check(scope)
        except RequestError as error:
            await _refuse(error, send)
            return

        async def sent(message: Scope) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_PRIVATE]
            await send(message)

        await self._app(scope, receive, sent)

    def _check(self, scope: Scope) -> None:
        method, headers = scope["method"], scope["headers"]
        self._door.check_host(headers)
        self._door.check_origin(headers)
        check_site(method, headers)
        check_change(method, headers, archive=scope["path"].endswith(_UPLOAD))


async def _refuse(error: RequestError, send: Send) -> None:
    headers = [(b"content-type", b"application/json"), *((k.encode(), v.encode()) for k, v in error.headers().items())]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": openai_body(error)})
