"""The bodies of successful responses, and what the OpenAPI document says about responses in general."""

from datetime import datetime
from typing import Annotated, Any, Literal, assert_never

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, create_model
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from chassis.call import Call
from chassis.config.typed_values import is_blank
from chassis.contract import Answered, FallbackReason, Outcome, Referred
from chassis.errors import CallError
from chassis.store.feedback import FeedbackVerdict
from chassis.telemetry.instruments import current_trace_id
from chassis.usd import to_usd
from chassis.web.problems import MEDIA_TYPE, Problem
from chassis.wiring import Wiring

REFERRALS_PATH = "/v1/referrals"
FEEDBACK_PATH = "/v1/feedback"
MAX_COMMENT_LENGTH = 5000


class AnsweredBody[A: BaseModel](BaseModel):
    """An answer."""

    outcome: Literal["answered"] = "answered"
    call_id: str
    answer: A
    answered_by: str = Field(description="The name of the model, `baseline`, or `task` if no model was asked.")
    degraded: bool = Field(description="Whether a fallback answered instead of the first model.")
    fallback_reason: FallbackReason | None = Field(description="Why a fallback was needed, if one was.")
    confidence: float = Field(description="The confidence of the answer, from 0 to 1.")
    confidence_calibrated: bool = Field(
        description="Whether the confidence is the measured share of right answers, not an estimate of the task."
    )
    cost_usd: float
    trace_id: str | None


class ReferredBody(BaseModel):
    """A person will answer. The answer can be fetched at `location`."""

    outcome: Literal["referred"] = "referred"
    call_id: str
    referral_id: str
    fallback_reason: FallbackReason
    due_at: datetime
    location: str
    contact: str = Field(description="The email address for questions about the referral.")
    trace_id: str | None


class ReferralBody[A: BaseModel](BaseModel):
    """A question for a person, with the answer once there is one."""

    referral_id: str
    status: Literal["open", "answered"]
    due_at: datetime
    answer: A | None


class FeedbackBody[A: BaseModel](BaseModel):
    """What a caller says about an answer."""

    model_config = ConfigDict(extra="forbid")

    call_id: str = Field(pattern=r"^c_[0-9a-f]{24}$", description="The `call_id` of the answer.")
    verdict: FeedbackVerdict
    comment: str = Field(default="", max_length=MAX_COMMENT_LENGTH, description="Why the answer was good or not.")
    correction: A | None = Field(default=None, description="The right answer.")


class FeedbackReceipt(BaseModel):
    """Feedback that is stored."""

    call_id: str
    verdict: FeedbackVerdict
    referral_id: str | None = Field(
        description="The ticket of the review that negative feedback opened. "
        "A person's answer will be at `/v1/referrals/{id}`."
    )
    trace_id: str | None = Field(description="The trace of the answer, which this feedback is part of.")


class StatusBody(BaseModel):
    """The state of the process."""

    status: Literal["alive", "ready"]


class ReadyBody(StatusBody):
    """The state of a process that accepts calls."""

    models: Literal["on", "off", "none"] = Field(
        description="`on`: models are asked. `off`: the kill switch is on. `none`: no model has its API key."
    )


class CallbackBody(BaseModel):
    """Where an answer should be sent."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(max_length=2000, description="Its origin must be one that the owner of the service has listed.")


class CallbackReceipt(BaseModel):
    """The answer will be sent, as a POST that is signed as https://www.standardwebhooks.com says."""

    url: str
    secret: str = Field(description="Checks the signature. It is the same for all callbacks of this caller.")


def specialized[B: BaseModel](body: type[B], gives: type[BaseModel]) -> type[B]:
    """Return `body[gives]`. Type checkers cannot read that expression, because `gives` is known only at run time."""
    generic: Any = body
    return generic[gives]


def correction_type[A: BaseModel](gives: type[A]) -> type[A]:
    """Return `gives` for a correction: its required texts must not be blank, which its JSON schema says too."""
    annotated: Any = Annotated  # type checkers cannot read it with a type that is known only at run time
    fields: dict[str, Any] = {
        name: (annotated[field.annotation, _NotBlank], field)
        for name, field in gives.model_fields.items()
        if field.is_required()
    }
    return create_model(f"Corrected{gives.__name__}", __base__=gives, **fields)


class _NotBlank:
    """Marks a value that, if it is a text, has at least one character that is no space."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(cls._check, handler(source))

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        described = handler(schema)
        if handler.resolve_ref_schema(described).get("type", "string") == "string":
            described.setdefault("pattern", r"\S")
        return described

    @staticmethod
    def _check(value: object) -> object:
        if isinstance(value, str) and is_blank(value):
            message = "The text is empty; write the right answer, or leave out the correction"
            raise PydanticCustomError("blank_text", message)
        return value


def body_of(outcome: Outcome[Any], call: Call, wiring: Wiring) -> AnsweredBody[Any] | ReferredBody:
    """Return the response body for an outcome."""
    match outcome:
        case Answered() as answered:
            return specialized(AnsweredBody, wiring.task.gives)(
                call_id=call.id,
                answer=answered.value,
                answered_by=answered.answered_by,
                degraded=answered.degraded,
                fallback_reason=answered.fallback_reason,
                confidence=answered.confidence,
                confidence_calibrated=answered.answered_by in wiring.service.calibration.curves,
                cost_usd=to_usd(call.cost),
                trace_id=current_trace_id(),
            )
        case Referred() as referred:
            return ReferredBody(
                call_id=call.id,
                referral_id=referred.referral_id,
                fallback_reason=referred.fallback_reason,
                due_at=referred.due_at,
                location=f"{REFERRALS_PATH}/{referred.referral_id}",
                contact=str(wiring.owner.email),
                trace_id=current_trace_id(),
            )
        case _:
            assert_never(outcome)


type Responses = dict[int | str, dict[str, Any]]
"""OpenAPI responses by status, as FastAPI takes them."""

SCHEMAS = "#/components/schemas/"
CALL_ID_HEADERS = {
    "X-Call-Id": {
        "description": "The id of this request in logs and traces",
        "required": True,
        "schema": {"type": "string"},
    }
}
LOCATION_HEADERS = {
    "Location": {"description": "Where the answer can be fetched", "required": True, "schema": {"type": "string"}}
}
RETRY_AFTER_HEADERS = {
    "Retry-After": {
        "description": "The number of seconds after which to try again",
        "schema": {"type": "integer"},
    }
}
WWW_AUTHENTICATE_HEADERS = {
    "WWW-Authenticate": {"description": "How to authenticate", "required": True, "schema": {"type": "string"}}
}
STATUS_HEADERS: dict[int, dict[str, Any]] = {
    401: WWW_AUTHENTICATE_HEADERS,
    429: RETRY_AFTER_HEADERS,
    503: RETRY_AFTER_HEADERS,
}
"""The headers of an error response besides the call id, by status."""
REFERRAL_LINK = {"referral": {"operationId": "referral", "parameters": {"referral_id": "$response.body#/referral_id"}}}


def problem_responses(*kinds: type[CallError]) -> Responses:
    """Return the error responses of an operation. Errors with the same status share one description."""
    content = {MEDIA_TYPE: {"schema": {"$ref": f"{SCHEMAS}{Problem.__name__}"}}}
    descriptions: dict[int, list[str]] = {}
    for kind in sorted(kinds, key=lambda kind: kind.status):
        descriptions.setdefault(kind.status, []).append(f"{kind.title} (`/problems/{kind.slug}`)")
    return {
        status: {
            "description": "; ".join(lines),
            "headers": CALL_ID_HEADERS | STATUS_HEADERS.get(status, {}),
            "content": content,
        }
        for status, lines in descriptions.items()
    }


class DescribedAPI(FastAPI):
    """FastAPI with the schema of `Problem` in its OpenAPI document. FastAPI adds only schemas of JSON responses."""

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document."""
        document = super().openapi()
        schema = Problem.model_json_schema(ref_template=SCHEMAS + "{model}", mode="serialization")
        document["components"]["schemas"] |= {**schema.pop("$defs"), Problem.__name__: schema}
        return document
