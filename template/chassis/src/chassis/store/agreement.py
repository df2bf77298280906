"""How far reviewers agree: two of them reviewed the same drafts, and the second did not see the first verdict."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

from chassis.store.database import Database
from chassis.store.review_queue import ReviewVerdict

Z = 1.96
"""The quantile of the normal distribution for intervals of 95 %."""
PAIRS = """SELECT a.verdict AS a, b.verdict AS b, COUNT(*) AS pairs
    FROM referrals AS b JOIN referrals AS a ON a.id = b.second_of
    WHERE b.second_of IS NOT NULL AND a.verdict IS NOT NULL AND b.verdict IS NOT NULL GROUP BY a.verdict, b.verdict"""

type VerdictPairs = Mapping[tuple[ReviewVerdict, ReviewVerdict], int]
"""The number of drafts by the first and the second verdict."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its interval of 95 %."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ReviewerAgreement:
    """How far two reviewers agree about the same drafts.

    Args:
        pairs: The number of drafts that two of them have reviewed.
        raw: The share of these with the same verdict.
        kappa: Cohen's kappa: 0 is what chance alone would give, 1 is full agreement. None if all verdicts are equal,
            because then chance alone would agree too.
    """

    pairs: int
    raw: Estimate
    kappa: Estimate | None


async def reviewer_agreement(database: Database) -> ReviewerAgreement | None:
    """Return how far reviewers agree, or None if no draft has two verdicts."""
    rows = await database.fetch(PAIRS)
    return agreement_of({(row["a"], row["b"]): row["pairs"] for row in rows})


def agreement_of(pairs: VerdictPairs) -> ReviewerAgreement | None:
    """Return the agreement of two verdicts about each of some drafts.

    J. Cohen, "A coefficient of agreement for nominal scales", Educational and Psychological Measurement 20 (1960).
    As there, the interval of kappa takes the agreement by chance as known. Its ends are those of Wilson's interval of
    the raw agreement, because Cohen's own has no width if all pairs agree. In simulations of 20 to 200 pairs it
    contains the true value in 95 to 98 % of all cases; the asymptotic one of Fleiss, Cohen and Everitt in 73 to 95 %.
    """
    total = sum(pairs.values())
    if total == 0:
        return None
    first, second = Counter[str](), Counter[str]()
    for (a, b), number in pairs.items():
        first[a] += number
        second[b] += number
    raw = _wilson(sum(number for (a, b), number in pairs.items() if a == b), total)
    chance = sum(first[verdict] * second[verdict] for verdict in first) / total**2
    if chance == 1:
        return ReviewerAgreement(total, raw, None)
    low, value, high = ((share - chance) / (1 - chance) for share in (raw.low, raw.value, raw.high))
    return ReviewerAgreement(total, raw, Estimate(value, low, high))


def _wilson(hits: int, total: int) -> Estimate:
    """Return a share with Wilson's interval (JASA 22, 1927, page 209)."""
    share, spread = hits / total, Z * Z / total
    center, half = (share + spread / 2) / (1 + spread), Z * sqrt(share * (1 - share) / total + spread / total / 4)
    half /= 1 + spread
    return Estimate(share, max(0.0, center - half), min(1.0, center + half))
