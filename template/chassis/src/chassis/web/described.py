"""What /openapi.json says of the responses: every status that can occur, with its media type and its headers."""

from typing import Any

from fastapi import FastAPI

from chassis.errors import CallError
from chassis.web.problems import MEDIA_TYPE, Problem

REF = "#/components/schemas/"
CALL_ID = {
    "X-Call-Id": {
        "description": "Names this request in logs and traces",
        "required": True,
        "schema": {"type": "string"},
    }
}
OF_STATUS: dict[int, dict[str, Any]] = {
    401: {
        "WWW-Authenticate": {"description": "How to identify oneself", "required": True, "schema": {"type": "string"}}
    },
    429: {
        "Retry-After": {
            "description": "Seconds after which there is money, or room, again",
            "schema": {"type": "integer"},
        }
    },
    503: {
        "Retry-After": {"description": "Seconds after which trying again makes sense", "schema": {"type": "integer"}}
    },
}
LOCATION = {"Location": {"description": "Where the answer will be", "required": True, "schema": {"type": "string"}}}
REFERRAL_LINK = {"referral": {"operationId": "referral", "parameters": {"referral_id": "$response.body#/referral_id"}}}

type Responses = dict[int | str, dict[str, Any]]


def problems(*kinds: type[CallError]) -> Responses:
    """Return the descriptions of the refusals that an operation can meet; kinds of one status share a description."""
    content = {MEDIA_TYPE: {"schema": {"$ref": f"{REF}{Problem.__name__}"}}}
    described: Responses = {}
    for kind in sorted(kinds, key=lambda kind: kind.status):
        line = f"{kind.title} (`/problems/{kind.slug}`)"
        known = described.get(kind.status)
        described[kind.status] = {
            "description": f"{known['description']}; {line}" if known else line,
            "headers": CALL_ID | OF_STATUS.get(kind.status, {}),
            "content": content,
        }
    return described


class DescribedAPI(FastAPI):
    """FastAPI, with the schema of a problem among the components; it only adds schemas of media type JSON itself."""

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document."""
        document = super().openapi()
        schema = Problem.model_json_schema(ref_template=REF + "{model}", mode="serialization")
        document["components"]["schemas"] |= {**schema.pop("$defs"), Problem.__name__: schema}
        return document
