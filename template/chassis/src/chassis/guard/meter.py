"""Sends one request to one model, checks the reply, and records what it cost."""

import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import structlog
from pydantic_ai.exceptions import ModelConnectionError, ModelHTTPError
from pydantic_ai.messages import ModelResponse
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from chassis.call import Attempt, Turn
from chassis.guard.candidate import Candidate
from chassis.guard.failures import UnreadableReply
from chassis.guard.reply_check import check_reply
from chassis.guard.request import Request, Step
from chassis.telemetry.chat import ChatSpan
from chassis.telemetry.instruments import Instruments, outgoing_headers
from chassis.usd import NanoUsd

SELF_HOSTED = frozenset({"openai-compatible", "local"})
"""The providers that the team runs itself. Only they receive trace headers: other vendors need not learn our ids."""
GATEWAY_TIMEOUTS = frozenset({408, 504})
"""HTTP statuses of a proxy that stopped waiting. The model behind it may have written its answer all the same."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Meter:
    """Records every attempt, successful or not, on the turn and as a span.

    Args:
        inner: The next step.
        candidate: The model that is asked.
        turn: Where the attempt is recorded.
        instruments: What the span and the metrics are recorded with.
    """

    inner: Step
    candidate: Candidate
    turn: Turn
    instruments: Instruments

    async def ask(self, request: Request) -> ModelResponse:
        """Send the request with the cap on output tokens.

        Raises:
            UnusableReply: The reply cannot be used; it is charged for all the same.
        """
        max_tokens, started = self._max_tokens(request.settings), time.monotonic()
        response: ModelResponse | None = None
        with ChatSpan(self.instruments, self.candidate.config, max_tokens) as span:
            try:
                # Within the span, so that the trace headers continue from it.
                capped = replace(request, settings=self._settings(request.settings, max_tokens))
                with _library_errors(self.candidate.config.name):
                    response = await self.inner.ask(capped)
                span.set_response(response)
                check_reply(self.candidate.config, response, request.messages)
            except BaseException as error:  # a cancelled request may cost something too
                span.set_cost(self._record(response, error, time.monotonic() - started))
                raise
            span.set_cost(self._record(response, None, time.monotonic() - started))
        return response

    def _max_tokens(self, settings: ModelSettings | None) -> int:
        cap = self.candidate.config.max_output_tokens
        return min((settings or {}).get("max_tokens") or cap, cap)

    def _settings(self, settings: ModelSettings | None, max_tokens: int) -> ModelSettings:
        capped: ModelSettings = {**(settings or {}), "max_tokens": max_tokens}
        if self.candidate.config.provider in SELF_HOSTED:
            capped["extra_headers"] = {**capped.get("extra_headers", {}), **outgoing_headers()}
        return capped

    def _record(self, response: ModelResponse | None, error: BaseException | None, seconds: float) -> NanoUsd:
        """Record the attempt and return what it cost."""
        name, failure = self.candidate.config.name, type(error).__name__ if error else None
        usage = response.usage if response else RequestUsage()
        served = response.model_name if response else None
        # No input tokens means that there is no reply, or that the vendor did not report its usage.
        cost = self.candidate.price(usage, served) if usage.input_tokens else self._cost_without_usage(error)
        self.turn.attempts.append(Attempt(name, failure, usage.input_tokens, usage.output_tokens, cost, seconds))
        if failure is not None:
            log.warning("model.failed", model=name, error=failure, seconds=round(seconds, 3))
        if self.turn.cost > self.turn.reserved:  # a vendor may answer with a more expensive model
            log.warning("reservation.exceeded", model=name, served=served)
        return cost

    def _cost_without_usage(self, error: BaseException | None) -> NanoUsd:
        """Return the worst case, which the vendor may charge, unless the request was certainly not processed."""
        return 0 if _was_not_processed(error) else self.candidate.worst_case(self.turn.max_input_tokens)


@contextmanager
def _library_errors(model: str) -> Generator[None]:
    """Treat errors in the vendor's library as failures of the model: it met something in the reply that it cannot read.

    These are the types of mistakes in code, but no code of the team or of ours runs inside this context.

    Raises:
        UnreadableReply: In their place.
    """
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        problem = f"{model} sent a reply that the vendor's library cannot read ({type(error).__name__})"
        raise UnreadableReply(model, problem) from error


def _was_not_processed(error: BaseException | None) -> bool:
    """Return whether the request certainly cost nothing: it never arrived, or the vendor rejected it."""
    match error:
        case ModelConnectionError(phase="pool" | "connect"):
            return True
        case ModelHTTPError(status_code=status):
            return status not in GATEWAY_TIMEOUTS
        case _:
            return False
