"""One model of the chain with all that belongs to it for the life of the process."""

from dataclasses import dataclass

from pydantic_ai.models import Model
from pydantic_ai.usage import RequestUsage

from chassis.constraints import ModelLink
from chassis.guard.breaker import Breaker
from chassis.guard.prices import Price
from chassis.types import NanoUsd


@dataclass(frozen=True, slots=True)
class Link:
    """A model, its rules from `constraints.toml`, its price and its breaker."""

    rules: ModelLink
    vendor: Model
    price: Price
    breaker: Breaker

    def worst_case(self, input_bound: int) -> NanoUsd:
        """Return the most that one request of at most `input_bound` tokens can cost."""
        return self.price(RequestUsage(input_tokens=input_bound, output_tokens=self.rules.max_output_tokens))
