"""What a model's tokens cost, from genai-prices (dated, works offline) or from `constraints.toml`."""

import time
from collections.abc import Callable
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache

from genai_prices import calc_price
from genai_prices.types import ModelPrice, PriceCalculation, calc_unit_price
from pydantic_ai.usage import RequestUsage

from chassis.constraints import FILE, ModelLink
from chassis.errors import ConfigError
from chassis.types import NANO_PER_USD, NanoUsd

MILLION = 1_000_000
PLAIN = frozenset({"input_tokens", "output_tokens", "output_reasoning_tokens", "details", "cost"})
"""What a request for text alone reports. Two rates price it; genai-prices takes fifty times as long to see that."""

type Price = Callable[[RequestUsage], NanoUsd]
"""From the tokens of one request to what it costs, rounded up."""


def price_of(link: ModelLink) -> Price:
    """Return the price of a model's tokens.

    Raises:
        ConfigError: genai-prices does not know the model, and the constraints give no price.
    """
    if link.input_usd_per_million is not None and link.output_usd_per_million is not None:
        return _fixed(Decimal(str(link.input_usd_per_million)), Decimal(str(link.output_usd_per_million)))
    price = _listed(link)
    try:
        price(RequestUsage(input_tokens=1, output_tokens=1))
    except LookupError:
        raise ConfigError(
            f"{FILE}: the model {link.name!r}",
            f"genai-prices knows no price for {link.provider}:{link.model}",
            "Mend the model's id, or add input_usd_per_million and output_usd_per_million",
        ) from None
    return price


def _fixed(per_million_in: Decimal, per_million_out: Decimal) -> Price:
    def price(usage: RequestUsage) -> NanoUsd:
        return _nano((usage.input_tokens * per_million_in + usage.output_tokens * per_million_out) / MILLION)

    return price


def _listed(link: ModelLink) -> Price:
    def listed(usage: RequestUsage) -> PriceCalculation:
        return calc_price(usage, link.model, provider_id=link.provider)

    @lru_cache(maxsize=1)
    def rates_in(_minute: int) -> ModelPrice:
        return listed(RequestUsage()).model_price

    def price(usage: RequestUsage) -> NanoUsd:
        if any(count and kind not in PLAIN for kind, count in vars(usage).items()):
            return _nano(listed(usage).total_price)
        rates = rates_in(int(time.time()) // 60)
        read, written = usage.input_tokens, usage.output_tokens  # how much is read decides the rate of both
        dollars = calc_unit_price(rates.input_mtok, read, read, MILLION)
        return _nano(dollars + calc_unit_price(rates.output_mtok, written, read, MILLION))

    return price


def _nano(dollars: Decimal) -> NanoUsd:
    return int((dollars * NANO_PER_USD).to_integral_value(ROUND_CEILING))
