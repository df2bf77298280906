"""What a model's tokens cost, from genai-prices (dated, works offline) or from `constraints.toml`."""

from collections.abc import Callable
from decimal import ROUND_CEILING, Decimal

from genai_prices import calc_price
from pydantic_ai.usage import RequestUsage

from chassis.constraints import FILE, ModelLink
from chassis.errors import ConfigError
from chassis.types import NANO_PER_USD, NanoUsd

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
        return _nano((usage.input_tokens * per_million_in + usage.output_tokens * per_million_out) / 1_000_000)

    return price


def _listed(link: ModelLink) -> Price:
    def price(usage: RequestUsage) -> NanoUsd:
        return _nano(calc_price(usage, link.model, provider_id=link.provider).total_price)

    return price


def _nano(dollars: Decimal) -> NanoUsd:
    return int((dollars * NANO_PER_USD).to_integral_value(ROUND_CEILING))
