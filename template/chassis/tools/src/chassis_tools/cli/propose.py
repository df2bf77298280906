"""`chassis propose`: a branch with the evidence of quality drift and its failing cases, for a person to merge."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from chassis.cli.drift import signal_lines
from chassis.config.project import Project, find_project
from chassis.errors import NotFound
from chassis.quality.drift import DriftWatch, SignalReport
from chassis.store.opening import run_with_database
from chassis_tools.cli.cases import DatasetOption, case_lines, print_left_out, reviewed_cases

if TYPE_CHECKING:
    from chassis.store.database import Database
    from chassis_tools.evals.new_cases import CaseAdditions, NewCase

FOLDER = "evals/drift"


def propose(
    alarm_id: Annotated[str, typer.Argument(metavar="ALARM", help="An open alarm of `chassis drift`.")],
    dataset: DatasetOption,
    branch: Annotated[
        str | None, typer.Option(metavar="NAME", help="The new branch. Default: quality-drift-ALARM.")
    ] = None,
) -> None:
    """Commit the evidence of quality drift and its failing cases to a new branch, and print a pull request for it.

    Nothing is pushed or merged, and the files that are checked out stay as they are.
    """
    from chassis_tools.evals.new_cases import check_dataset, plan_additions, write_additions
    from chassis_tools.evals.suites import load_suites
    from chassis_tools.updates.git import branch_in_worktree, commit_files

    project = find_project()
    report, failures = run_with_database(project, lambda database: _failures(project, database, alarm_id))
    name = branch or f"quality-drift-{alarm_id}"
    with branch_in_worktree(project.root, name) as root:
        check_dataset(load_suites(root), dataset)
        additions = plan_additions(root, project.load_task(), dataset, failures)
        print_left_out(additions)
        exit_code = 1 if additions.refused else 0
        if not additions.cases:
            print("There is nothing to propose. Review answers of that time at /review, then try again.")
            raise typer.Exit(exit_code)
        title = f"Add cases of quality drift in {report.signal.name}"
        evidence = f"{FOLDER}/{alarm_id}.md"
        (root / evidence).parent.mkdir(parents=True, exist_ok=True)
        (root / evidence).write_text(_page(title, report, additions), encoding="utf-8")
        write_additions(root, additions)
        commit_files(root, title, [additions.file, evidence])
    print(
        f"The branch {name} has {len(additions.cases)} new in {additions.file}, and {evidence}. "
        f"Read it with `git show {name}`, push it and open a pull request:\n\n{_page(title, report, additions)}"
    )
    raise typer.Exit(exit_code)


async def _failures(project: Project, database: "Database", alarm_id: str) -> "tuple[SignalReport, Sequence[NewCase]]":
    from chassis_tools.evals.new_cases import failures_since

    for report in await DriftWatch(database, project.load_task().name).reports():
        for signal in report.signals:
            if signal.alarm and signal.alarm.id == alarm_id:
                return signal, failures_since(await reviewed_cases(project, database), signal.alarm.changed_on)
    raise NotFound(f"No alarm {alarm_id!r} is open; `uv run chassis drift` lists the open ones")


def _page(title: str, report: SignalReport, additions: "CaseAdditions") -> str:
    lines = [title, "", *(line.strip() for line in signal_lines(report)), "", *case_lines(additions), ""]
    lines += ["Cases that must pass fail the gate until the service answers them correctly: `make evals`."]
    return "\n".join(lines) + "\n"
