"""/docs: what the service takes and gives, on one page that loads nothing, so that it also works offline."""

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, cast

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

PATH = "/docs"
STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}"
    "code,pre{font-family:ui-monospace,monospace;font-size:.9em}pre{overflow:auto;padding:.7rem;background:#8881}"
    "section{border-top:1px solid #8886;margin-top:1.5rem}td{vertical-align:top;padding:.15rem .8rem .15rem 0}"
    "@media(prefers-color-scheme:dark){html{background:#111;color:#ddd}a{color:#8bf}}"
)
POLICY = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}


def add_docs(app: FastAPI) -> None:
    """Serve the page; it is written from the OpenAPI document when somebody asks for it."""

    async def docs() -> HTMLResponse:
        return HTMLResponse(page_of(app.openapi()), headers=POLICY)

    app.add_api_route(PATH, docs, methods=["GET"], include_in_schema=False)


def page_of(document: Mapping[str, Any]) -> str:
    """Return an OpenAPI document as a page for people."""
    info = document["info"]
    title = escape(f"{info['title']} {info['version']}")
    operations = "".join(
        _operation(method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    )
    schemas = "".join(_schema(name, schema) for name, schema in document["components"]["schemas"].items())
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
        f"<h1>{title}</h1><p>Send a key with <code>Authorization: Bearer &lt;key&gt;</code>. "
        'For programs: <a href="/openapi.json">/openapi.json</a></p>'
        f"{operations}<section><h2>Forms</h2>{schemas}</section></html>"
    )


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    lines = "".join(
        f"<tr><td><code>{escape(status)}</code><td>{escape(response['description'])}<td>{_forms(response)}"
        for status, response in operation["responses"].items()
    )
    takes = _forms(operation.get("requestBody", {}))
    return (
        f"<section><h2><code>{method.upper()} {escape(path)}</code></h2><p>{escape(operation.get('summary', ''))}</p>"
        f"{f'<p>Takes {takes}</p>' if takes else ''}<table>{lines}</table></section>"
    )


def _schema(name: str, schema: Mapping[str, Any]) -> str:
    shown = escape(json.dumps(schema, indent=2, ensure_ascii=False))
    return f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary><pre>{shown}</pre></details>'


def _forms(holder: Mapping[str, Any]) -> str:
    """Return links to the forms of a body or a response."""
    names = sorted({name for content in holder.get("content", {}).values() for name in _names(content.get("schema"))})
    return " or ".join(f'<a href="#{escape(name)}">{escape(name)}</a>' for name in names)


def _names(schema: object) -> Iterator[str]:
    match schema:
        case {"$ref": str(reference)}:
            yield reference.rpartition("/")[2]
        case dict():
            yield from _names(list(cast("dict[str, object]", schema).values()))
        case list():
            for value in cast("list[object]", schema):
                yield from _names(value)
        case _:
            return
