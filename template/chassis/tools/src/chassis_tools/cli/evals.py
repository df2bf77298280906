"""`chassis evals`: runs, judges, compares and analyzes evaluations."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chassis.cli.terminal import AsJson, plain_console, print_json
from chassis.config.project import Project, find_project
from chassis_tools.cli.analysis import (
    calibrate_confidence,
    compare_models,
    compare_runs,
    measure_searches,
    show_floors,
    show_power,
)

if TYPE_CHECKING:
    from chassis_tools.cli.asking import Asking
    from chassis_tools.evals.gate_result import GateResult
    from chassis_tools.evals.plan import Plan
    from chassis_tools.evals.records import SuiteRun
    from chassis_tools.evals.report.report import CaseResult, Report

MAX_NAMED_CASES = 20
UNCHANGED = "  The run is the same as the accepted one, so nothing was written"

app = typer.Typer(help="Evaluate how well the service answers.", no_args_is_help=True)
app.command("compare")(compare_runs)
app.command("power")(show_power)
app.command("search")(measure_searches)
app.command("floors")(show_floors)
app.command("calibrate-confidence")(calibrate_confidence)
app.command("matrix")(compare_models)

SuiteNames = Annotated[
    list[str] | None, typer.Argument(help="Suites of evals/suites.toml; all replay suites if none is named")
]


Base = Annotated[
    str | None,
    typer.Option("--base", metavar="COMMIT", help="Compare with the accepted runs of this commit, as CI does"),
]


@app.command("run")
def run_suites(
    suites: SuiteNames = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a run that was stopped")] = False,
    base: Base = None,
    cases: Annotated[
        list[str] | None, typer.Option("--case", metavar="ID", help="Only show this case: no verdict, no report")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask, score and judge. Exit code 0 if good enough, 1 if not, 3 without evidence, 4 if inconclusive."""
    from chassis_tools.cli.asking import Asking
    from chassis_tools.evals.evaluation import load

    project = find_project()
    plans = load(project, suites or (), base)
    if cases:
        _run_single_cases(plans, cases, as_json=as_json)
        return
    judged = _evaluate(plans, Asking([plan.name for plan in plans], resume=resume))
    _publish(project, judged, as_json=as_json)


@app.command("record")
def record_replies(
    suites: Annotated[list[str], typer.Argument(help="Replay suites of evals/suites.toml")],
    fresh: Annotated[bool, typer.Option("--fresh", help="Ask again for replies that are already recorded")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask the models and record their replies, so that `run` gives the same verdict offline."""
    from chassis.errors import ConfigError
    from chassis_tools.cli.asking import Asking
    from chassis_tools.evals.evaluation import load
    from chassis_tools.evals.recordings import FOLDER
    from chassis_tools.evals.suites import FILE

    project = find_project()
    plans = load(project, suites)
    for plan in plans:
        if plan.suite.kind != "replay":
            problem = "only replies for replay suites can be recorded"
            raise ConfigError(f"{FILE}: suites.{plan.name}", problem, "Name a replay suite")
    if fresh:
        for plan in plans:
            (project.root / FOLDER / f"{plan.name}.jsonl").unlink(missing_ok=True)
    _publish(project, _evaluate(plans, Asking(suites, record=True)), as_json=as_json)


@app.command("gate")
def judge_last_runs(suites: SuiteNames = None, base: Base = None, as_json: AsJson = False) -> None:
    """Judge the last runs again, with the rules and thresholds of today; no model is asked."""
    from chassis_tools.evals.evaluation import load

    project = find_project()
    _publish(project, [_judge(plan) for plan in load(project, suites or (), base)], as_json=as_json)


@app.command("report")
def show_report(as_json: AsJson = False) -> None:
    """Render var/evals/report.json again as Markdown, HTML and JUnit XML, and show it."""
    from chassis_tools.evals.plan import RUNS

    project = find_project()
    _write_and_show(_last_report(project), project.root / RUNS, as_json=as_json)


@app.command("accept")
def accept_runs(
    suites: SuiteNames = None,
    although_failed: Annotated[
        str | None, typer.Option("--although-failed", metavar="REASON", help="Accept runs that fail, for this reason")
    ] = None,
) -> None:
    """Make the last runs the ones that later runs are compared with; commit what it writes."""
    from chassis_tools.evals.accepted_run import accept_run
    from chassis_tools.evals.evaluation import load
    from chassis_tools.evals.gate_result import join_names

    for plan, run, result in map(_judge, load(find_project(), suites or ())):
        print(f"{result.verdict.title}. {result.sentence}")
        change = accept_run(plan, run, result, although_failed)
        for cases, verb in ((change.worse, "get worse"), (change.better, "get better")):
            if cases:
                print(f"  {len(cases)} cases {verb}: {join_names(cases, MAX_NAMED_CASES)}")
        folder = plan.accepted_folder.relative_to(plan.project.root)
        print(f"  {folder}/ is now what later runs are compared with; commit it" if change.has_changed else UNCHANGED)


@app.command("show")
def show_case(
    case: Annotated[str, typer.Argument(help="The id of a case")],
    suite: Annotated[str | None, typer.Option(help="The suite; all that have the case if none is named")] = None,
    as_json: AsJson = False,
) -> None:
    """Show one case of the last report: question, answers, reasons, tool calls, time and cost."""
    from chassis.errors import ConfigError
    from chassis_tools.evals.plan import RUNS
    from chassis_tools.evals.report.output import REPORT_FILE

    reported = _last_report(find_project()).suites
    suites = [each for each in reported if suite in {None, each.name}]
    if not suites:
        names = ", ".join(each.name for each in reported)
        raise ConfigError(f"--suite {suite}", f"the last report has no suite {suite!r}", f"Name one of {names}")
    _require_cases([case], [result.id for each in suites for result in each.cases], f"{RUNS}/{REPORT_FILE}")
    found = {each.name: [result for result in each.cases if result.id == case] for each in suites}
    _show_cases(found, as_json=as_json)


@app.command("calibrate")
def calibrate_judge(judge: Annotated[str, typer.Argument(help="A judge of evals/suites.toml")]) -> None:
    """Compare a judge with people's labels and keep the result. Exit code 1 if the judge may not block."""
    from chassis_tools.evals.judge_client import calibrate
    from chassis_tools.evals.judges import MIN_AGREEMENT, save_calibration

    project = find_project()
    calibration = asyncio.run(calibrate(project, judge))
    path = save_calibration(project.root, calibration)
    counts = calibration.agreement
    print(f"{judge}: passes {counts.good_passed} of {counts.good} good answers (TPR {counts.true_pass_rate:.0%}),")
    print(f"  fails {counts.bad_failed} of {counts.bad} bad ones (TNR {counts.true_fail_rate:.0%}),")
    print(f"  gives no verdict on {calibration.judge_errors}")
    print(f"  kept in {path.relative_to(project.root)}; commit it")
    if problem := calibration.problem(MIN_AGREEMENT):
        print(f"It may not block: {problem}")
        raise typer.Exit(1)


def _run_single_cases(plans: "Sequence[Plan]", cases: Sequence[str], *, as_json: bool) -> None:
    """Ask some cases and show what came back, apart from the runs that are judged and accepted."""
    from dataclasses import replace

    from chassis_tools.cli.asking import run_suite
    from chassis_tools.evals.records import SuiteRun
    from chassis_tools.evals.report.build import case_results

    # A case of the holdout split is never shown by itself.
    shown = [[case.id for case in plan.cases(plan.project.load_task()) if case.split != "holdout"] for plan in plans]
    where = f"The cases of {' and '.join(plan.name for plan in plans)}"
    _require_cases(cases, [case for ids in shown for case in ids], where)
    found: dict[str, list[CaseResult]] = {}
    for plan, ids in zip(plans, shown, strict=True):
        if only := frozenset(cases).intersection(ids):
            single = replace(plan, only=only, purpose="cases")
            run = run_suite(single, plan.suite.kind, plan.suite.repeats, SuiteRun())
            found[plan.name] = list(case_results(single, run))
    _show_cases(found, as_json=as_json)
    typer.echo("No verdict: the other cases were not asked", err=as_json)


def _show_cases(found: "Mapping[str, Sequence[CaseResult]]", *, as_json: bool) -> None:
    """Show cases, by the name of their suite."""
    from chassis_tools.evals.report.text import case_lines

    shown = [(suite, case) for suite, cases in found.items() for case in cases]
    if as_json:
        print_json({"cases": [{"suite": suite, "case": case} for suite, case in shown]})
        return
    for suite, case in shown:
        lines = [f"{suite}: {case.id}", *(f"  {line}" for line in case_lines(case))]
        plain_console().print("\n".join(lines), markup=False, highlight=False)


def _require_cases(wanted: Iterable[str], known: Sequence[str], where: str) -> None:
    """Refuse the id of a case that does not exist, with the ids that resemble it."""
    from chassis.errors import ConfigError

    for case in wanted:
        if case not in known:
            near = get_close_matches(case, known)
            remedy = f"Did you mean {' or '.join(dict.fromkeys(near))}?" if near else "Look it up in evals/cases/"
            raise ConfigError(where, f"there is no case {case!r}", remedy)


def _evaluate(plans: "Sequence[Plan]", asking: "Asking") -> "list[tuple[Plan, SuiteRun, GateResult]]":
    """Ask, score and judge suites; those that are inconclusive once more, with as many repeats as they allow."""
    from dataclasses import replace

    from chassis_tools.cli.asking import ask_suites
    from chassis_tools.evals.evaluation import remove_scores

    # Read before the team's code runs, which can then change neither the plans nor what they are compared with.
    for plan in plans:
        remove_scores(plan)
    ask_suites(plans, asking)
    judged = {plan.name: _judge(plan) for plan in plans}
    unsettled: list[Plan] = []
    for plan, run, result in judged.values():
        repeats = max((record.repeat for record in run.records), default=0)
        if result.is_inconclusive and repeats < plan.suite.most_repeats:
            most = plan.suite.most_repeats
            typer.echo(f"{plan.name}: inconclusive after {repeats} repeats; asking up to {most}", err=True)
            unsettled.append(plan)
    if unsettled:
        ask_suites(unsettled, replace(asking, suites=[plan.name for plan in unsettled], more_repeats=True))
        judged |= {plan.name: _judge(plan) for plan in unsettled}
    return list(judged.values())


def _judge(plan: "Plan") -> "tuple[Plan, SuiteRun, GateResult]":
    from chassis_tools.evals.evaluation import gate, last_run

    run = last_run(plan)
    return plan, run, gate(plan, run)


def _last_report(project: Project) -> "Report":
    from chassis.errors import ConfigError
    from chassis_tools.evals.jsonl import read_json
    from chassis_tools.evals.plan import RUNS
    from chassis_tools.evals.report.output import REPORT_FILE
    from chassis_tools.evals.report.report import Report

    report = read_json(project.root / RUNS / REPORT_FILE, Report, "Run `chassis evals run` again")
    if report is None:
        raise ConfigError(f"{RUNS}/{REPORT_FILE}", "there is no such file", "Run `chassis evals run` first")
    return report


def _publish(project: Project, judged: "Iterable[tuple[Plan, SuiteRun, GateResult]]", *, as_json: bool) -> None:
    """Write and show the report, and exit with its verdict."""
    from chassis_tools.evals.evaluation import report
    from chassis_tools.evals.plan import RUNS

    judged_report = report(project, judged)
    _write_and_show(judged_report, project.root / RUNS, as_json=as_json)
    if not as_json:
        print(f"Full report: {RUNS}/report.html")
    raise typer.Exit(judged_report.exit_code)


def _write_and_show(report: "Report", folder: Path, *, as_json: bool) -> None:
    from chassis_tools.evals.report.output import write_report
    from chassis_tools.evals.report.text import print_report

    write_report(report, folder)
    if as_json:
        print_json(report)
    else:
        print_report(report, plain_console())
