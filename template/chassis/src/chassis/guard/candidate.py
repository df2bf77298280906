"""One model of the chain with all that belongs to it for the life of the process."""

from dataclasses import dataclass

from pydantic_ai.models import Model

from chassis.config.constraints import ModelConfig
from chassis.guard.circuit_breaker import CircuitBreaker
from chassis.limits import ConcurrencyLimit
from chassis.money.prices import Price
from chassis.usd import NanoUsd


@dataclass(frozen=True, slots=True)
class Candidate:
    """One model with what the calls of the process share about it.

    Args:
        rules: Its entry in `constraints.toml`.
        vendor: The model itself.
        price: What its tokens cost.
        breaker: Its own.
        destination: The breaker of all models at its destination.
        line: Where requests wait for it.
        retries: How often a request may be sent to it again.
    """

    config: ModelConfig
    model: Model
    price: Price
    breaker: CircuitBreaker
    destination_breaker: CircuitBreaker
    concurrency: ConcurrencyLimit
    retries: int

    def worst_case(self, input_bound: int) -> NanoUsd:
        """Return the most that sending one request of at most `input_bound` tokens once can cost."""
        return self.price.worst_case(input_bound, self.config.max_output_tokens)

    def worst_case_with_retries(self, input_bound: int) -> NanoUsd:
        """Return the most that one request can cost if it is sent again as often as it may be."""
        return self.worst_case(input_bound) * (1 + self.retries)
