"""Builds the HTTP application: its routes, its middleware and the pages `/docs` and `/review`."""

import secrets

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from starlette.middleware import Middleware

from chassis.web.calls import calls_router
from chassis.web.health import health_router
from chassis.web.middleware import AddCallId
from chassis.web.problems import add_problem_handlers
from chassis.web.review import review_router
from chassis.web.schemas import DescribedAPI
from chassis.wiring import Wiring

DOCS = "/docs"
ASSETS = ("fastapi_offline", "static")
"""The package that contains Swagger UI, and its folder there. FastAPI's own page loads it from a CDN."""
SWAGGER_UI = {"tryItOutEnabled": True, "displayRequestDuration": True}
PAGE_HEAD = """
    <style>@media (max-width: 640px) { .response-col_links { display: none } }</style>
    <script>
    document.documentElement.classList.toggle("dark-mode", matchMedia("(prefers-color-scheme: dark)").matches)
    </script>"""
"""Makes Swagger UI's page fit on a phone, and dark for people who prefer that."""


def build_app(wiring: Wiring) -> FastAPI:
    """Return the application that serves `wiring`.

    Set `app.state.draining` to True when the process is about to stop: `/readyz` then answers 503.
    """
    app = DescribedAPI(
        title=wiring.project.name,
        version=wiring.project.version,
        docs_url=None,  # replaced by `_add_docs`
        redoc_url=None,
        redirect_slashes=False,
        telemetry=wiring.telemetry.for_fastapi(),
        middleware=[Middleware(AddCallId)],
    )
    app.state.draining = False
    add_problem_handlers(app)
    app.include_router(calls_router(wiring))
    app.include_router(health_router(wiring))
    app.include_router(review_router(wiring))
    _add_docs(app)
    return app


def _add_docs(app: FastAPI) -> None:
    """Serve Swagger UI from this process, so that people can try a call where there is no internet."""
    page = get_swagger_ui_html(
        title=app.title,
        openapi_url="openapi.json",  # relative, so that the page also works behind a proxy that adds a prefix
        swagger_js_url="docs/swagger-ui-bundle.js",
        swagger_css_url="docs/swagger-ui.css",
        swagger_favicon_url="docs/favicon.png",
        swagger_ui_parameters=SWAGGER_UI,
    )
    html = bytes(page.body).decode().replace("<head>", f"<head>{PAGE_HEAD}")

    async def docs() -> HTMLResponse:
        # Scripts run only with the nonce of this response, so a script in a description of the API would not.
        nonce = secrets.token_urlsafe(16)
        return HTMLResponse(
            html.replace("<script", f'<script nonce="{nonce}"'),
            headers={"Content-Security-Policy": _content_security_policy(nonce)},
        )

    app.add_api_route(DOCS, docs, methods=["GET"], include_in_schema=False)
    app.mount(DOCS, StaticFiles(packages=[ASSETS]))


def _content_security_policy(nonce: str) -> str:
    """Return a policy under which the page, where people type their API key, reaches this service and nothing else."""
    return (
        f"default-src 'none'; script-src 'nonce-{nonce}'; connect-src 'self'; img-src 'self' data:; "
        "style-src 'self' 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
