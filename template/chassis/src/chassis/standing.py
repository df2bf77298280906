"""How the budgets stand: what people read in `chassis budget`, and machines in the gauges."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from chassis.budget import start_of_month, start_of_next_month
from chassis.constraints import Constraints
from chassis.store.accounts import Account, Balance, Hold
from chassis.types import NanoUsd

GRACE = timedelta(minutes=1)
"""How much the clocks of two replicas may differ before an honest hold looks lost."""
SHORTEST_LOOK = timedelta(days=1)
"""A forecast from the first minutes of a month would say nothing."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One account with all that is known about it, in nano-USD."""

    key: str
    spent: NanoUsd
    held: NanoUsd
    ceiling: NanoUsd

    @property
    def left(self) -> NanoUsd:
        """Return what can still be held; a ceiling that was lowered leaves nothing."""
        return max(0, self.ceiling - self.spent - self.held)


def standing_of(account: Account, balances: Mapping[str, Balance]) -> Standing:
    """Return how an account stands; one that was never used is untouched."""
    balance = balances.get(account.key, Balance(account.key, held=0, spent=0))
    return Standing(account.key, balance.spent, balance.held, account.ceiling)


def forecast(spent: NanoUsd, moment: datetime) -> NanoUsd:
    """Return what will have been spent at the end of the month if it goes on like this."""
    begin = start_of_month(moment)
    elapsed = max(moment - begin, SHORTEST_LOOK)
    return int(spent * ((start_of_next_month(moment) - begin) / elapsed))


def lost_before(constraints: Constraints, moment: datetime) -> datetime:
    """Return the moment before which whatever is held still was lost with its process: no call lasts that long."""
    return moment - timedelta(seconds=constraints.latency.deadline_seconds) - GRACE


def still_charged(lost: Sequence[Hold], month: str) -> list[Hold]:
    """Return the lost holds that weigh on this month, by its account's key; the others ended with their periods."""
    return [hold for hold in lost if month in hold.keys]
