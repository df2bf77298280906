"""Checks of the evaluation: enough cases, a gate that can fail, and a run of the current code."""

import json
from collections.abc import Iterator

from chassis_tools.evals.hashes import code_hash
from chassis_tools.evals.identity import HISTORY, IDENTITY
from chassis_tools.evals.suites import FILE
from chassis_tools.readiness.check import Check, Family, require
from chassis_tools.readiness.repository import CheckUnknown, Repository

MIN_CASES = 20


class EvalsCheck(Check):
    """A check of the evaluation."""

    family = Family.EVALUATION
    file = FILE


class EnoughCases(EvalsCheck, id="EVL101", level="experiment"):
    """The evaluation has at least 20 cases.

    `evals/cases/` contains at least 20 cases. With fewer, a single case moves every share by more than five
    percentage points.
    """

    remedy = "Add cases to evals/cases"

    def check(self, repository: Repository) -> str:
        files = sorted((repository.root / "evals/cases").glob("*.jsonl"))
        count = sum(bool(line.strip()) for file in files for line in file.read_text(encoding="utf-8").splitlines())
        return require(count >= MIN_CASES, f"{count} cases, fewer than {MIN_CASES}", f"{count} cases")


class GateEnforcesAccuracyFloor(EvalsCheck, id="EVL102", level="standard"):
    """The gate enforces the accuracy floor.

    A replay suite has a rule of kind `floor`. It fails `make evals` when the share of correct answers is below
    `quality.accuracy_floor`.
    """

    remedy = "Add a rule of kind floor to evals/suites.toml"

    def check(self, repository: Repository) -> str:
        return _replay_suites_with_rule(repository, "floor")


class GateDetectsRegressions(EvalsCheck, id="EVL103", level="standard"):
    """The gate detects regressions.

    A replay suite has a rule of kind `regression`. It fails `make evals` when answers are worse than those of the
    last accepted run.
    """

    remedy = "Add a rule of kind regression to evals/suites.toml"

    def check(self, repository: Repository) -> str:
        return _replay_suites_with_rule(repository, "regression")


class GateForbidsBadAnswers(EvalsCheck, id="EVL104", level="standard"):
    """A single forbidden answer fails the gate.

    A replay suite has a rule of kind `never`. It is for cases in which one bad answer is already too many, such as
    attacks.
    """

    remedy = "Add a suite with a rule of kind never to evals/suites.toml"

    def check(self, repository: Repository) -> str:
        return _replay_suites_with_rule(repository, "never")


def _replay_suites_with_rule(repository: Repository, kind: str) -> str:
    names = sorted(
        name
        for name, suite in repository.suites.items()
        if suite.kind == "replay" and kind in {rule.kind for rule in suite.rules}
    )
    return require(names, f"no replay suite has a rule of kind {kind}", f"suites: {', '.join(names)}")


class LiveModelsEvaluated(EvalsCheck, id="EVL105", level="critical"):
    """Live models are evaluated too.

    A suite of kind `live` calls the real models. Recorded replies cannot show that a vendor has changed a model.
    """

    remedy = "Add a suite of kind live to evals/suites.toml"

    def check(self, repository: Repository) -> str:
        names = [name for name, suite in repository.suites.items() if suite.kind == "live"]
        return require(names, "no suite is of kind live", f"live: {', '.join(names)}")


class CurrentCodeEvaluated(EvalsCheck, id="EVL106", level="standard"):
    """The current code has been evaluated.

    Every replay suite was run on the code that is now in `src/`. Results from before the last change say nothing
    about the current prompts and code.
    """

    remedy = "Run `make evals`"

    def check(self, repository: Repository) -> str:
        current_hash = _code_hash(repository)
        names = [name for name, suite in repository.suites.items() if suite.kind == "replay"]
        stale = [name for name in names if current_hash not in _evaluated_hashes(repository, name)]
        return require(not stale, f"not run on this code: {', '.join(stale)}", f"run on this code: {', '.join(names)}")


def _evaluated_hashes(repository: Repository, suite: str) -> Iterator[str]:
    """Yield the hash of the code in the accepted run and in the latest one."""
    for file in (f"evals/accepted/{suite}/{HISTORY}", f"var/evals/{suite}/{IDENTITY}"):
        if (repository.root / file).is_file():
            text = (repository.root / file).read_text(encoding="utf-8")
            try:
                # The last line of the history is the run that is accepted now.
                yield json.loads(text.splitlines()[-1] if file.endswith("l") else text).get("code", "")
            except (ValueError, IndexError):
                raise CheckUnknown(f"{file} cannot be read") from None


def _code_hash(repository: Repository) -> str:
    package = repository.project.task_path.partition(":")[0].partition(".")[0]
    root = repository.root / "src" / package
    if not any(root.rglob("*.py")):
        raise CheckUnknown(f"src/{package} contains no code")
    return code_hash(root)
