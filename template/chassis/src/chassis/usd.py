"""Money as whole nano-dollars, and how it is shown."""

type NanoUsd = int
"""Money in billionths of a US dollar: a token of a cheap model costs about 50, and integers add up exactly."""

NANO_PER_USD = 1_000_000_000


def nano_usd(dollars: float) -> NanoUsd:
    """Return dollars as nano-USD, rounded to the nearest."""
    return round(dollars * NANO_PER_USD)


def to_usd(amount: NanoUsd) -> float:
    """Return an amount in dollars, for a metric or a JSON field; never to reckon with."""
    return amount / NANO_PER_USD


def format_usd(amount: NanoUsd) -> str:
    """Return an amount for people: `$0.000125`, `$12.50`; at least cents, at most a millionth of a dollar."""
    digits = f"{to_usd(amount):.6f}".rstrip("0")
    whole, _, fraction = digits.partition(".")
    return f"${whole}.{fraction.ljust(2, '0')}"
