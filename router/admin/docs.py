"""The admin API's documentation: its OpenAPI document, and a Swagger UI that is served from here and not from a CDN."""

from pathlib import Path
from urllib.parse import urlencode

import fastapi_offline
from fastapi import Depends, FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles

from patchbay.router.admin.roles import TOKEN, Allowed

OPENAPI = "/admin/v1/openapi.json"
DOCS = "/admin/v1/docs"
_STATIC = "/admin/v1/static"


def add_docs(app: FastAPI, allowed: Allowed) -> None:
    """Adds both. The page and its scripts are the same everywhere, so they are open; the document needs a role."""
    app.mount(_STATIC, StaticFiles(directory=Path(fastapi_offline.__file__).parent / "static"))

    @app.get(OPENAPI, include_in_schema=False, dependencies=[Depends(allowed.viewer)])
    def openapi() -> JSONResponse:
        # FastAPI runs this in a thread, as it is not async: making the document takes a quarter of a second. With the
        # security scheme the page has a field for the token, so that requests can be tried out on it.
        bearer = {"components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}}}
        document = app.openapi()
        components = {**document.get("components", {}), **bearer["components"]}
        return JSONResponse({**document, "components": components, "security": [{"token": []}]})

    @app.get("/", include_in_schema=False)
    async def front(request: Request) -> RedirectResponse:
        """Redirects from the address that `patchbay up` prints to the documentation."""
        return RedirectResponse(_with_token(DOCS, request), status_code=303)

    @app.get(DOCS, include_in_schema=False)
    async def docs(request: Request) -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url=_with_token(OPENAPI, request),
            title="Patchbay's admin API",
            swagger_js_url=f"{_STATIC}/swagger-ui-bundle.js",
            swagger_css_url=f"{_STATIC}/swagger-ui.css",
            swagger_favicon_url=f"{_STATIC}/favicon.png",
        )


def _with_token(path: str, request: Request) -> str:
    """Returns `path` with the token of the page's own address, quoted, since the page's script has it in a string."""
    token = request.query_params.get(TOKEN)
    return path if token is None else f"{path}?{urlencode({TOKEN: token})}"
