"""An evaluation from start to finish: load -> run -> score -> gate -> report.

`load` reads every file once and returns a plan for each suite. `run` asks the service and `score` asks the judges; all
else is a function of files, so a finished run can be judged again for free.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chassis.config.constraints import Constraints, load_constraints
from chassis.config.project import Project
from chassis.config.toml_file import load_toml
from chassis.errors import ConfigError
from chassis_tools.evals.accepted_run import check_cases, gate_context
from chassis_tools.evals.cases import Case, read_datasets
from chassis_tools.evals.gate import check_rule, require_calibrated_judge
from chassis_tools.evals.gate_result import GateResult, GateVerdict, combine_blocking, find_invalid, join_names
from chassis_tools.evals.identity import ACCEPTED, check_out_accepted, edited_evidence, write_identity
from chassis_tools.evals.jsonl import JsonlWriter, Progress, explained_writes, write_jsonl
from chassis_tools.evals.judges import judge_hash, load_calibrations
from chassis_tools.evals.plan import RUNS, Plan
from chassis_tools.evals.records import JUDGEMENTS, RECORDS, TRIALS, SuiteRun, read_run
from chassis_tools.evals.report.build import build_suite_report
from chassis_tools.evals.report.report import Report
from chassis_tools.evals.scoring import (
    Evaluator,
    Graders,
    Judgements,
    TrialScoring,
    altered_scores,
    read_graders,
    score_trials,
)
from chassis_tools.evals.suites import FILE, MustPassRule, NeverRule, Suites, load_suites, suite_changes
from chassis_tools.evals.trials import finished_trials, identify_run, plan_trials, run_trials

if TYPE_CHECKING:  # judging a finished run must not import pydantic-ai, which takes a second
    from pydantic_ai.models import Model

    from chassis_tools.evals.environment import EvalEnvironment, Mode


def load(project: Project, names: Sequence[str] = (), base: str | None = None) -> list[Plan]:
    """Return the plans of the suites with these names, or of all replay suites; each file is read once.

    Args:
        project: The team's repository.
        names: The suites.
        base: The commit whose accepted runs count, as in CI that of the base branch; None for those of the checkout.

    Raises:
        ConfigError: A file does not fit, or there is no suite of a name or no such commit.
    """
    root = project.root
    suites, constraints = load_suites(root), load_constraints(root)
    changes: dict[str, tuple[str, ...]] = {}
    evidence: tuple[str, ...] = ()
    if base is not None:
        check_out_accepted(root, base, root / RUNS / "base")
        changes, gone = _changed_rules(root / RUNS / "base", suites, constraints)
        evidence = (*gone, *edited_evidence(root, base))
    hashes = {name: judge_hash(name, judge, constraints) for name, judge in suites.judges.items()}
    datasets, graders, calibrations = read_datasets(root), read_graders(root), load_calibrations(root)
    return [
        Plan(
            project=project,
            name=name,
            suite=suite,
            constraints=constraints,
            datasets=datasets,
            grader_source=graders,
            judges=suites.judges,
            judge_hashes=hashes,
            calibrations=calibrations,
            accepted=_accepted_run(root, name),
            base=base,
            base_accepted=_accepted_run(root / RUNS / "base", name, base) if base is not None else None,
            changed_rules=changes.get(name, ()),
            edited_evidence=evidence,
        )
        for name, suite in suites.select(names).items()
    ]


def _changed_rules(
    folder: Path, suites: Suites, constraints: Constraints
) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """Return how each suite and the thresholds differ from those in a folder, and the replay suites that are gone."""
    try:
        suites_before, before = load_toml(folder / FILE, Suites), load_constraints(folder)
    except ConfigError:  # an older release of the template knew other keys; the report lists the files as edited
        return {}, ()
    known = suites_before.suites.keys() & suites.suites.keys()
    thresholds = [
        f"{section}.{key}: {old} -> {getattr(getattr(constraints, section), key)}"
        for section in ("quality", "latency", "cost")
        for key, old in getattr(before, section).model_dump().items()
        if old != getattr(getattr(constraints, section), key)
    ]
    changes = {
        name: (*suite_changes(suites_before.suites[name], suites.suites[name]), *thresholds)
        for name in suites.suites
        if name in known
    }
    gone = sorted(suites_before.select(()).keys() - suites.select(()).keys())
    return changes, tuple(f"the suite {name}, which is not run any more" for name in gone)


def _accepted_run(root: Path, name: str, base: str | None = None) -> SuiteRun:
    folder = f"{ACCEPTED}/{name}"
    restore = (
        f"Run `git checkout HEAD -- {folder}`; if it is committed like this, remove the folder and accept a run again"
    )
    return read_run(root / folder, restore if base is None else f"Name another commit than {base}")


async def run(
    environment: "EvalEnvironment",
    cases: Sequence[Case[Any]],
    *,
    repeats: int,
    earlier: SuiteRun,
    progress: Progress,
) -> SuiteRun:
    """Ask the service each case `repeats` times in all, and its baseline once, and return all trials.

    Args:
        environment: What is asked.
        cases: The cases.
        repeats: How often the service is asked each case, earlier trials included.
        earlier: The run to continue; its trials are asked again only if they say nothing about the service.
        progress: Advances with each trial.

    Raises:
        ConfigError: The earlier run had other cases, code, documents, constraints or models.
    """
    plan, identity = environment.plan, identify_run(environment, cases)
    done = finished_trials(plan.name, earlier, identity)
    if done:
        identity = replace(identity, started=earlier.identity.started)
    planned = plan_trials(environment, cases, repeats, done)
    progress.start("answers", len(planned))
    write_identity(plan.folder, identity)
    with JsonlWriter(plan.folder / TRIALS, done) as writer:
        await run_trials(environment, planned, writer, progress)
    return SuiteRun(writer.rows, identity=identity)


async def score(
    environment: "EvalEnvironment",
    cases: Sequence[Case[Any]],
    evaluators: Sequence[Evaluator],
    asked: SuiteRun,
    *,
    earlier: SuiteRun,
    progress: Progress,
) -> SuiteRun:
    """Return the trials with the score of every evaluator that applies, and write judgements and scores down.

    Args:
        environment: What judges ask.
        cases: The cases.
        evaluators: The graders and judges of the suite.
        asked: The trials, not scored yet.
        earlier: The run to continue; what it scored or judged is not scored or judged again.
        progress: Advances with each new judgement.

    Raises:
        ConfigError: A grader raises, or returns something else than a score.
    """
    plan, trials, places = environment.plan, asked.trials, {case.id: place for place, case in enumerate(cases)}
    failed = {record.call_id for record in earlier.records if record.status == "judge_error"}
    scored = {record.call_id for record in earlier.records} - failed
    hashes = {case.id: case.hash for case in cases}
    scorings = [
        TrialScoring.of(trial, cases[places[trial.case]], hashes[trial.case], environment.task)
        for trial in trials
        if trial.call_id not in scored
    ]
    with JsonlWriter(plan.folder / JUDGEMENTS, earlier.judgements) as writer:
        judgements = Judgements(writer, plan.suite.max_concurrency, progress)
        records = await score_trials(scorings, evaluators, judgements, progress)
    reusable = {trial.call_id for trial in trials} & scored
    records += [record for record in earlier.records if record.call_id in reusable]
    records.sort(key=lambda record: (record.variant, places[record.case], record.repeat))
    write_jsonl(plan.folder / RECORDS, records)
    altered = await altered_scores(plan.accepted, cases, evaluators, environment.task)
    identity = replace(asked.identity, altered=altered)
    write_identity(plan.folder, identity)
    return SuiteRun(trials, writer.rows, records, identity)


def gate(plan: Plan, run: SuiteRun) -> GateResult:
    """Return the verdict on a finished run.

    Raises:
        ConfigError: A rule that blocks depends on a judge which is not calibrated.
    """
    context = gate_context(plan, run)
    for rule in plan.suite.rules:
        require_calibrated_judge(rule, context)
    invalid = list(find_invalid(context))
    # A leak that was seen counts even in an outage; a share of what an outage left over does not.
    rules = [rule for rule in plan.suite.rules if not invalid or isinstance(rule, NeverRule | MustPassRule)]
    findings = (*invalid, *check_cases(context), *(check_rule(rule, context) for rule in rules))
    blocking = [finding for finding in findings if finding.severity == "block"]
    verdict = combine_blocking(findings)
    causes = [finding for finding in blocking if finding.verdict is verdict]
    if verdict is GateVerdict.PASS:
        sentence = f"{len(blocking)} of {len(blocking)} rules hold"
    elif verdict is GateVerdict.INCONCLUSIVE and plan.suite.on_inconclusive == "pass":
        verdict, rules_left = GateVerdict.PASS, join_names(finding.rule for finding in causes)
        sentence = f"no rule is broken, but there are too few answers to decide {rules_left}"
    else:
        sentence = "; ".join(f"{finding.rule}: {finding.sentence}" for finding in causes)
    return GateResult(plan.name, verdict, f"{plan.name}: {sentence}", findings)


def report(project: Project, judged: Iterable[tuple[Plan, SuiteRun, GateResult]]) -> Report:
    """Return the report on all suites that were judged together."""
    judged = list(judged)
    suites = tuple(build_suite_report(plan, run, result) for plan, run, result in judged)
    base = next(((plan.base, plan.edited_evidence) for plan, _, _ in judged), (None, ()))
    return Report.from_suites(project.name, suites, *base)


async def run_and_score(
    plan: Plan,
    mode: "Mode",
    *,
    repeats: int | None = None,
    earlier: SuiteRun | None = None,
    progress: Progress,
    models: "Mapping[str, Model] | None" = None,
) -> SuiteRun:
    """Run one suite and score it, in an environment that is taken apart again.

    Args:
        plan: The plan of the suite.
        mode: Where the replies of models come from.
        repeats: How often each case is asked in all; as often as the suite says if None.
        earlier: The run to continue, if any.
        progress: Advances with each trial and each judgement.
        models: Instead of the vendors' models, by the name in the constraints.

    Raises:
        ConfigError: A file does not fit, the earlier run was another one, or no model can be asked in a mode that
            asks models.
    """
    from chassis_tools.evals.environment import open_environment, require_models

    earlier = earlier or SuiteRun()
    remove_scores(plan)
    async with open_environment(plan, mode, models=models) as environment:
        require_models(environment)
        cases, evaluators = plan.cases(environment.task), make_evaluators(environment)
        repeats = repeats or plan.suite.repeats
        asked = await run(environment, cases, repeats=repeats, earlier=earlier, progress=progress)
        return await score(environment, cases, evaluators, asked, earlier=earlier, progress=progress)


def make_evaluators(environment: "EvalEnvironment") -> list[Evaluator]:
    """Return the evaluators of a suite: its judges, and for every other name the team's grader.

    Raises:
        ConfigError: There is no grader of a name, or a judge that a rule needs to block cannot be asked.
    """
    from chassis_tools.evals.judge_client import make_judge

    plan = environment.plan
    graders, blocking = Graders.execute(plan.grader_source, plan.project.root), plan.suite.blocking_evaluators
    return [
        make_judge(name, environment, required=name in blocking) if name in plan.judges else graders.evaluator(name)
        for name in plan.suite.evaluators
    ]


def remove_scores(plan: Plan) -> None:
    """Remove the scores of the last run: a run that stops early would leave them, and they would pass for its own."""
    with explained_writes():
        plan.folder.mkdir(parents=True, exist_ok=True)
        (plan.folder / RECORDS).unlink(missing_ok=True)


def last_run(plan: Plan) -> SuiteRun:
    """Return the last run of a suite; it is empty if the suite was never run.

    Raises:
        ConfigError: A file of the run cannot be read.
    """
    return read_run(plan.folder, f"Run `chassis evals run {plan.name}` again")
