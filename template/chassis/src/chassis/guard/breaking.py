"""Skips a model that rests, or whose destination does, and tells their breakers how requests end."""

from dataclasses import dataclass

from pydantic_ai.exceptions import (
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelNotFoundError,
    ModelQuotaExceededError,
    ModelRequestRejectedError,
    UnexpectedModelBehavior,
)
from pydantic_ai.messages import ModelResponse

from chassis.guard import breaker
from chassis.guard.breaker import Breaker
from chassis.guard.failures import UnusableReply
from chassis.guard.request import Request
from chassis.guard.step import Step

QUOTA_SECONDS = 15 * 60.0
"""How long an account without quota rests; waiting does not fill it, but somebody may."""
LONGEST_SECONDS = 60 * 60.0
"""What a vendor may ask for in `Retry-After`; more is taken for this."""


@dataclass(frozen=True, slots=True)
class Breaking:
    """Asks a model only while its breaker and its destination's let it.

    Args:
        inner: The rest of the walk.
        model: The breaker of the model.
        destination: The breaker that all models of its destination share.
    """

    inner: Step
    model: Breaker
    destination: Breaker

    async def ask(self, request: Request) -> ModelResponse:
        """Ask, unless the model or its destination rests."""
        self.destination.check()
        self.model.check()
        self.destination.enter()
        self.model.enter()
        try:
            response = await self.inner.ask(request)
        except (ModelAuthenticationError, ModelNotFoundError) as error:
            self._blame(error)  # a wrong key or name turns down every request, not just this one
            raise
        except (ModelRequestRejectedError, UnusableReply):
            self._well()  # the vendor is well; it is this one request that it cannot serve
            raise
        except (ModelAPIError, UnexpectedModelBehavior) as error:
            self._blame(error)
            raise
        except BaseException:  # a caller who hung up says nothing about the model
            self.destination.leave()
            self.model.leave()
            raise
        self._well()
        return response

    def _well(self) -> None:
        self.destination.succeeded()
        self.model.succeeded()

    def _blame(self, error: ModelAPIError | UnexpectedModelBehavior) -> None:
        """Tell the breaker of whatever is not well: the whole destination, or this model of it."""
        match error:
            case ModelConnectionError(phase="pool" | "connect"):
                self.model.leave()
                self.destination.failed()
            case _:
                self.destination.leave()
                self.model.failed(_known_rest(error))


def _known_rest(error: ModelAPIError | UnexpectedModelBehavior) -> float | None:
    """Return how long the model is known to be of no use, or None if a single failure says nothing about the next."""
    asked_for = (error.retry_after or 0) if isinstance(error, ModelAPIError) else 0
    if isinstance(error, ModelQuotaExceededError):
        return min(asked_for or QUOTA_SECONDS, LONGEST_SECONDS)
    return min(asked_for, LONGEST_SECONDS) if asked_for > breaker.REST_SECONDS else None
