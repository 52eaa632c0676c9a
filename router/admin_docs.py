"""The admin API's own pages: OpenAPI's document, and Swagger UI over it, served from here and not from a CDN."""

from pathlib import Path

import fastapi_offline
from fastapi import Depends, FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles

from router.admin_roles import Allowed

OPENAPI = "/admin/v1/openapi.json"
DOCS = "/admin/v1/docs"
_STATIC = "/admin/v1/static"


def add_docs(app: FastAPI, allowed: Allowed) -> None:
    """Adds both. The page and its scripts say nothing of this installation, so they are open; the document is not."""
    app.mount(_STATIC, StaticFiles(directory=Path(fastapi_offline.__file__).parent / "static"))

    @app.get(OPENAPI, include_in_schema=False, dependencies=[Depends(allowed.viewer)])
    def openapi() -> JSONResponse:
        # In a thread: it takes a quarter of a second to make.
        return JSONResponse(app.openapi())

    @app.get(DOCS, include_in_schema=False)
    async def docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url=OPENAPI,
            title="Patchbay's admin API",
            swagger_js_url=f"{_STATIC}/swagger-ui-bundle.js",
            swagger_css_url=f"{_STATIC}/swagger-ui.css",
            swagger_favicon_url=f"{_STATIC}/favicon.png",
        )
