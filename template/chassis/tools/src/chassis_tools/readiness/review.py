"""The review: every check on one repository, and the level that it reaches."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import get_args

from chassis.config.constraints import RiskTier
from chassis.errors import ConfigError
from chassis_tools.readiness import code, data, delivery, owning, promises, proof
from chassis_tools.readiness.check import Check, Verdict
from chassis_tools.readiness.evidence import Evidence, Failed, Unknown
from chassis_tools.readiness.waivers import FILE, Waiver, load_waivers

CHECKS: tuple[Check, ...] = (
    *promises.CHECKS,
    *data.CHECKS,
    *proof.CHECKS,
    *code.CHECKS,
    *owning.CHECKS,
    *delivery.CHECKS,
)
"""Every check; `chassis/docs/ready.md` is written from it."""
TIERS: tuple[RiskTier, ...] = get_args(RiskTier.__value__)


@dataclass(frozen=True, slots=True)
class Result:
    """What one check says.

    Args:
        check: Which.
        verdict: Whether it holds.
        evidence: What was seen.
    """

    check: Check
    verdict: Verdict
    evidence: str

    @property
    def blocks(self) -> bool:
        """Say whether it stands in the way of its level."""
        return self.verdict in {Verdict.FAIL, Verdict.UNKNOWN}


@dataclass(frozen=True, slots=True)
class Review:
    """What all checks say.

    Args:
        name: The repository's folder, or its project's name.
        tier: The level that it needs; None if its constraints cannot be read.
        results: One for each check, in their order.
        waivers_problem: What is wrong with `waivers.toml`; then nothing is waived.
    """

    name: str
    tier: RiskTier | None
    results: tuple[Result, ...]
    waivers_problem: str | None

    @property
    def level(self) -> RiskTier | None:
        """Return the highest level of which nothing is blocked, or None if not even the first is reached."""
        reached = None
        for tier in TIERS:
            if any(result.blocks and result.check.level == tier for result in self.results):
                break
            reached = tier
        return reached

    @property
    def blocking(self) -> tuple[Result, ...]:
        """Return what stands between the repository and the level that its tier needs."""
        needed = TIERS[: TIERS.index(self.tier or TIERS[-1]) + 1]
        return tuple(result for result in self.results if result.blocks and result.check.level in needed)


def review(root: Path, today: date) -> Review:
    """Look at one repository; nothing of it is imported, run or written.

    Args:
        root: Its folder.
        today: The day on which dates are judged.
    """
    evidence, problem, waivers = Evidence(root, today), None, dict[str, Waiver]()
    try:
        waivers = load_waivers(root, {check.id for check in CHECKS})
    except ConfigError as error:
        problem = str(error)
    results = tuple(_result(check, evidence, waivers.get(check.id)) for check in CHECKS)
    try:
        return Review(evidence.project.name, evidence.constraints.risk.tier, results, problem)
    except Unknown:
        return Review(root.name, None, results, problem)


def _result(check: Check, evidence: Evidence, waiver: Waiver | None) -> Result:
    try:
        return Result(check, Verdict.PASS, check.look(evidence))
    except Unknown as error:
        verdict, seen = Verdict.UNKNOWN, str(error)
    except Failed as error:
        verdict, seen = Verdict.FAIL, str(error)
    except (OSError, UnicodeDecodeError) as error:
        verdict, seen = Verdict.UNKNOWN, f"a file cannot be read ({error})"
    if waiver is None:
        return Result(check, verdict, seen)
    if not waiver.from_day <= evidence.today < waiver.until:
        return Result(check, verdict, f"{seen}; the waiver in {FILE} ran until {waiver.until}")
    return Result(check, Verdict.WAIVED, f"{seen}; {waiver.approver} waived it until {waiver.until}: {waiver.reason}")
