"""Sends a request to the same model again if that is likely to help.

Nothing else in a service retries a model request: the vendors' libraries are connected with their own retries off.
"""

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
"""The longest random delay before the first retry; it doubles with each further one."""
RETRYABLE_STATUSES = frozenset({408, 409})
"""HTTP statuses after which the same request may soon succeed."""
DOWN_ERRORS = (ModelServerError, ModelUnavailableError, ModelConnectionError)
"""The vendor is down. Only the last model of the chain is then retried; otherwise the next one is the better bet."""


@dataclass(slots=True)
class Retry:
    """Retries within the model's time budget.

    Args:
        inner: The next step.
        retries: The most retries, from `limits.retries_per_model`.
        time_budget: The model's time. A delay may use at most half of what is left, so that a retry can still finish.
    """

    inner: Step
    retries: int
    time_budget: TimeBudget

    async def ask(self, request: Request) -> ModelResponse:
        """Ask, wait, and ask again, until there is a reply or an error that a retry would not help."""
        for retry in range(self.retries):
            try:
                return await self.inner.ask(request)
            except ModelAPIError as error:
                delay = retry_delay(error, retry, is_last=self.time_budget.models_left == 1)
                # A longer wait would leave the retry too little time, and the next model of the chain none.
                if delay is None or delay > self.time_budget.seconds() / 2:
                    raise
            await asyncio.sleep(delay)
        return await self.inner.ask(request)


def retry_delay(error: ModelAPIError, retry: int, *, is_last: bool) -> float | None:
    """Return the seconds to wait before asking the same model again, or None if that would not help.

    This is exponential backoff with full jitter, on top of the vendor's `Retry-After`. See Marc Brooker, *Exponential
    Backoff And Jitter*, AWS Architecture Blog, 2015.

    Args:
        error: What went wrong.
        retry: How many retries there have been.
        is_last: Whether the model is the last one of the chain.
    """
    if not _is_retryable(error, is_last=is_last):
        return None
    # Full jitter: callers that failed together must not all come back together.
    jitter = random.uniform(0, BASE_DELAY_SECONDS * 2**retry)  # noqa: S311 - not for cryptography
    return (error.retry_after or 0) + jitter


def _is_retryable(error: ModelAPIError, *, is_last: bool) -> bool:
    if isinstance(error, ModelHTTPError) and error.provider_retry_hint is False:
        return False
    match error:
        case ModelTimeoutError() | EgressRefused():
            return False  # the one has used up its time, and the other would be refused again
        # Nothing was sent, so the retry can cost nothing twice.
        case ModelConnectionError(phase="pool" | "connect"):
            return True
        # Without a time to wait, the next model is a better bet than guessing when the limit ends.
        case ModelRateLimitError():
            return error.retry_after is not None or is_last
        case ModelHTTPError(status_code=status) if status in RETRYABLE_STATUSES:
            return True
        case _:
            return is_last and isinstance(error, DOWN_ERRORS)
