"""The routes that callers use: ask a question, fetch the answer of a person or have it sent, send feedback."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, BeforeValidator

from chassis.config.typed_values import without_invisible
from chassis.errors import (
    BudgetExhausted,
    CallbackNotAllowed,
    CallError,
    DatabaseUnavailable,
    InputNotAllowed,
    ModelsFailed,
    NotFound,
    Overloaded,
    TooLarge,
    TooManyCalls,
    Unauthenticated,
)
from chassis.privacy.policy import check_question
from chassis.store.feedback import Feedback
from chassis.store.review_queue import Referral
from chassis.telemetry.instruments import trace_id_of
from chassis.web.middleware import Caller, RateLimiter, RequestLimits, keyed_route
from chassis.web.pages import Pages, labeled
from chassis.web.problems import INTERNAL_ERROR, BodyTooSlow, InvalidInput, MalformedBody, WrongMediaType
from chassis.web.schemas import (
    CALL_ID_HEADERS,
    FEEDBACK_PATH,
    LOCATION_HEADERS,
    REFERRAL_LINK,
    REFERRALS_PATH,
    AnsweredBody,
    CallbackBody,
    CallbackReceipt,
    FeedbackBody,
    FeedbackReceipt,
    ReferralBody,
    ReferredBody,
    Responses,
    body_of,
    correction_type,
    problem_responses,
    specialized,
)
from chassis.wiring import Wiring

COMMON_ERRORS = (Unauthenticated, BodyTooSlow, TooLarge, InvalidInput, CallError, Overloaded, DatabaseUnavailable)

type ReferralId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


def calls_router(wiring: Wiring) -> APIRouter:
    """Return the routes, with the types of the task."""
    router = APIRouter(route_class=keyed_route(wiring.api_keys, RequestLimits(wiring.constraints)), tags=["Calls"])
    _add_ask(router, wiring)
    _add_referral(router, wiring)
    _add_callback(router, wiring)
    _add_feedback(router, wiring)
    return router


def _add_ask(router: APIRouter, wiring: Wiring) -> None:
    async def ask(question: BaseModel, caller: Caller, request: Request) -> Response:
        request.state.in_call_log = True  # from here on, the call's own log line reports errors
        call = wiring.service.new_call(caller, request.state.call_id, request.state.arrived_at)
        try:
            outcome = await wiring.service.answer(question, call)
        except CallError:
            raise
        except Exception as error:  # a bug of the team; `call.finished` has its type and its stack frames
            raise CallError(INTERNAL_ERROR) from error
        body = body_of(outcome, call, wiring)
        if isinstance(body, ReferredBody):
            return _json(202, body, {"Location": body.location})
        return _json(200, body)

    # FastAPI reads it at run time; type checkers cannot know it.
    annotated: Any = Annotated
    ask.__annotations__["question"] = annotated[wiring.task.takes, BeforeValidator(without_invisible)]
    router.add_api_route(
        f"/v1/{wiring.task.name}",
        ask,
        methods=["POST"],
        operation_id="ask",
        summary="Ask a question",
        dependencies=[Depends(_json_only), Depends(_rate_limit(wiring.constraints.limits.calls_per_minute))],
        responses=_ask_responses(wiring.task.gives),
    )


def _ask_responses(gives: type[BaseModel]) -> Responses:
    return {
        200: {"model": specialized(AnsweredBody, gives), "description": "The answer", "headers": CALL_ID_HEADERS},
        202: {
            "model": ReferredBody,
            "description": "A person will answer",
            "headers": CALL_ID_HEADERS | LOCATION_HEADERS,
            "links": REFERRAL_LINK,
        },
        **problem_responses(
            *COMMON_ERRORS, MalformedBody, WrongMediaType, InputNotAllowed, BudgetExhausted, TooManyCalls, ModelsFailed
        ),
    }


async def _json_only(request: Request) -> None:
    """Reject other media types with 415. FastAPI would parse them in its own way and answer 422."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise WrongMediaType("Send the header `Content-Type: application/json` and a JSON body")


def _rate_limit(per_minute: int) -> Callable[[Request], Awaitable[None]]:
    rate_limiter = RateLimiter(per_minute)

    async def check(request: Request) -> None:
        if (seconds := rate_limiter.check(request.state.caller)) is not None:
            raise TooManyCalls(f"The limit is {per_minute} calls per minute; try again later", retry_after=seconds)

    return check


def _add_referral(router: APIRouter, wiring: Wiring) -> None:
    pages = Pages(wiring.project.name, wiring.constraints)

    async def referral(referral_id: ReferralId, caller: Caller, request: Request) -> Response:
        referral = await wiring.review_queue.find_for_caller(referral_id, caller)
        if referral is None:
            raise NotFound("There is no referral with this id for this caller")
        if _prefers_html(request.headers.get("accept", "")):
            return _waiting_page(pages, referral, str(wiring.owner.email))
        body = {
            "referral_id": referral.id,
            "status": "open" if referral.answered_at is None else "answered",
            "due_at": referral.due_at.isoformat(),
            "answer": referral.answer,  # as it was stored; the task's type may have changed since
        }
        return JSONResponse(body, headers={"Vary": "Accept"})

    body_type = specialized(ReferralBody, wiring.task.gives)
    router.add_api_route(
        f"{REFERRALS_PATH}/{{referral_id}}",
        referral,
        methods=["GET"],
        operation_id="referral",
        summary="Fetch a person's answer",
        responses={
            200: {
                "model": body_type,
                "description": "The referral, for browsers as a page",
                "headers": CALL_ID_HEADERS,
                "content": {"text/html": {"schema": {"type": "string"}}},
            },
            **problem_responses(*COMMON_ERRORS, NotFound),
        },
    )


def _prefers_html(accept: str) -> bool:
    """Return whether a client wants HTML rather than JSON, as browsers do; `*/*` does not say so."""
    types = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    return "text/html" in types and "application/json" not in types


def _waiting_page(pages: Pages, referral: Referral, contact: str) -> Response:
    """Return the page for the person who asked, which loads itself again until there is an answer."""
    response = pages.render(
        "waiting.html",
        status=200,
        referral=referral,
        answer=labeled(referral.answer) if referral.answer is not None else [],
        contact=contact,
    )
    response.headers["Vary"] = "Accept"
    return response


def _add_callback(router: APIRouter, wiring: Wiring) -> None:
    callbacks = wiring.constraints.callbacks

    async def callback(referral_id: ReferralId, body: CallbackBody, caller: Caller) -> Response:
        secret = wiring.notifier.callback_secret(caller)
        if secret is None or not callbacks.allow(body.url):
            raise CallbackNotAllowed("The service may send answers only to the origins that its owner has listed")
        if not await wiring.review_queue.set_callback(referral_id, caller, body.url):
            raise NotFound("There is no referral with this id for this caller")
        return _json(200, CallbackReceipt(url=body.url, secret=secret.get_secret_value()))

    router.add_api_route(
        f"{REFERRALS_PATH}/{{referral_id}}/callback",
        callback,
        methods=["PUT"],
        operation_id="callback",
        summary="Have a person's answer sent to a URL",
        dependencies=[Depends(_json_only)],
        responses={
            200: {"model": CallbackReceipt, "description": "The answer will be sent", "headers": CALL_ID_HEADERS},
            **problem_responses(*COMMON_ERRORS, MalformedBody, WrongMediaType, CallbackNotAllowed, NotFound),
        },
    )


def _add_feedback(router: APIRouter, wiring: Wiring) -> None:
    async def feedback(body: FeedbackBody[BaseModel], caller: Caller) -> Response:
        check_question(body, wiring.constraints.data, wiring.task.recognizers)
        recorded = await wiring.feedback.record(
            body.call_id,
            caller,
            Feedback(
                verdict=body.verdict,
                comment=body.comment.replace("\0", "\ufffd"),  # PostgreSQL cannot store a NUL in a text
                correction=body.correction.model_dump_json(by_alias=True) if body.correction is not None else None,
            ),
        )
        receipt = FeedbackReceipt(
            call_id=body.call_id,
            verdict=body.verdict,
            referral_id=recorded.referral_id,
            trace_id=trace_id_of(recorded.call.traceparent),
        )
        return _json(200, receipt)

    feedback.__annotations__["body"] = specialized(FeedbackBody, correction_type(wiring.task.gives))
    router.add_api_route(
        FEEDBACK_PATH,
        feedback,
        methods=["POST"],
        operation_id="feedback",
        summary="Say whether an answer was good",
        dependencies=[Depends(_json_only), Depends(_rate_limit(wiring.constraints.limits.calls_per_minute))],
        responses={
            200: {"model": FeedbackReceipt, "description": "The feedback is stored", "headers": CALL_ID_HEADERS},
            **problem_responses(*COMMON_ERRORS, MalformedBody, WrongMediaType, InputNotAllowed, NotFound, TooManyCalls),
        },
    )


def _json(status: int, body: BaseModel, headers: dict[str, str] | None = None) -> Response:
    return Response(body.model_dump_json(by_alias=True), status, headers, media_type="application/json")
