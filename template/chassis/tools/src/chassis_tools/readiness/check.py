"""What one check is, and what it can say."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from chassis.config.constraints import RiskTier
from chassis_tools.readiness.evidence import Evidence

PAGE = "chassis/docs/ready.md"


class Verdict(StrEnum):
    """From best to worst."""

    PASS = "pass"  # noqa: S105 - no password
    WAIVED = "waived"
    UNKNOWN = "unknown"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One question of the review.

    Args:
        id: What waivers and reports call it.
        title: What holds when it passes.
        level: From which tier on it must pass.
        remedy: What to do if it does not.
        look: Returns the evidence, or raises `Failed` or `Unknown` with it. Its docstring is what the page says of the
            check: what is looked at, and why.
        file: What to open to mend it.
    """

    id: str
    title: str
    level: RiskTier
    remedy: str
    look: Callable[[Evidence], str]
    file: str = "constraints.toml"

    @property
    def page(self) -> str:
        """Return where it is explained."""
        return f"{PAGE}#{self.id.lower()}"
