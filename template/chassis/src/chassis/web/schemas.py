"""What callers are sent when all went well, as JSON."""

from datetime import datetime
from typing import Any, Literal, assert_never

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict

from chassis.call import Call
from chassis.contract import Answered, FallbackReason, Outcome, Referred
from chassis.errors import CallError
from chassis.telemetry.context import current_trace_id
from chassis.usd import to_usd
from chassis.web.problems import MEDIA_TYPE, Problem
from chassis.wiring import Wiring

REFERRALS = "/v1/referrals"


class Body(BaseModel):
    """A body whose fields are described in /openapi.json as they are here."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class AnsweredBody[A: BaseModel](Body):
    """The answer, and how it came about."""

    outcome: Literal["answered"] = "answered"
    call_id: str
    answer: A
    answered_by: str
    """The model's name, `baseline`, or `task` if no model was asked."""
    degraded: bool
    """True when a model was meant to answer first and something else did."""
    fallback_reason: FallbackReason | None
    """What went wrong on the way, if anything."""
    confidence: float
    """How sure the author of the answer is, from 0 to 1."""
    cost_usd: float
    trace_id: str | None


class ReferredBody(Body):
    """No machine was sure enough: a person answers later, at `location`."""

    outcome: Literal["referred"] = "referred"
    call_id: str
    referral_id: str
    fallback_reason: FallbackReason
    due_at: datetime
    location: str
    contact: str
    """Whom to ask about it."""
    trace_id: str | None


class ReferralBody[A: BaseModel](Body):
    """Where a referral stands."""

    referral_id: str
    status: Literal["open", "answered"]
    due_at: datetime
    answer: A | None


class StatusBody(Body):
    """The state of the process."""

    status: Literal["alive", "ready"]


class ReadyBody(StatusBody):
    """The state of a process that takes calls."""

    models: Literal["on", "off", "none"]
    """Whether models are asked, are switched off, or none is configured with its key."""


def specialized[B: BaseModel](body: type[B], gives: type[BaseModel]) -> type[B]:
    """Return `body[gives]`, which no type checker can read because `gives` is only known at run time."""
    generic: Any = body
    return generic[gives]


def body_of(outcome: Outcome[Any], call: Call, wiring: Wiring) -> AnsweredBody[Any] | ReferredBody:
    """Return what a caller is sent about `outcome`."""
    match outcome:
        case Answered() as answered:
            return specialized(AnsweredBody, wiring.task.gives)(
                call_id=call.id,
                answer=answered.value,
                answered_by=answered.answered_by,
                degraded=answered.degraded,
                fallback_reason=answered.fallback_reason,
                confidence=answered.confidence,
                cost_usd=to_usd(call.cost),
                trace_id=current_trace_id(),
            )
        case Referred() as referred:
            return ReferredBody(
                call_id=call.id,
                referral_id=referred.referral_id,
                fallback_reason=referred.fallback_reason,
                due_at=referred.due_at,
                location=f"{REFERRALS}/{referred.referral_id}",
                contact=str(wiring.owner.email),
                trace_id=current_trace_id(),
            )
        case _:
            assert_never(outcome)


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
