"""One request to one vendor: capped, traced, checked, and charged for."""

import time
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
from chassis.telemetry.context import outgoing_headers
from chassis.usd import NanoUsd

SELF_HOSTED = frozenset({"openai-compatible", "local"})
"""The providers that run where we do; only they learn the ids of our traces."""

GATEWAY_TIMEOUTS = frozenset({408, 504})
"""The HTTP statuses of somebody on the way who stopped waiting; the model may have written its answer all the same."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Meter:
    """Asks one vendor, and writes down what was sent and what it cost.

    Args:
        inner: The vendor's model, bounded in time.
        link: Its rules and its price.
        turn: Where the attempt is written down.
    """

    inner: Step
    candidate: Candidate
    turn: Turn

    async def ask(self, request: Request) -> ModelResponse:
        """Ask, with the output cap of the constraints.

        Raises:
            UnusableReply: Nothing can be done with the reply; it is charged for all the same.
        """
        cap, started = self._cap(request.settings), time.monotonic()
        response: ModelResponse | None = None
        with ChatSpan(self.candidate.config, cap) as span:
            try:
                response = await self._ask(replace(request, settings=self._to_send(request.settings, cap)))
                span.answered(response)
                check_reply(self.candidate.config, response, request.messages)
            except BaseException as error:
                span.charged(self._note(response, error, time.monotonic() - started))
                raise
            span.charged(self._note(response, None, time.monotonic() - started))
        return response

    async def _ask(self, request: Request) -> ModelResponse:
        try:
            return await self.inner.ask(request)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            # None of our code runs in there: the vendor's library stumbled over what the vendor sent.
            name, stumble = self.candidate.config.name, type(error).__name__
            raise UnreadableReply(name, f"{name} sent what its own library cannot read ({stumble})") from error

    def _cap(self, settings: ModelSettings | None) -> int:
        cap = self.candidate.config.max_output_tokens
        return min((settings or {}).get("max_tokens") or cap, cap)

    def _to_send(self, wanted: ModelSettings | None, cap: int) -> ModelSettings:
        """Return the settings to send: capped, and for a model of our own with the trace that it may continue."""
        settings: ModelSettings = {**(wanted or {}), "max_tokens": cap}
        if self.candidate.config.provider in SELF_HOSTED:
            settings["extra_headers"] = {**settings.get("extra_headers", {}), **outgoing_headers()}
        return settings

    def _note(self, response: ModelResponse | None, error: BaseException | None, seconds: float) -> NanoUsd:
        name, failure = self.candidate.config.name, type(error).__name__ if error else None
        usage = response.usage if response else RequestUsage()
        served = response.model_name if response else None
        cost = self.candidate.price(usage, served) if usage.input_tokens else self._cost_of(error)
        self.turn.attempts.append(Attempt(name, failure, usage.input_tokens, usage.output_tokens, cost, seconds))
        if failure is not None:
            log.warning("model.failed", model=name, error=failure, seconds=round(seconds, 3))
        if self.turn.cost > self.turn.reserved:
            log.warning("reservation.exceeded", model=name, served=served)
        return cost

    def _cost_of(self, error: BaseException | None) -> NanoUsd:
        """Return what is charged if nobody says what was used: nothing if it was not processed, else the worst case."""
        return 0 if _was_not_processed(error) else self.candidate.worst_case(self.turn.max_input_tokens)


def _was_not_processed(error: BaseException | None) -> bool:
    """Tell requests that never arrived or were turned down, which cost nothing, from those of which nobody can know."""
    match error:
        case ModelConnectionError(phase="pool" | "connect"):
            return True
        case ModelHTTPError(status_code=status):
            return status not in GATEWAY_TIMEOUTS
        case _:
            return False
