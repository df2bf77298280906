"""Amounts of money as whole nano-dollars, and how they are shown."""

type NanoUsd = int
"""Billionths of a US dollar. A token of a cheap model costs about 50, and sums of integers are exact."""

NANO_PER_USD = 1_000_000_000


def nano_usd(dollars: float) -> NanoUsd:
    """Return dollars in nano-dollars, rounded to the nearest."""
    return round(dollars * NANO_PER_USD)


def to_usd(amount: NanoUsd) -> float:
    """Return an amount in dollars, for a metric or a JSON field. Do not calculate with it: it is not exact."""
    return amount / NANO_PER_USD


def format_usd(amount: NanoUsd) -> str:
    """Return an amount for people, with two to six decimals: `$1,000.00`, `$12.50`, `$0.000125`."""
    digits = f"{to_usd(amount):,.6f}".rstrip("0")
    whole, _, fraction = digits.partition(".")
    return f"${whole}.{fraction.ljust(2, '0')}"
