"""/docs: what the service takes and gives, on one page that loads nothing, so that it also works offline."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse

PATH = "/docs"
STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}"
    "code,pre{font-family:ui-monospace,monospace;font-size:.9em}pre{overflow:auto;padding:.7rem;background:#8881}"
    "section{border-top:1px solid #8886;margin-top:1.5rem}td{vertical-align:top;padding:.15rem .8rem .15rem 0}"
    "@media(prefers-color-scheme:dark){html{background:#111;color:#ddd}a{color:#8bf}}"
)
POLICY = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
SAMPLES: Mapping[str, Any] = {"string": "…", "integer": 1, "number": 1, "boolean": True, "array": [], "null": None}
"""What the example of a request holds where a value of such a type is needed."""


def add_docs(app: FastAPI) -> None:
    """Serve the page; it is written from the OpenAPI document when somebody asks for it."""

    async def docs(request: Request) -> HTMLResponse:
        return HTMLResponse(page_of(app.openapi(), f"{request.base_url}".rstrip("/")), headers=POLICY)

    app.add_api_route(PATH, docs, methods=["GET"], include_in_schema=False)


def page_of(document: Mapping[str, Any], address: str) -> str:
    """Return an OpenAPI document as a page for people; its examples ask the service at `address`."""
    info, forms = document["info"], document["components"]["schemas"]
    title = escape(f"{info['title']} {info['version']}")
    operations = "".join(
        _operation(method, path, operation, forms, address)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    )
    schemas = "".join(_schema(name, schema) for name, schema in forms.items())
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
        f"<h1>{title}</h1><p>Send a key with <code>Authorization: Bearer &lt;key&gt;</code>. "
        'For programs: <a href="/openapi.json">/openapi.json</a></p>'
        f"{operations}<section><h2>Forms</h2>{schemas}</section></html>"
    )


def _operation(method: str, path: str, operation: Mapping[str, Any], forms: Mapping[str, Any], address: str) -> str:
    lines = "".join(
        f"<tr><td><code>{escape(status)}</code><td>{_text(response['description'])}<td>{_forms(response)}"
        for status, response in operation["responses"].items()
    )
    body, takes = operation.get("requestBody", {}), ""
    for content in body.get("content", {}).values():
        sample = shlex.quote(json.dumps(_sample(content["schema"], forms), ensure_ascii=False))
        example = f"curl {address}{path} \\\n    --header 'Authorization: Bearer ck_…' --json {sample}"
        takes += f"<p>Takes {_forms(body)}</p><pre>{escape(example)}</pre>"
    return (
        f"<section><h2><code>{method.upper()} {escape(path)}</code></h2><p>{escape(operation.get('summary', ''))}</p>"
        f"{takes}<table>{lines}</table></section>"
    )


def _text(described: str) -> str:
    """Return a description with what stands between backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(described))


def _sample(schema: Mapping[str, Any], forms: Mapping[str, Any]) -> Any:
    """Return the smallest value that looks like `schema`: for an object, the fields that it must have."""
    match schema:
        case {"$ref": str(reference)}:
            return _sample(forms[reference.rpartition("/")[2]], forms)
        case {"const": value} | {"enum": [value, *_]} | {"examples": [value, *_]}:
            return value
        case {"anyOf": [first, *_]} | {"oneOf": [first, *_]}:
            return _sample(first, forms)
        case {"type": str(kind)} if kind in SAMPLES:
            return SAMPLES[kind]
        case _:
            return {name: _sample(schema["properties"][name], forms) for name in schema.get("required", ())}


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
