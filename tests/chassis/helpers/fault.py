"""A fault and its expected result: one row of the tables in `fault_table.py` and `reply_faults.py`."""

from dataclasses import dataclass, replace
from typing import Any

from faulty_vendor import Behavior, well

NOTHING, USAGE, WORST = "nothing", "what it used", "the worst case"
"""What is charged to the first model."""
DEADLINE_SECONDS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a caller and an operator see of one call.

    Args:
        status: The HTTP status.
        answered_by: Who answered, `review`, or the slug of the problem.
        fallback_reason: As in the answer.
        charged: What the ledger charges for the first model; other models must be charged what they used.
        logged: The log lines before `call.finished`, each with its error or subject.
    """

    status: int = 200
    answered_by: str = "second"
    fallback_reason: str | None = "models_failed"
    charged: str = NOTHING
    logged: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fault:
    """One row of the table.

    Args:
        what: What goes wrong.
        result: The expected result.
        first: How the first model behaves, or an address at which there is none.
        second: How the second model behaves.
        question: What is asked.
        database: What is wrong with the database: it is `locked`, `slow`, `full` or `gone`.
        database_down: The value of `fallback.database_down`.
    """

    what: str
    result: Result
    first: Behavior | str = well
    second: Behavior = well
    question: str = "2 + 2?"
    database: str | None = None
    database_down: str = "error"


def failed(error: str, *more: str, **changes: Any) -> Result:
    """Return the usual result: the failure of the first model is logged, and the second one answers."""
    return replace(Result(logged=(f"model.failed {error}", *more)), **changes)


MEGABYTE = 1_000_000
BREAKER_OPENED = "circuit_breaker.opened model:first"
