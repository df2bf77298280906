"""What follows from the constraints alone, without a call: a verdict of the gate, an objective, a check, a sign-off."""

import re
import tomllib
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from chassis.config.constraints import Constraints
from chassis.config.ownership import Ownership
from chassis.config.project import Project, Settings
from chassis.guard.vendors import connect
from chassis.testing import constraints_for_tests
from chassis_tools.evals.evaluation import gate
from chassis_tools.evals.records import SuiteRun
from chassis_tools.governance.file_contents import Decisions, objective_rules
from chassis_tools.governance.signoff_kinds import SIGNOFF_KINDS
from chassis_tools.governance.signoffs import SignOffState, signoff_statuses
from chassis_tools.readiness.check import CheckFailed, Repository
from chassis_tools.readiness.launch_review import CHECKS
from ownership_file import OWNERSHIP
from pydantic import SecretStr, ValidationError
from pydantic_ai.models import Model
from sample_records import make_records, passes, plan_with

type Raw = dict[str, Any]
type See = Callable[[Path, Raw], object]
"""Looks at a service with these constraints, whose files may lie in this folder."""

TODAY = date(2029, 6, 1)
KEY = SecretStr("a-key")
SETTINGS = Settings(openai_api_key=KEY, gemini_api_key=KEY, openai_compatible_api_key=KEY)


def first_model(raw: Raw) -> Model:
    """Return the first model as it is connected."""
    model = connect(constraints_for_tests(**raw).models[0], SETTINGS, timeout=5)
    if model is None:
        raise LookupError("no key is set for it")
    return model


def connected(look: Callable[[Model], object]) -> See:
    """See something of the first model as it is connected."""
    return lambda _, raw: look(first_model(raw))


def judged(rule: Raw, right: int, *, kind: str = "replay") -> See:
    """See the verdict of the gate on 200 cases, of which so many are right; before, all were."""

    def see(_: Path, raw: Raw) -> object:
        records, accepted = make_records(passes(right, 200)), make_records(passes(200, 200))
        constraints = constraints_for_tests(**raw)
        plan = plan_with(rule, constraints=constraints, accepted=accepted, kind=kind, on_inconclusive="fail")
        return gate(plan, SuiteRun(records=records)).verdict.title

    return see


def objective(slo: str) -> See:
    """See what the alerts compare with."""

    def see(root: Path, raw: Raw) -> object:
        [passes] = re.findall(rf"slo: {slo}\}}\n +expr: vector\((.+)\)", objective_rules(decisions(root, raw)))
        return passes

    return see


def reviewed(check_id: str) -> See:
    """See what one check of the launch review says."""
    [check] = [check for check in CHECKS if check.id == check_id]

    def see(root: Path, raw: Raw) -> object:
        repository = Repository(root, TODAY)
        vars(repository)["decisions"] = decisions(root, raw)
        try:
            check.check(repository)
        except CheckFailed:
            return "fail"
        return "pass"

    return see


def needed(_: Path, raw: Raw) -> object:
    """See which sign-offs a release needs."""
    statuses = signoff_statuses(constraints_for_tests(**raw), {}, TODAY)
    return {kind for kind, status in statuses.items() if status.state is SignOffState.MISSING}


def voided_since(before: Raw) -> See:
    """See which sign-offs that were given before do not hold any more."""

    def facts(raw: Raw) -> dict[str, frozenset[str]]:
        constraints = constraints_for_tests(**raw)
        return {name: kind.covers(constraints) for name, kind in SIGNOFF_KINDS.items()}

    return lambda _, raw: {name for name, signed in facts(before).items() if signed != facts(raw)[name]}


def refused(_: Path, raw: Raw) -> object:
    """See what is wrong with the file, if anything is."""
    try:
        Constraints.model_validate(raw)
    except ValidationError as error:
        return error.errors()[0]["msg"].removeprefix("Value error, ").partition(";")[0]
    return None


def decisions(root: Path, raw: Raw) -> Decisions:
    """Return these constraints beside the owners of the tests."""
    owners = Ownership.model_validate(tomllib.loads(OWNERSHIP))
    return Decisions(Project(root, "sample", "1", "sample_task:TASK"), constraints_for_tests(**raw), owners)
