"""`chassis cases` and `chassis propose`: turn what callers asked, or what documents say, into cases."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chassis.config.constraints import load_constraints
from chassis.config.project import Project, find_project
from chassis.errors import ConfigError, NotFound
from chassis.store.opening import run_with_database

if TYPE_CHECKING:
    from chassis.quality.drift import SignalReport
    from chassis.search.passages import Passage
    from chassis.store.database import Database
    from chassis_tools.evals.new_cases import CaseAdditions, NewCase

DOCUMENTS = Path("documents")
EVIDENCE_FOLDER = "evals/drift"
app = typer.Typer(
    help="Add cases from production to the data sets, or draft some from documents.", no_args_is_help=True
)

DatasetOption = Annotated[
    str, typer.Option("--to", metavar="NAME", help="The data set: a file of evals/cases/, without .jsonl")
]


@app.command()
def promote(
    dataset: DatasetOption,
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="Answered referrals or calls; all of them if none is named")
    ] = None,
) -> None:
    """Add questions that reviewers answered or callers corrected. Exit code 1 if some cannot become cases."""
    project = find_project()
    reviewed = run_with_database(project, lambda database: _reviewed_cases(project, database))
    by_id = {case.id: case for case in reviewed}
    for each in ids or ():
        if each not in by_id:
            raise NotFound(f"There is no answered referral {each!r}, and no call whose feedback has a correction")
    _add(project, dataset, [by_id[each] for each in dict.fromkeys(ids or by_id)], "reviews and feedback")


async def _reviewed_cases(project: Project, database: "Database") -> "list[NewCase]":
    from chassis.store.feedback import unreviewed_corrections
    from chassis.store.review_queue import ReviewQueue
    from chassis_tools.evals.new_cases import from_correction, from_referral, right_answer

    task, due_hours = project.load_task().name, load_constraints(project.root).review.due_hours
    answered = await ReviewQueue(database, due_hours).answered_referrals(task)
    referrals = [referral for referral in answered if right_answer(referral) is not None]
    corrections = await unreviewed_corrections(database, task)
    return [*map(from_referral, referrals), *map(from_correction, corrections)]


@app.command("import")
def import_cases(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .csv or .jsonl file in UTF-8")],
    question: Annotated[str, typer.Option(metavar="COLUMN", help="The column with the question")],
    answer: Annotated[str, typer.Option(metavar="COLUMN", help="The column with the right answer")],
    dataset: DatasetOption,
) -> None:
    """Add the rows of an export, such as tickets or chat logs. Exit code 1 if some cannot become cases."""
    from chassis_tools.evals.exports import Columns, read_export

    project = find_project()
    _add(project, dataset, read_export(file, Columns(question, answer), project.load_task()), file.name)


@app.command()
def draft(
    dataset: Annotated[
        str, typer.Option("--to", metavar="NAME", help="The new data set: a file of evals/cases/, without .jsonl")
    ],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder with the documents.")] = DOCUMENTS,
    *,
    model: Annotated[
        bool, typer.Option("--model", help="Let the models of constraints.toml write the questions, not the headings.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, metavar="NUMBER", help="The most cases to draft.")] = 50,
) -> None:
    """Draft a data set from documents, for a person to edit: a question for each heading, and what is written there."""
    from chassis.search.folder import read_folder
    from chassis_tools.evals.drafted_cases import as_cases, first_passages, new_dataset, question_from_headings
    from chassis_tools.evals.new_cases import plan_additions, write_dataset

    project = find_project()
    new_dataset(project.root, dataset)
    documents = project.root / folder
    if not documents.is_dir():
        raise ConfigError(str(folder), "there is no such folder", "Name a folder with documents")
    passages = first_passages(read_folder(documents), limit)
    if not passages:
        raise ConfigError(str(folder), "there is no text below a heading", "Name a folder with documents")
    task = project.load_task()
    questions = (
        asyncio.run(_questions(project, passages)) if model else [question_from_headings(each) for each in passages]
    )
    proposed, unfit = as_cases(passages, questions, "model" if model else "headings", task)
    additions = plan_additions(project.root, task, dataset, proposed)
    _print_left_out(additions, unfit)
    if additions.cases:
        write_dataset(project.root, additions)
        print(
            f"{additions.file} has {len(additions.cases)} drafts. Correct each question and its expected answer, and "
            f"remove what no caller would ask. Then add {dataset!r} to the cases of a suite in evals/suites.toml. "
            "Drafts are marked as synthetic and cannot be must_pass."
        )
    else:
        print("There is nothing to draft.")
    if unfit or additions.refused:
        raise typer.Exit(1)


async def _questions(project: Project, passages: "list[Passage]") -> list[str]:
    from chassis.config.project import load_settings
    from chassis.telemetry.logs import configure_logs

    settings = load_settings(project.root)
    configure_logs(production=settings.production)
    from chassis.wiring import wire
    from chassis_tools.evals.drafted_cases import ask_for_questions

    async with wire(project, settings=settings) as wiring:
        return await ask_for_questions(wiring, passages)


def _print_left_out(additions: "CaseAdditions", unfit: Mapping[str, str] | None = None) -> None:
    for case, earlier in additions.repeated.items():
        print(f"{case}: left out, because it asks nearly the same as {earlier}")
    for case, reason in (*(unfit or {}).items(), *additions.refused.items()):
        print(f"{case}: refused, because {reason}")


def _add(project: Project, dataset: str, proposed: "Iterable[NewCase]", origin: str) -> None:
    """Write what can be added, and print what was left out and the text of the pull request."""
    from chassis_tools.evals.new_cases import check_dataset, has_must_pass_rule, plan_additions, write_additions
    from chassis_tools.evals.suites import load_suites

    suites = load_suites(project.root)
    check_dataset(suites, dataset)
    additions = plan_additions(project.root, project.load_task(), dataset, proposed)
    _print_left_out(additions)
    if additions.cases:
        write_additions(project.root, additions)
        print(_pull_request(additions, origin))
        if not has_must_pass_rule(suites, dataset) and any(case.must_pass for case in additions.cases):
            print(
                f"\nNo replay suite with {dataset!r} has a must-pass rule, so these cases do not fail the gate alone."
            )
    else:
        print("There is nothing to add.")
    if additions.refused:
        raise typer.Exit(1)


def _pull_request(additions: "CaseAdditions", origin: str) -> str:
    # No question is quoted: its text could mention people or load images where the request is read.
    count = f"{len(additions.cases)} case{'s' if len(additions.cases) > 1 else ''}"
    lines = [
        f"{count} added to {additions.file}. Check them, commit them on a branch and open a pull request:",
        "",
        f"Add {count} from {origin}",
        "",
        f"Questions and answers come from {origin}. Sensitive values are placeholders.",
        "",
    ]
    return "\n".join([*lines, *_addition_lines(additions)])


def _addition_lines(additions: "CaseAdditions") -> list[str]:
    lines = [f"- `{case.id}`: {case.split}{', must pass' if case.must_pass else ''}" for case in additions.cases]
    return [*lines, "", "Cases that must pass fail the gate until the service answers them correctly: `make evals`."]


def propose(
    alarm_id: Annotated[str, typer.Argument(metavar="ALARM", help="An open alarm of `chassis drift`.")],
    dataset: DatasetOption,
    branch: Annotated[
        str | None, typer.Option(metavar="NAME", help="The new branch. Default: quality-drift-ALARM.")
    ] = None,
) -> None:
    """Put the evidence of quality drift and its failing cases on a branch, for a person to merge.

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
        _print_left_out(additions)
        exit_code = 1 if additions.refused else 0
        if not additions.cases:
            print("There is nothing to propose. Review answers of that time at /review, then try again.")
            raise typer.Exit(exit_code)
        title = f"Add cases of quality drift in {report.signal.name}"
        proposal, evidence = _proposal(title, report, additions), f"{EVIDENCE_FOLDER}/{alarm_id}.md"
        (root / evidence).parent.mkdir(parents=True, exist_ok=True)
        (root / evidence).write_text(proposal, encoding="utf-8")
        write_additions(root, additions)
        commit_files(root, title, [additions.file, evidence])
    print(
        f"The branch {name} has {len(additions.cases)} new in {additions.file}, and {evidence}. "
        f"Read it with `git show {name}`, push it and open a pull request:\n\n{proposal}"
    )
    raise typer.Exit(exit_code)


async def _failures(project: Project, database: "Database", alarm_id: str) -> "tuple[SignalReport, Sequence[NewCase]]":
    from chassis.quality.drift import DriftWatch
    from chassis_tools.evals.new_cases import failures_since

    for report in await DriftWatch(database, project.load_task().name).reports():
        for signal in report.signals:
            if signal.alarm and signal.alarm.id == alarm_id:
                return signal, failures_since(await _reviewed_cases(project, database), signal.alarm.changed_on)
    raise NotFound(f"No alarm {alarm_id!r} is open; `uv run chassis drift` lists the open ones")


def _proposal(title: str, report: "SignalReport", additions: "CaseAdditions") -> str:
    from chassis.cli.drift import signal_lines

    lines = [title, "", *(line.strip() for line in signal_lines(report)), "", *_addition_lines(additions)]
    return "\n".join(lines) + "\n"
