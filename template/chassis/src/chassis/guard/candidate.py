"""One model of the chain, with everything that the calls of a process share about it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

from pydantic_ai.models import Model, StreamedResponse
from pydantic_ai.models.wrapper import WrapperModel

from chassis.config.constraints import ModelConfig
from chassis.guard.circuit_breaker import CircuitBreaker
from chassis.guard.concurrency import ConcurrencyLimit
from chassis.money.prices import Price
from chassis.usd import NanoUsd


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A model that can be asked.

    Args:
        config: Its entry in `constraints.toml`.
        model: The vendor's model.
        price: The price of its tokens.
        breaker: The circuit breaker of this model.
        host_breaker: The circuit breaker of all models at the same host.
        concurrency: The limit of requests that it is sent at the same time.
        retries: How often a request may be sent to it again.
    """

    config: ModelConfig
    model: Model
    price: Price
    breaker: CircuitBreaker
    host_breaker: CircuitBreaker
    concurrency: ConcurrencyLimit
    retries: int

    def worst_case(self, max_input_tokens: int) -> NanoUsd:
        """Return the highest cost of sending a request of at most `max_input_tokens` once."""
        return self.price.worst_case(max_input_tokens, self.config.max_output_tokens)

    def worst_case_with_retries(self, max_input_tokens: int) -> NanoUsd:
        """Return the highest cost of a request that is sent again as often as `retries` allows."""
        return self.worst_case(max_input_tokens) * (1 + self.retries)


class DescribeOnlyModel(WrapperModel):
    """Tells pydantic-ai what a model can do, and refuses to send it anything."""

    async def request(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse the request.

        Raises:
            TypeError: Always.
        """
        raise TypeError(f"{self.model_name} cannot be asked directly; use the model that the task is given")

    async def count_tokens(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse, because counting sends the whole prompt to the vendor."""
        await self.request()

    @asynccontextmanager
    async def request_stream(self, *_: Any, **__: Any) -> AsyncGenerator[StreamedResponse]:
        """Refuse the request."""
        yield await self.request()
