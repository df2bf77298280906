"""Sends one request to one model, checks the reply, and records what it cost."""

import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import structlog
from pydantic_ai.exceptions import AgentRunError, ModelConnectionError, ModelHTTPError, UserError
from pydantic_ai.messages import ModelResponse
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from chassis.call import Attempt, Turn
from chassis.config.constraints import SELF_HOSTED
from chassis.errors import ChassisError
from chassis.guard.candidate import Candidate
from chassis.guard.diagnosis import diagnose
from chassis.guard.egress import Delivery, track_delivery
from chassis.guard.failures import UnreadableReply, UnsentRequest
from chassis.guard.reply_check import check_reply, is_plausible_usage
from chassis.guard.request import Request, Step
from chassis.telemetry import names
from chassis.telemetry.genai_spans import ChatSpan
from chassis.telemetry.instruments import Instruments, outgoing_headers
from chassis.usd import NanoUsd

REFUSALS = frozenset({400, 401, 402, 403, 404, 405, 410, 411, 413, 414, 415, 422, 429, 431, 451})
"""HTTP statuses which prove that the request was not carried out, because of its sender, its form or its size.

After any other one the vendor, or a vendor behind a gateway, may have written its answer, and may charge for it.
"""

MAX_LOGGED = 100
"""The most characters of a vendor's numbers that are logged."""

log = structlog.get_logger()


@dataclass(slots=True)
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
        # The cap is what makes the worst case finite. Without it a vendor could write, and charge for, any number of
        # tokens.
        max_tokens, started = self._max_tokens(request.settings), time.monotonic()
        response: ModelResponse | None = None
        delivery = track_delivery()
        with ChatSpan(self.instruments, self.candidate.config, max_tokens) as span:
            try:
                # Within the span, so that the trace headers continue from it.
                capped = Request(request.messages, self._settings(request.settings, max_tokens), request.parameters)
                with _errors_as_failures(self.candidate.config.name, delivery):
                    response = self._without_false_usage(await self.inner.ask(capped))
                    span.set_response(response, self._served(response))
                    check_reply(self.candidate.config, response, request.messages)
            except BaseException as error:  # a cancelled request may cost something too
                self._keep_content(request, response, error)
                span.set_cost(self._record(response, error, delivery, time.monotonic() - started))
                raise
            self._keep_content(request, response, None)
            span.set_cost(self._record(response, None, delivery, time.monotonic() - started))
        return response

    def _max_tokens(self, settings: ModelSettings | None) -> int:
        cap = self.candidate.config.max_output_tokens
        return min((settings or {}).get("max_tokens") or cap, cap)

    def _settings(self, settings: ModelSettings | None, max_tokens: int) -> ModelSettings:
        capped: ModelSettings = {**(settings or {}), "max_tokens": max_tokens}
        if self.candidate.config.provider in SELF_HOSTED:  # other vendors need not learn our ids
            capped["extra_headers"] = {**capped.get("extra_headers", {}), **outgoing_headers()}
            if self.candidate.config.output_cap_parameter == "both":
                # The SDK sends the other one. `check_settings` leaves no other use of `extra_body`.
                capped["extra_body"] = {"max_tokens": max_tokens}
        return capped

    def _without_false_usage(self, response: ModelResponse) -> ModelResponse:
        """Return a reply without its usage if that cannot be true, so that nothing is computed from it."""
        config, usage = self.candidate.config, response.usage
        if is_plausible_usage(response, self.turn.max_input_tokens, config.max_output_tokens):
            return response
        if not usage.unmeasured_requests:  # some servers never report what was used
            counts = f"{usage.input_tokens} in, {usage.output_tokens} out"
            log.warning("usage.implausible", model=config.name, tokens=counts[:MAX_LOGGED])
        return replace(response, usage=RequestUsage())

    def _served(self, response: ModelResponse) -> str | None:
        """Return which model answered: the one that was asked, one in the catalog, or `other`."""
        served = response.model_name
        if served is None or served == self.candidate.config.model:
            return served
        return self.candidate.price.catalog_id(served) or names.OTHER_MODEL

    def _keep_content(self, request: Request, response: ModelResponse | None, error: BaseException | None) -> None:
        """Keep what was sent and what came back, in development."""
        if self.instruments.content is not None:
            model = self.candidate.config.name
            self.turn.reply = self.instruments.content.record(model, request.messages, response, error)

    def _record(
        self, response: ModelResponse | None, error: BaseException | None, delivery: Delivery, seconds: float
    ) -> NanoUsd:
        """Record the attempt and return what it cost."""
        name, failure = self.candidate.config.name, type(error).__name__ if error else None
        usage = response.usage if response else RequestUsage()
        # Zero input tokens cannot be true, so they mean that the vendor did not say what was used.
        if response and usage.input_tokens:
            cost = self.candidate.price(usage, response.model_name)
        # What it cost is unknown, and it may have arrived. Charging less than the worst case could overspend a budget.
        elif delivery.possible and not _was_refused(error):
            cost = self.candidate.worst_case(self.turn.max_input_tokens)
        else:
            cost = 0
        served = self._served(response) if response else None
        self.turn.attempts.append(
            Attempt(name, failure, usage.input_tokens, usage.output_tokens, cost, seconds, served=served)
        )
        if error is not None:
            fields = diagnose(error, self.candidate.config, with_content=self.instruments.content is not None)
            log.warning("model.failed", model=name, error=failure, seconds=round(seconds, 3), **fields)
        if self.turn.cost > self.turn.reserved:  # a vendor may answer with a more expensive model
            log.warning("reservation.exceeded", model=name, served=served)
        return cost


@contextmanager
def _errors_as_failures(model: str, delivery: Delivery) -> Generator[None]:
    """Treat every error in the vendor's library, and in looking at the reply, as a failure of the model.

    These can be of any type, but no code of the team runs inside this context.

    Raises:
        UnreadableReply: In their place.
        UnsentRequest: In their place, if nothing was sent.
    """
    try:
        yield
    except (AgentRunError, UserError, ChassisError):
        raise
    except Exception as error:
        kind = type(error).__name__
        if not delivery.possible:
            raise UnsentRequest(model, f"The vendor's library cannot send the request to {model} ({kind})") from error
        raise UnreadableReply(model, f"{model} sent a reply that cannot be read ({kind})") from error


def _was_refused(error: BaseException | None) -> bool:
    """Return whether the request certainly cost nothing: it never arrived, or the vendor refused it."""
    match error:
        case ModelConnectionError(phase="pool" | "connect"):
            return True
        case ModelHTTPError(status_code=status):
            return status in REFUSALS
        case _:
            return False
