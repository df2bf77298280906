"""How each sign-off stands today: what it covers compared with what is in `constraints.toml` now."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from chassis.config.constraints import Constraints
from chassis_tools.governance.signoff import SignOff
from chassis_tools.governance.signoff_kinds import KINDS, Facts


class State(StrEnum):
    """From best to worst."""

    VALID = "valid"
    OPTIONAL = "not needed"
    MISSING = "missing"
    EXPIRED = "expired"
    OVERDUE = "condition overdue"
    REJECTED = "rejected"
    STALE = "stale"


BLOCKS_RELEASE = frozenset({State.MISSING, State.EXPIRED, State.OVERDUE, State.REJECTED, State.STALE})
BLOCKS_CHANGE = frozenset({State.STALE})
"""Only what the change itself has caused: a date that has come must not stop an unrelated repair."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One sign-off, today.

    Args:
        kind: Which.
        state: How it stands.
        because: Why it is required, until when it holds, or what is wrong with it, in words.
        added: Facts that were not there when it was given.
        gone: Facts that are not there any more.
        given: What is recorded, if anything is.
    """

    kind: str
    state: State
    because: str
    added: Facts = frozenset()
    gone: Facts = frozenset()
    given: SignOff | None = None


def standings(constraints: Constraints, signoffs: Mapping[str, SignOff], today: date) -> list[Standing]:
    """Return how each kind stands, in the order of `KINDS`."""
    return [_standing(name, constraints, signoffs.get(name), today) for name in KINDS]


def _standing(name: str, constraints: Constraints, given: SignOff | None, today: date) -> Standing:
    needed = KINDS[name].needed(constraints)
    if given is None:
        return (
            Standing(name, State.MISSING, f"needed because {needed}") if needed else Standing(name, State.OPTIONAL, "")
        )
    now = KINDS[name].covers(constraints)
    if now != given.covers:
        because = f"what {given.approver} looked at on {given.decided_on} has changed"
        return Standing(name, State.STALE, because, now - given.covers, given.covers - now, given)
    state, because = _by_date(given, today)
    return Standing(name, state, because, given=given)


def _by_date(given: SignOff, today: date) -> tuple[State, str]:
    if given.decision == "rejected":
        return State.REJECTED, f"{given.approver} said no on {given.decided_on}: {given.reason}"
    if given.expires_on <= today:
        return State.EXPIRED, f"it ended on {given.expires_on}; ask again"
    for condition in given.conditions:
        if not condition.done and condition.due_on <= today:
            return State.OVERDUE, f"{condition.text!r} was due on {condition.due_on}"
    word = given.decision.replace("_", " ")
    return State.VALID, f"{word} by {given.approver} until {given.expires_on}"
