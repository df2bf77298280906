"""The two addresses a caller uses: ask, and come back for what a person answered."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from chassis.errors import (
    BudgetExhausted,
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
from chassis.limits import RateLimiter
from chassis.web.auth import Caller, keyed_route
from chassis.web.problems import MISTAKE, BodyTooSlow, InvalidInput, MalformedBody, WrongMediaType
from chassis.web.schemas import (
    CALL_ID,
    LOCATION,
    REFERRAL_LINK,
    REFERRALS,
    AnsweredBody,
    ReferralBody,
    ReferredBody,
    Responses,
    body_of,
    problems,
    specialized,
)
from chassis.wiring import Wiring

ALWAYS = (Unauthenticated, BodyTooSlow, TooLarge, InvalidInput, CallError, Overloaded, DatabaseUnavailable)

type ReferralId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


def calls_router(wiring: Wiring) -> APIRouter:
    """Return the routes of the task, typed by it."""
    router = APIRouter(route_class=keyed_route(wiring.api_keys), tags=["Calls"])
    _add_ask(router, wiring)
    _add_referral(router, wiring)
    return router


def _add_ask(router: APIRouter, wiring: Wiring) -> None:
    async def ask(question: BaseModel, caller: Caller, request: Request) -> Response:
        request.state.journaled = True  # from here on the call's own line says how it ended
        call = wiring.service.new_call(caller, request.state.call_id, request.state.arrived_at)
        try:
            outcome = await wiring.service.answer(question, call)
        except CallError:
            raise
        except Exception as error:  # the journal has written it down
            raise CallError(MISTAKE) from error
        body = body_of(outcome, call, wiring)
        if isinstance(body, ReferredBody):
            return _json(202, body, {"Location": body.location})
        return _json(200, body)

    ask.__annotations__["question"] = wiring.task.takes  # FastAPI reads at run time what no type checker can know
    router.add_api_route(
        f"/v1/{wiring.task.name}",
        ask,
        methods=["POST"],
        operation_id="ask",
        summary="Ask a question",
        dependencies=[Depends(_json_only), Depends(_at_most(wiring.constraints.limits.calls_per_minute))],
        responses=_asked(wiring.task.gives),
    )


def _asked(gives: type[BaseModel]) -> Responses:
    return {
        200: {"model": specialized(AnsweredBody, gives), "description": "An answer", "headers": CALL_ID},
        202: {
            "model": ReferredBody,
            "description": "A person answers later",
            "headers": CALL_ID | LOCATION,
            "links": REFERRAL_LINK,
        },
        **problems(
            *ALWAYS, MalformedBody, WrongMediaType, InputNotAllowed, BudgetExhausted, TooManyCalls, ModelsFailed
        ),
    }


async def _json_only(request: Request) -> None:
    """Refuse other media types by name, instead of as input of a strange form."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise WrongMediaType("Send the header `Content-Type: application/json` and a body that is JSON")


def _at_most(per_minute: int) -> Callable[[Caller], Awaitable[None]]:
    rate = RateLimiter(per_minute)

    async def limited(caller: Caller) -> None:
        """Refuse whoever comes too often, before anything that costs is done for them."""
        if (seconds := rate.check(caller)) is not None:
            raise TooManyCalls(f"{per_minute} calls a minute are the limit; try again later", retry_after=seconds)

    return limited


def _add_referral(router: APIRouter, wiring: Wiring) -> None:
    async def referral(referral_id: ReferralId, caller: Caller) -> Response:
        found = await wiring.review_queue.find(referral_id)
        if found is None or found.caller != caller:
            raise NotFound("There is no referral of this id for this caller")
        body = {
            "referral_id": found.id,
            "status": "open" if found.answered_at is None else "answered",
            "due_at": found.due_at.isoformat(),
            "answer": found.answer,  # as it was stored: the task's type may have changed since
        }
        return JSONResponse(body)

    body_type = specialized(ReferralBody, wiring.task.gives)
    router.add_api_route(
        f"{REFERRALS}/{{referral_id}}",
        referral,
        methods=["GET"],
        operation_id="referral",
        summary="Fetch a person's answer",
        responses={
            200: {"model": body_type, "description": "Where it stands", "headers": CALL_ID},
            **problems(*ALWAYS, NotFound),
        },
    )


def _json(status: int, body: BaseModel, headers: dict[str, str] | None = None) -> Response:
    return Response(body.model_dump_json(by_alias=True), status, headers, media_type="application/json")
