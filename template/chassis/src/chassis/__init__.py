"""Makes a team's AI task safe to run, observe, pay for and hand over. The team writes a `Task`."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chassis.contract import Answered as Answered
    from chassis.contract import Draft as Draft
    from chassis.contract import Outcome as Outcome
    from chassis.contract import Recognizer as Recognizer
    from chassis.contract import Referred as Referred
    from chassis.contract import SensitiveMatch as SensitiveMatch
    from chassis.contract import Task as Task

__all__ = ["Answered", "Draft", "Outcome", "Recognizer", "Referred", "SensitiveMatch", "Task"]


def __getattr__(name: str) -> Any:
    # Importing any module of the package runs this file, and most commands need nothing of the contract.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from chassis import contract

    return getattr(contract, name)
