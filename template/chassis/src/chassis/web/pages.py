"""The HTML pages for people: their templates, the headers that keep them safe, and refusals as pages."""

import secrets
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import structlog
from fastapi import Request, Response
from fastapi.responses import HTMLResponse

from chassis.config.constraints import Constraints
from chassis.config.typed_values import show_json
from chassis.errors import CallError
from chassis.usd import format_usd
from chassis.web.middleware import Handler, RequestLimits

if TYPE_CHECKING:
    import jinja2

MAX_FORM_BYTES = 1_000_000
log = structlog.get_logger()


class Pages:
    """Renders the pages of a service. Everything that callers and models wrote is escaped.

    Args:
        service: The name of the service.
        constraints: Limit how many requests are handled at a time. They are counted apart from calls, so that reviewers
            can still work when callers use up those of the calls.
    """

    def __init__(self, service: str, constraints: Constraints) -> None:
        self._service, self._limits = service, RequestLimits(constraints, MAX_FORM_BYTES)

    async def handle(self, request: Request, handle: Handler) -> Response:
        """Answer a request, and show every refusal as a page."""
        try:
            response = await self._limits.handle(request, handle)
        except CallError as error:
            log.info("review.refused", call_id=request.state.call_id, problem=error.slug)
            response = self.render("problem.html", status=error.status, title=error.title, detail=error.detail)
        return response

    def render(self, template: str, *, status: int, **values: Any) -> Response:
        """Return a page that loads nothing, and runs no script but its own."""
        nonce = secrets.token_urlsafe(16)
        html = _templates().get_template(template).render(service=self._service, nonce=nonce, **values)
        return HTMLResponse(html, status, _headers(nonce))


@cache
def _templates() -> "jinja2.Environment":
    import jinja2  # the first page pays for it: a service whose pages are never opened does without

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("chassis.web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["usd"] = format_usd
    return environment


def _headers(nonce: str) -> dict[str, str]:
    return {
        "Content-Security-Policy": (
            f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; form-action 'self'; "
            "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
        ),
        "Cache-Control": "no-store",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }


def labeled(value: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the fields of a question or draft as label and text, without sources and, unless all are, empty ones."""
    fields = {name: field for name, field in value.items() if not is_table(field)}
    filled = {name: field for name, field in fields.items() if field not in (None, "", [], {})}
    return [(name.replace("_", " "), text_of(field)) for name, field in (filled or fields).items()]


def is_table(value: Any) -> bool:
    """Return whether a value is a list of objects, such as the sources of an answer."""
    rows = cast("list[Any]", value) if isinstance(value, list) else []
    return bool(rows) and all(isinstance(row, dict) for row in rows)


def text_of(value: Any) -> str:
    """Return a text as it is, and any other value as JSON."""
    return value if isinstance(value, str) else show_json(value)
