"""The price of a model's tokens: from `constraints.toml`, or from the catalog of the library genai-prices.

The catalog is part of the installed library, so it has the date of the library's release and needs no network.
"""

import time
from contextlib import suppress
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache
from typing import Protocol

from genai_prices import calc_price
from genai_prices.types import ModelPrice, PriceCalculation, TieredPrices, calc_unit_price
from pydantic_ai.usage import RequestUsage

from chassis.config.constraints import CONSTRAINTS_FILE, ModelConfig
from chassis.errors import ConfigError
from chassis.usd import NANO_PER_USD, NanoUsd

MILLION = 1_000_000
STANDARD_USAGE = frozenset({"input_tokens", "output_tokens", "output_reasoning_tokens", "details", "cost"})
"""The fields of a usage that two rates are enough to price. genai-prices handles all others, fifty times slower."""


class Price(Protocol):
    """The price of a model's tokens, in nano-USD and rounded up."""

    def __call__(self, usage: RequestUsage, served: str | None = None) -> NanoUsd:
        """Return the cost of a request.

        Args:
            usage: Its tokens.
            served: The vendor's id of the model that answered; some vendors may use another one than the one asked.
        """
        ...

    def worst_case(self, input_tokens: int, output_tokens: int) -> NanoUsd:
        """Return the highest cost of a request with these tokens, whichever of them the vendor reads from a cache."""
        ...

    def catalog_id(self, served: str) -> str | None:
        """Return the catalog's own id of a model, or None if it is not in the catalog or the catalog is not used."""
        ...


def find_price(config: ModelConfig) -> Price:
    """Return the price of a model's tokens.

    Raises:
        ConfigError: The constraints give no price, and the catalog has none.
    """
    if config.input_usd_per_million is not None and config.output_usd_per_million is not None:
        # By way of text: `Decimal(0.15)` would be 0.1499999999999999944…
        return FixedPrice(Decimal(str(config.input_usd_per_million)), Decimal(str(config.output_usd_per_million)))
    price = CatalogPrice(config.model, config.provider)
    try:
        # At the start of the service, not with the first question.
        price(RequestUsage(input_tokens=1, output_tokens=1))
    except LookupError:
        raise ConfigError(
            f"{CONSTRAINTS_FILE}: the model {config.name!r}",
            f"genai-prices knows no price for {config.provider}:{config.model}",
            "Correct the model's id, or add input_usd_per_million and output_usd_per_million",
        ) from None
    return price


@dataclass(frozen=True, slots=True)
class FixedPrice:
    """A price from the constraints, in US dollars for a million input and a million output tokens."""

    input_usd_per_million: Decimal
    output_usd_per_million: Decimal

    def __call__(self, usage: RequestUsage, served: str | None = None) -> NanoUsd:  # noqa: ARG002 - one price for all
        """Return the cost of a request."""
        return self.worst_case(usage.input_tokens, usage.output_tokens)

    def worst_case(self, input_tokens: int, output_tokens: int) -> NanoUsd:
        """Return the cost of these tokens."""
        dollars = input_tokens * self.input_usd_per_million + output_tokens * self.output_usd_per_million
        return _nano_usd(dollars / MILLION)

    def catalog_id(self, served: str) -> None:
        """Return None, because the catalog is not used."""


class CatalogPrice:
    """A price from the catalog.

    Args:
        model: The vendor's id of the model.
        provider: The vendor.
    """

    def __init__(self, model: str, provider: str) -> None:
        self._model, self._provider = model, provider
        self._rates_of_minute = lru_cache(maxsize=8)(self._look_up_rates)
        self._ids = lru_cache(maxsize=8)(self._look_up_id)

    def __call__(self, usage: RequestUsage, served: str | None = None) -> NanoUsd:
        """Return the cost by the price of the model that answered, or, if the catalog lacks it, of the one asked."""
        if any(count and field not in STANDARD_USAGE for field, count in vars(usage).items()):
            return _nano_usd(self._calculate(usage, served).total_price)
        rates, input_tokens = self._rates(served), usage.input_tokens
        input_cost = _cost(rates.input_mtok, input_tokens, input_tokens)
        return _nano_usd(input_cost + _cost(rates.output_mtok, usage.output_tokens, input_tokens))

    def worst_case(self, input_tokens: int, output_tokens: int) -> NanoUsd:
        """Return the highest cost: some vendors charge more for input tokens that they also write into a cache."""
        rates = self._rates(None)
        read = _cost(rates.input_mtok, input_tokens, input_tokens)
        written = _cost(rates.cache_write_mtok, input_tokens, input_tokens)
        return _nano_usd(max(read, written) + _cost(rates.output_mtok, output_tokens, input_tokens))

    def catalog_id(self, served: str) -> str | None:
        """Return the catalog's own id of a model, or None if it is not in the catalog."""
        return self._ids(served)

    def _look_up_id(self, served: str) -> str | None:
        with suppress(LookupError):
            return calc_price(RequestUsage(), served, provider_id=self._provider).model.id
        return None

    def _calculate(self, usage: RequestUsage, served: str | None) -> PriceCalculation:
        with suppress(LookupError):
            return calc_price(usage, served or self._model, provider_id=self._provider)
        # The catalog lacks the model that answered, so the price of the one that was asked has to do.
        return calc_price(usage, self._model, provider_id=self._provider)

    def _rates(self, served: str | None) -> ModelPrice:
        # Prices can depend on the date and the time of day, so rates are cached for a minute only.
        return self._rates_of_minute(served, int(time.time()) // 60)

    def _look_up_rates(self, served: str | None, _minute: int) -> ModelPrice:
        return self._calculate(RequestUsage(), served).model_price


def _cost(rate: Decimal | TieredPrices | None, tokens: int, input_tokens: int) -> Decimal:
    """Return the cost in US dollars; the number of input tokens decides which tier of a tiered rate applies."""
    return calc_unit_price(rate, tokens, input_tokens, MILLION)


def _nano_usd(dollars: Decimal) -> NanoUsd:
    # Rounded up, so that a budget is never exceeded by the fractions of many requests.
    return int((dollars * NANO_PER_USD).to_integral_value(ROUND_CEILING))
