"""Scores of runs that never took place, for tests of the gate and of the report."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from chassis.config.constraints import Constraints
from chassis.config.project import Project
from chassis.testing import constraints_for_tests
from chassis_tools.evals.evaluation import gate
from chassis_tools.evals.gate_result import GateResult
from chassis_tools.evals.plan import Plan
from chassis_tools.evals.records import ScoreRecord, SuiteRun
from chassis_tools.evals.statistics import Groups
from chassis_tools.evals.suites import Suite

type Values = list[list[float]]
"""One inner list for each case, one value for each repeat."""

RECORD = ScoreRecord(
    variant="service",
    case="c",
    case_hash="h",
    group="c",
    tags=(),
    split="gate",
    must_pass=False,
    repeat=1,
    status="ok",
    error=None,
    answered_by="first",
    evaluator="right",
    evaluator_hash="e",
    value=1.0,
    seconds=0.1,
    cost=1_000_000,
    input_tokens=1,
    output_tokens=1,
    call_id="x",
    trace_id=None,
)


def make_records(values: Values, **changes: Any) -> list[ScoreRecord]:
    """Return the scores of a run, with fields changed in all of them."""
    return [
        replace(RECORD, case=f"c{number}", group=f"c{number}", repeat=repeat, value=value, **changes)
        for number, repeats in enumerate(values)
        for repeat, value in enumerate(repeats, start=1)
    ]


def passes(right: int, cases: int) -> Values:
    """Return the values of cases asked once, the right ones first."""
    return [[1.0]] * right + [[0.0]] * (cases - right)


def ungrouped(passed: int, judged: int) -> Groups:
    """Return answers to as many cases, the ones that passed first."""
    return [[1.0]] * passed + [[0.0]] * (judged - passed)


def plan_with(
    *rules: dict[str, Any], constraints: Constraints, accepted: Sequence[ScoreRecord] = (), **suite: Any
) -> Plan:
    """Return the plan of a suite with these rules."""
    described = {"kind": "live", "cases": ["x"], "evaluators": ["right"], "rules": rules, **suite}
    return Plan(
        project=Project(Path(), "sample", "1", "sample_task:TASK"),
        name="s",
        suite=Suite.model_validate(described),
        constraints=constraints,
        judges={},
        judge_hashes={},
        calibrations={},
        accepted=SuiteRun(records=accepted),
    )


def judge(
    records: Sequence[ScoreRecord], accepted: Sequence[ScoreRecord], *rules: dict[str, Any], **suite: Any
) -> GateResult:
    """Judge a run by rules, with a floor of 80 % and a largest drop of 5 points."""
    constraints = constraints_for_tests(
        quality={"accuracy_floor": 0.8, "max_regression": 0.05}, cost={"mean_usd": 0.001}
    )
    return gate(plan_with(*rules, constraints=constraints, accepted=accepted, **suite), SuiteRun(records=records))
