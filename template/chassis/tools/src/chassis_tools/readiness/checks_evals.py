"""Checks of the evaluation: enough cases, a gate that can fail, and a run of the current code."""

import json
from collections.abc import Callable

from chassis.config.confidence import CALIBRATE, CONFIDENCE_FILE, load_confidence
from chassis_tools.evals.cases import read_datasets
from chassis_tools.evals.confidence_fit import ENOUGH, confidence_data, confidence_problem
from chassis_tools.evals.identity import (
    IDENTITY,
    code_hash,
    confidence_hash,
    constraints_hash,
    documents_hash,
    search_hash,
)
from chassis_tools.evals.suites import FILE, FloorRule, NeverRule, RegressionRule, Rule
from chassis_tools.readiness.check import Check, CheckFailed, CheckUnknown, Family, Repository, require
from chassis_tools.readiness.placeholders import question_hash, starter_questions

MIN_CASES = 20


class EvalsCheck(Check):
    """A check of the evaluation."""

    family = Family.EVALUATION
    file = FILE


class EnoughCases(EvalsCheck, id="EVL101", level="experiment"):
    """The evaluation has at least 20 cases of your own.

    `evals/cases/` contains at least 20 cases whose questions are not those of the template, which ask about its own
    pages and samples. With fewer, a single case moves every share by more than five percentage points.
    """

    remedy = "Add questions that your callers ask to evals/cases"

    def check(self, repository: Repository) -> str:
        files = sorted((repository.root / "evals/cases").glob("*.jsonl"))
        lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
        questions = {question_hash(json.loads(line).get("input")) for line in lines}
        count = len(questions - starter_questions())
        failure = f"{count} cases of your own among {len(lines)}, fewer than {MIN_CASES}"
        return require(count >= MIN_CASES, failure, f"{count} cases of your own")


class GateEnforcesAccuracyFloor(EvalsCheck, id="EVL102", level="standard"):
    """The gate enforces the accuracy floor.

    A replay suite has a rule of kind `floor` that blocks, for all cases and no lower than `quality.accuracy_floor`. It
    fails `make evals` when the share of correct answers is below it.
    """

    remedy = "Add a rule of kind floor to evals/suites.toml"

    def check(self, repository: Repository) -> str:
        lowest = repository.constraints.quality.accuracy_floor
        return _replay_suites_with_rule(
            repository,
            lambda rule: (
                isinstance(rule, FloorRule)
                and rule.tag is None
                and (1 if rule.at_least is None else rule.at_least) >= lowest
            ),
            "floor",
        )


class GateDetectsRegressions(EvalsCheck, id="EVL103", level="standard"):
    """The gate detects regressions.

    A replay suite has a rule of kind `regression` that blocks. It fails `make evals` when
    answers are worse than those of the last accepted run.
    """

    remedy = "Add a rule of kind regression to evals/suites.toml"

    def check(self, repository: Repository) -> str:
        return _replay_suites_with_rule(repository, lambda rule: isinstance(rule, RegressionRule), "regression")


class GateForbidsBadAnswers(EvalsCheck, id="EVL104", level="standard"):
    """A single forbidden answer fails the gate.

    A replay suite has a rule of kind `never` that blocks. It is for cases in which one bad answer is already too many,
    such as attacks.
    """

    remedy = "Add a suite with a rule of kind never to evals/suites.toml"

    def check(self, repository: Repository) -> str:
        return _replay_suites_with_rule(repository, lambda rule: isinstance(rule, NeverRule), "never")


def _replay_suites_with_rule(repository: Repository, suffices: Callable[[Rule], bool], kind: str) -> str:
    names = sorted(
        name
        for name, suite in repository.suites.items()
        if suite.kind == "replay" and any(rule.severity == "block" and suffices(rule) for rule in suite.rules)
    )
    return require(names, f"no replay suite has such a rule of kind {kind}", f"suites: {', '.join(names)}")


class LiveModelsEvaluated(EvalsCheck, id="EVL105", level="critical"):
    """A suite asks the live models.

    A suite is of kind `live`. Recorded replies cannot show that a vendor has changed a model. When it last ran is in
    the runs of the `nightly` workflow, which no file shows.
    """

    remedy = "Add a suite of kind live to evals/suites.toml"

    def check(self, repository: Repository) -> str:
        names = [name for name, suite in repository.suites.items() if suite.kind == "live"]
        return require(names, "no suite is of kind live", f"live: {', '.join(names)}")


class LastEvaluationPassed(EvalsCheck, id="EVL106", level="standard"):
    """The last evaluation passed, on the current code.

    The report in `var/evals/` says PASS for every replay suite, and its run had the code, the documents and the
    constraints that are there now. A run that failed, or one from before the last change, says nothing good.
    """

    remedy = "Run `make evals`, and repair what it reports"

    def check(self, repository: Repository) -> str:
        reports = _last_report(repository)
        now = {
            "code": _code_hash(repository),
            "documents": documents_hash(repository.root),
            "constraints": constraints_hash(repository.constraints),
            "confidence": confidence_hash(load_confidence(repository.root)),
        }
        names = [name for name, suite in repository.suites.items() if suite.kind == "replay"]
        for name in names:
            verdict, run = reports.get(name, ("not in the report", {}))
            require(verdict == "pass", f"the last run did not pass ({name}: {verdict})", "")
            changed = [part for part, current in now.items() if run.get(part, "") != current]
            require(not changed, f"changed since the last run: {', '.join(changed)}", "")
        return f"passed: {', '.join(names)}"


class ConfidenceCalibrated(EvalsCheck, id="EVL107", level="standard"):
    """The confidence of answers is calibrated on the current service.

    `confidence.json` has a curve for the baseline and for each model in `constraints.toml`, each fitted to at least 100
    answers, and the cases, the code, the documents, the search and the models are those of today. Without it, a
    confidence of 0.8 does not mean that 80 % of such answers are right, and the confidence floor stops more or less
    than you think.
    """

    file = CONFIDENCE_FILE
    remedy = f"Run `uv run {CALIBRATE}` with a suite of at least {ENOUGH} cases, and commit {CONFIDENCE_FILE}"

    def check(self, repository: Repository) -> str:
        calibration, constraints = load_confidence(repository.root), repository.constraints
        data = confidence_data(
            read_datasets(repository.root),
            calibration.cases,
            constraints,
            code=_code_hash(repository),
            documents=documents_hash(repository.root),
            search=search_hash(repository.root),
        )
        problem = confidence_problem(calibration, data)
        require(problem is None, problem or "", "")
        names = [*(model.name for model in constraints.models), "baseline"]
        missing = [name for name in names if name not in calibration.curves]
        require(not missing, f"no curve for {', '.join(missing)}", "")
        return f"calibrated: {', '.join(names)}"


def _last_report(repository: Repository) -> dict[str, tuple[str, dict[str, object]]]:
    """Return the verdict on each suite in the report of the last run, and what the run measured.

    Raises:
        CheckFailed: There is no report, or a later run did not get as far as writing one.
        CheckUnknown: It cannot be read.
    """
    runs = repository.root / "var/evals"
    report = runs / "report.json"
    if not report.is_file():
        raise CheckFailed("there is no report of a run in var/evals")
    if any(run.stat().st_mtime > report.stat().st_mtime for run in runs.glob(f"*/{IDENTITY}")):
        raise CheckFailed("the last run ended before it wrote its report")
    try:
        suites = json.loads(report.read_text(encoding="utf-8"))["suites"]
        return {suite["name"]: (suite["verdict"], dict(suite["run"])) for suite in suites}
    except (ValueError, KeyError, TypeError):
        raise CheckUnknown("var/evals/report.json cannot be read") from None


def _code_hash(repository: Repository) -> str:
    package = repository.project.task_path.partition(":")[0].partition(".")[0]
    root = repository.root / "src" / package
    if not any(root.rglob("*.py")):
        raise CheckUnknown(f"src/{package} contains no code")
    return code_hash(root)
