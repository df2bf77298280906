"""What a check of the launch review is, and how it is registered.

The model is repo-review: a check is a small class that holds everything about it. repo-review itself is not used,
because it knows only pass, fail and skip: no levels, no `unknown`, no waivers that expire, no SARIF.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Sequence
from enum import StrEnum
from typing import ClassVar

from chassis.config.constraints import RiskTier
from chassis_tools.readiness.repository import CheckFailed, Repository

PAGE = "chassis/handbook/launch.md"
SHOWN_FINDINGS = 3


class CheckStatus(StrEnum):
    """The status of one check, from best to worst."""

    PASS = "pass"  # noqa: S105 - not a password
    WAIVED = "waived"
    UNKNOWN = "unknown"
    FAIL = "fail"


class Family(StrEnum):
    """A group of checks, in the order in which they are shown."""

    CONSTRAINTS = "Constraints"
    DATA = "Data"
    EVALUATION = "Evaluation"
    CODE = "Code"
    OWNERSHIP = "Ownership"
    SIGNOFFS = "Sign-offs"
    CI = "Continuous integration"
    REPOSITORY = "Repository"


class Check(ABC):
    """One requirement. The docstring of a subclass is its title and, after a blank line, its explanation.

    Args:
        id: Registers the class. Waivers and reports name the check by it, so it is never changed or reused.
        level: The lowest tier for which the check must pass.
    """

    id: ClassVar[str]
    level: ClassVar[RiskTier]
    family: ClassVar[Family]
    file: ClassVar[str]
    """The file to open if it does not pass."""
    remedy: ClassVar[str]
    """What to do then: an imperative without a period."""
    registered: ClassVar[list[type["Check"]]] = []

    def __init_subclass__(cls, *, id: str = "", level: RiskTier = "experiment") -> None:  # noqa: A002 - see the class
        super().__init_subclass__()
        if id:
            cls.id, cls.level = id, level
            Check.registered.append(cls)

    @property
    def title(self) -> str:
        """Return what is true when the check passes, without a period."""
        return (inspect.getdoc(self) or "").partition("\n\n")[0].removesuffix(".")

    @property
    def explanation(self) -> str:
        """Return what exactly is checked, and why."""
        return " ".join((inspect.getdoc(self) or "").partition("\n\n")[2].split())

    @property
    def link(self) -> str:
        """Return the page and the anchor that explain the check."""
        return f"{PAGE}#{self.id.lower()}"

    @abstractmethod
    def check(self, repository: Repository) -> str:
        """Return the evidence that the requirement is met.

        Raises:
            CheckFailed: It is not met.
            CheckUnknown: The repository does not say whether it is met. Any error about an unreadable or invalid file
                means the same: `ConfigError`, `OSError`, `SyntaxError` and `ValueError`.
        """


def require(condition: object, failure: str, evidence: str) -> str:
    """Return the evidence if a condition holds.

    Raises:
        CheckFailed: It does not hold; `failure` is the message.
    """
    if not condition:
        raise CheckFailed(failure)
    return evidence


def summarize(findings: Sequence[str]) -> str:
    """Return the first findings of a linter in one line, and how many more there are."""
    shown = "; ".join(findings[:SHOWN_FINDINGS])
    more = len(findings) - SHOWN_FINDINGS
    return f"{shown}; and {more} more" if more > 0 else shown
