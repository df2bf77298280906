"""`chassis review`: what waits for a person."""

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from chassis.cli.database import open_project_database
from chassis.cli.values import read_typed, show_json
from chassis.clock import now
from chassis.config.constraints import load_constraints
from chassis.config.project import Project, find_project
from chassis.errors import ConfigError, NotFound
from chassis.store.review_queue import Referral, ReviewQueue

ReferralId = Annotated[str, typer.Argument(metavar="ID", help="As `chassis review list` shows it")]
Text = Annotated[str | None, typer.Argument(metavar="ANSWER", help="JSON, or plain text if the answer is one text")]
File = Annotated[Path | None, typer.Option(help="Read the answer from a file instead", exists=True, dir_okay=False)]
By = Annotated[str | None, typer.Option(help="Who answers; you, if not given")]

app = typer.Typer(help="Answer what no machine could.", no_args_is_help=True)

FACTS = (
    "id",
    "task",
    "caller",
    "call_id",
    "fallback_reason",
    "confidence",
    "created_at",
    "due_at",
    "answered_by",
    "answered_at",
)
JSON = ("question", "draft", "answer")


@app.command(name="list")
def list_referrals() -> None:
    """Show what waits for a person, the most urgent first."""
    referrals = _at_desk(find_project(), lambda review_queue: review_queue.open_referrals())
    columns = Column("id", no_wrap=True), "caller", "why", "due (UTC)", Column("question", no_wrap=True, ratio=1)
    table = Table(*columns, expand=True)
    for referral in referrals:
        style = "red" if referral.due_at < now() else None
        due = f"{referral.due_at:%Y-%m-%d %H:%M}"
        question = _on_one_line(" ".join(str(value) for value in referral.question.values()))
        table.add_row(referral.id, referral.caller, referral.fallback_reason, due, question, style=style)
    if referrals:
        Console(markup=False).print(table)
    else:
        typer.echo("Nothing waits for a person.")


@app.command()
def show(referral_id: ReferralId) -> None:
    """Show one question with everything that is known about it."""
    referral = _find(find_project(), referral_id)
    for name in FACTS:
        typer.echo(f"{name:12} {_for_people(getattr(referral, name))}")
    for name in JSON:
        value = getattr(referral, name)
        typer.echo(f"\n{name}\n{show_json(value) if value is not None else '-'}")


@app.command()
def answer(referral_id: ReferralId, text: Text = None, file: File = None, by: By = None) -> None:
    """Answer a question, so that its caller finds the answer."""
    if file is not None and text is None:
        text = file.read_text(encoding="utf-8")
    elif text is None or file is not None:
        raise ConfigError("chassis review answer", "it needs one answer", "Give ANSWER or --file, not both")
    project = find_project()
    _find(project, referral_id)
    typed = read_typed(project.load_task().gives, text, "the answer")
    _at_desk(
        project, lambda review_queue: review_queue.answer(referral_id, typed.model_dump_json(), by or getpass.getuser())
    )
    typer.echo(f"{referral_id} is answered.")


def _for_people(fact: str | float | datetime | None) -> str:
    match fact:
        case None:
            return "-"
        case float():
            return f"{fact:.2f}"
        case datetime():
            return f"{fact:%Y-%m-%d %H:%M} UTC"
        case _:
            return str(fact)


def _on_one_line(text: str) -> str:
    """Callers write what they like: nothing of it may move the cursor."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _find(project: Project, referral_id: str) -> Referral:
    referral = _at_desk(project, lambda review_queue: review_queue.find(referral_id))
    if referral is None:
        raise NotFound(f"There is no referral {referral_id!r}; `uv run chassis review list` shows those that wait")
    return referral


def _at_desk[T](project: Project, act: Callable[[ReviewQueue], Awaitable[T]]) -> T:
    due_hours = load_constraints(project.root).review.due_hours

    async def run() -> T:
        async with open_project_database(project) as database:
            return await act(ReviewQueue(database, due_hours))

    return asyncio.run(run())
