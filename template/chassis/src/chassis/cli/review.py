"""`chassis review`: the questions that wait for a person."""

import getpass
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column, Table

from chassis.cli.terminal import AsJson, plain_console, print_json
from chassis.clock import now
from chassis.config.constraints import load_constraints
from chassis.config.project import Project, find_project
from chassis.config.typed_values import read_answer, show_json
from chassis.errors import ConfigError, NotFound
from chassis.store.opening import run_with_database
from chassis.store.outbox import Outbox
from chassis.store.quality_history import DriftAlarms
from chassis.store.review_queue import Referral, ReviewQueue
from chassis.store.reviews import Reviews

ReferralArgument = Annotated[str, typer.Argument(metavar="ID", help="As `chassis review list` shows it.")]
AnswerText = Annotated[
    str | None, typer.Argument(metavar="ANSWER", help="JSON, or plain text if the answer is one text.")
]
AnswerFile = Annotated[
    Path | None, typer.Option(help="Read the answer from a file instead.", exists=True, dir_okay=False)
]
AnsweredBy = Annotated[str | None, typer.Option(help="Who answers; you by default.")]

app = typer.Typer(help="Answer the questions in the review queue.", no_args_is_help=True)

FACTS = (
    "id",
    "task",
    "caller",
    "call_id",
    "source",
    "fallback_reason",
    "confidence",
    "created_at",
    "due_at",
    "answered_by",
    "answered_at",
    "verdict",
    "tags",
    "note",
    "leased_by",
)
JSON_FACTS = ("question", "draft", "answer")


@app.command(name="list")
def list_referrals(as_json: AsJson = False) -> None:
    """List the open referrals, the most urgent first, and the open alarms of quality drift."""
    project = find_project()
    referrals = _with_queue(project, lambda queue: queue.open_referrals())
    if as_json:
        print_json({"referrals": referrals})
        return
    columns = Column("id", no_wrap=True), "caller", "reason", "due (UTC)", Column("question", no_wrap=True, ratio=1)
    table = Table(*columns, expand=True)
    for referral in referrals:
        style = "red" if referral.due_at < now() else None
        due = f"{referral.due_at:%Y-%m-%d %H:%M}"
        question = " ".join(" ".join(map(str, referral.question.values())).split())
        table.add_row(
            referral.id, referral.caller, referral.fallback_reason or referral.source, due, question, style=style
        )
    if referrals:
        plain_console().print(table)
    else:
        typer.echo("The review queue is empty.")
    for alarm in run_with_database(project, lambda database: DriftAlarms(database).open_alarms()):
        typer.echo(f"Drift alarm {alarm.id}: {alarm.summary}. `uv run chassis drift` says what to do next.")


@app.command()
def show(referral_id: ReferralArgument, as_json: AsJson = False) -> None:
    """Show everything about one referral."""
    referral = _find(find_project(), referral_id)
    events = run_with_database(find_project(), lambda database: Reviews(database).events(referral_id))
    if as_json:
        print_json({"referral": referral, "events": events})
        return
    for name in FACTS:
        typer.echo(f"{name:16} {_for_people(getattr(referral, name))}")
    for name in JSON_FACTS:
        value = getattr(referral, name)
        typer.echo(f"\n{name}\n{show_json(value) if value is not None else '-'}")
    typer.echo("\nevents")
    for event in events:
        typer.echo(f"{event.at:%Y-%m-%d %H:%M:%S} UTC  {event.action} by {event.reviewer}")


@app.command()
def notifications(as_json: AsJson = False) -> None:
    """List the notifications that could not be sent, with the reason. They are tried again."""
    failing = run_with_database(find_project(), lambda database: Outbox(database).failing())
    if as_json:
        print_json({"notifications": failing})
        return
    for notification in failing:
        attempts = f"{notification.attempts} attempts" if notification.attempts > 1 else "1 attempt"
        typer.echo(f"{notification.id}  {attempts}  {notification.error}")
    if not failing:
        typer.echo("No notification has failed.")


@app.command()
def answer(
    referral_id: ReferralArgument, text: AnswerText = None, file: AnswerFile = None, by: AnsweredBy = None
) -> None:
    """Answer a referral, once. Its caller can fetch the answer from then on."""
    if file is not None and text is None:
        text = _read(file)
    elif text is None or file is not None:
        raise ConfigError("chassis review answer", "exactly one answer is needed", "Give either ANSWER or --file")
    project = find_project()
    _find(project, referral_id)  # a wrong id is the more likely mistake, so it is reported first
    typed = read_answer(project.load_task().gives, text)
    reviewer = by or getpass.getuser()
    second_share = load_constraints(project.root).review.second_share
    run_with_database(
        project,
        lambda db: Reviews(db, second_share).answer(referral_id, typed.model_dump_json(by_alias=True), reviewer),
    )
    typer.echo(f"{referral_id} is answered.")


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(str(file), f"byte {error.start} is not UTF-8", "Save the file as UTF-8") from None


def _for_people(fact: str | float | datetime | Sequence[str] | None) -> str:
    match fact:
        case None | "" | []:
            return "-"
        case list():
            return ", ".join(fact)
        case float():
            return f"{fact:.2f}"
        case datetime():
            return f"{fact:%Y-%m-%d %H:%M} UTC"
        case _:
            return str(fact)


def _find(project: Project, referral_id: str) -> Referral:
    referral = _with_queue(project, lambda queue: queue.find(referral_id))
    if referral is None:
        raise NotFound(f"There is no referral {referral_id!r}; `uv run chassis review list` lists the open ones")
    return referral


def _with_queue[T](project: Project, act: Callable[[ReviewQueue], Awaitable[T]]) -> T:
    due_hours = load_constraints(project.root).review.due_hours
    return run_with_database(project, lambda database: act(ReviewQueue(database, due_hours)))
