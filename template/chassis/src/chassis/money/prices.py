"""What a model's tokens cost, from genai-prices (dated, works offline) or from `constraints.toml`."""

import time
from contextlib import suppress
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache
from typing import Protocol

from genai_prices import calc_price
from genai_prices.types import ModelPrice, PriceCalculation, TieredPrices, calc_unit_price
from pydantic_ai.usage import RequestUsage

from chassis.config.constraints import FILE, ModelConfig
from chassis.errors import ConfigError
from chassis.usd import NANO_PER_USD, NanoUsd

MILLION = 1_000_000
STANDARD_RATE = frozenset({"input_tokens", "output_tokens", "output_reasoning_tokens", "details", "cost"})
"""What a request for text alone reports. Two rates price it; genai-prices takes fifty times as long to see that."""


class Price(Protocol):
    """What a model's tokens cost, in nano-USD, rounded up."""

    def __call__(self, usage: RequestUsage, served: str | None = None) -> NanoUsd:
        """Return what the tokens of one request cost; `served` is the model that the vendor says it used."""
        ...

    def worst_case(self, read: int, written: int) -> NanoUsd:
        """Return the most that a request of so many tokens can cost, whichever of them a vendor keeps in a cache."""
        ...


def find_price(link: ModelConfig) -> Price:
    """Return the price of a model's tokens.

    Raises:
        ConfigError: genai-prices does not know the model, and the constraints give no price.
    """
    if link.input_usd_per_million is not None and link.output_usd_per_million is not None:
        return FixedPrice(Decimal(str(link.input_usd_per_million)), Decimal(str(link.output_usd_per_million)))
    price = CatalogPrice(link.model, link.provider)
    try:
        price(RequestUsage(input_tokens=1, output_tokens=1))
    except LookupError:
        raise ConfigError(
            f"{FILE}: the model {link.name!r}",
            f"genai-prices knows no price for {link.provider}:{link.model}",
            "Mend the model's id, or add input_usd_per_million and output_usd_per_million",
        ) from None
    return price


@dataclass(frozen=True, slots=True)
class FixedPrice:
    """The price that the constraints give, in dollars for a million tokens read and written."""

    input_usd_per_million: Decimal
    output_usd_per_million: Decimal

    def __call__(self, usage: RequestUsage, served: str | None = None) -> NanoUsd:  # noqa: ARG002 - whichever it was
        """Return what the tokens of one request cost."""
        return self.worst_case(usage.input_tokens, usage.output_tokens)

    def worst_case(self, read: int, written: int) -> NanoUsd:
        """Return what so many tokens cost."""
        return _nano((read * self.input_usd_per_million + written * self.output_usd_per_million) / MILLION)


class CatalogPrice:
    """The price in the list of genai-prices.

    Args:
        model: The vendor's id of it.
        provider: The vendor.
    """

    def __init__(self, model: str, provider: str) -> None:
        self._model, self._provider = model, provider
        self._rates_in = lru_cache(maxsize=8)(self._rates_looked_up)

    def __call__(self, usage: RequestUsage, served: str | None = None) -> NanoUsd:
        """Return what the list says of the model that served, and if it does not know that one, of the one asked."""
        if any(count and kind not in STANDARD_RATE for kind, count in vars(usage).items()):
            return _nano(self._listed(usage, served).total_price)
        rates, read = self._rates(served), usage.input_tokens
        return _nano(_cost(rates.input_mtok, read, read) + _cost(rates.output_mtok, usage.output_tokens, read))

    def worst_case(self, read: int, written: int) -> NanoUsd:
        """Return the most: some vendors take more for a token that they also write into their cache."""
        rates = self._rates(None)
        reading = max(_cost(rates.input_mtok, read, read), _cost(rates.cache_write_mtok, read, read))
        return _nano(reading + _cost(rates.output_mtok, written, read))

    def _listed(self, usage: RequestUsage, served: str | None) -> PriceCalculation:
        with suppress(LookupError):
            return calc_price(usage, served or self._model, provider_id=self._provider)
        return calc_price(usage, self._model, provider_id=self._provider)

    def _rates(self, served: str | None) -> ModelPrice:
        return self._rates_in(served, int(time.time()) // 60)

    def _rates_looked_up(self, served: str | None, _minute: int) -> ModelPrice:
        return self._listed(RequestUsage(), served).model_price


def _cost(rate: Decimal | TieredPrices | None, tokens: int, read: int) -> Decimal:
    """Return dollars; how much is read decides the rate of everything."""
    return calc_unit_price(rate, tokens, read, MILLION)


def _nano(dollars: Decimal) -> NanoUsd:
    return int((dollars * NANO_PER_USD).to_integral_value(ROUND_CEILING))
