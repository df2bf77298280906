"""From the files of finished runs to the report: nothing here asks anybody, so it can be done again and again."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from chassis.config.constraints import load_constraints
from chassis.config.project import Project
from chassis.errors import ConfigError
from chassis_tools.evals.gate.context import GateContext
from chassis_tools.evals.gate.validity import find_invalid, gate
from chassis_tools.evals.jsonl import read_jsonl
from chassis_tools.evals.judges import judge_hash, load_calibrations, load_judges
from chassis_tools.evals.records import JUDGEMENTS, RECORDS, TRIALS, Judgement, ScoreRecord, Trial
from chassis_tools.evals.report.build import Transcript, build_suite_report
from chassis_tools.evals.report.report import Report, SuiteReport
from chassis_tools.evals.suites import Suites

RUNS, ACCEPTED = "var/evals", "evals/accepted"


def context_of(root: Path, suites: Suites, name: str) -> GateContext:
    """Read everything that the rules of one suite look at.

    Raises:
        ConfigError: A file says something that cannot be meant.
    """
    remedy = f"Run `chassis evals run {name}` again"
    constraints = load_constraints(root)
    return GateContext(
        name=name,
        suite=suites.suites[name],
        constraints=constraints,
        records=read_jsonl(root / RUNS / name / RECORDS, ScoreRecord, remedy),
        accepted=read_jsonl(root / ACCEPTED / name / RECORDS, ScoreRecord, f"Accept a run again: {remedy.lower()}"),
        judges={judge: judge_hash(judge, told, constraints) for judge, told in load_judges(root).items()},
        calibrations=load_calibrations(root),
    )


def judge_runs(project: Project, suites: Suites, names: Iterable[str]) -> Report:
    """Judge the last run of each suite.

    Raises:
        ConfigError: A file says something that cannot be meant, or a judge that nobody checked is to block.
    """
    reports: list[SuiteReport] = []
    for name in names:
        context = context_of(project.root, suites, name)
        remedy = f"Run `chassis evals run {name}` again"
        run, accepted = project.root / RUNS / name, project.root / ACCEPTED / name
        transcript = Transcript(
            trials=read_jsonl(run / TRIALS, Trial, remedy),
            accepted=read_jsonl(accepted / TRIALS, Trial, remedy),
            judgements=read_jsonl(run / JUDGEMENTS, Judgement, remedy),
        )
        reports.append(build_suite_report(project.root, context, gate(context), transcript))
    return Report.from_suites(project.name, tuple(reports))


def accept(root: Path, suites: Suites, name: str) -> Path:
    """Make the last run of a suite the one that later runs are compared with.

    Raises:
        ConfigError: There is no run, or it is no evidence: what an outage spoilt is nothing to be compared with.
    """
    where, remedy = f"{RUNS}/{name}/{RECORDS}", f"Run `chassis evals run {name}` again"
    context = context_of(root, suites, name)
    if not any(record.value is not None for record in context.records):
        raise ConfigError(where, "there is no run that shows anything", f"Run `chassis evals run {name}` first")
    if problem := next(find_invalid(context), None):
        raise ConfigError(where, f"the run is no evidence: {problem.sentence}", remedy)
    accepted = root / ACCEPTED / name
    accepted.mkdir(parents=True, exist_ok=True)
    for file in (RECORDS, TRIALS):
        shutil.copyfile(root / RUNS / name / file, accepted / file)
    return accepted
