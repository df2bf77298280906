"""Sends a request to the same model again if that is likely to help: the one place where anything is sent twice."""

import asyncio
import random
from dataclasses import dataclass

from pydantic_ai.exceptions import (
    ModelAPIError,
    ModelConnectionError,
    ModelHTTPError,
    ModelRateLimitError,
    ModelServerError,
    ModelTimeoutError,
    ModelUnavailableError,
)
from pydantic_ai.messages import ModelResponse

from chassis.call import TimeBudget
from chassis.guard.failures import EgressRefused
from chassis.guard.request import Request, Step

BASE_DELAY_SECONDS = 0.25
"""The longest pause before the first retry; it doubles with each, and the real one is random, from 0 up to it."""
RETRYABLE_STATUSES = frozenset({408, 409})
"""The HTTP statuses that say: the same request may be welcome in a moment."""
DOWN_ERRORS = (ModelServerError, ModelUnavailableError, ModelConnectionError)
"""A vendor that is down is left for the next model; only the last model of the chain is asked again."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Asks the same model up to so many times more, as long as its share of the deadline allows.

    Args:
        inner: The rest of the walk.
        retries: How many times more, from `limits.retries_per_model`.
        share: The model's share of the deadline; at least half of it must be left after a pause.
    """

    inner: Step
    retries: int
    time_budget: TimeBudget

    async def ask(self, request: Request) -> ModelResponse:
        """Ask, pause, ask again."""
        for retry in range(self.retries):
            try:
                return await self.inner.ask(request)
            except ModelAPIError as error:
                pause = retry_delay(error, retry, is_last=self.time_budget.models_left == 1)
                if pause is None or pause > self.time_budget.seconds() / 2:
                    raise
            await asyncio.sleep(pause)
        return await self.inner.ask(request)


def retry_delay(error: ModelAPIError, retry: int, *, is_last: bool) -> float | None:
    """Return the seconds after which the same model may be asked again, or None if that would not help.

    A vendor that names a time is taken at its word; the random part keeps callers from coming back all at once.

    Args:
        error: What went wrong.
        retry: How many retries there have been.
        is_last: No other model is left to ask instead.
    """
    if not _may_pass(error, is_last=is_last):
        return None
    jitter = random.uniform(0, BASE_DELAY_SECONDS * 2**retry)  # noqa: S311 - nobody gains by guessing it
    return (error.retry_after or 0) + jitter


def _may_pass(error: ModelAPIError, *, is_last: bool) -> bool:
    if isinstance(error, ModelHTTPError) and error.provider_retry_hint is False:
        return False
    match error:
        case ModelTimeoutError() | EgressRefused():
            return False  # the one has had its time, the other will be refused again
        case ModelConnectionError(phase="pool" | "connect"):
            return True
        case ModelRateLimitError():
            return error.retry_after is not None or is_last
        case ModelHTTPError(status_code=status) if status in RETRYABLE_STATUSES:
            return True
        case _:
            return is_last and isinstance(error, DOWN_ERRORS)
