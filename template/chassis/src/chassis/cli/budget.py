"""`chassis budget`: what is spent, held, left and lost, and how the month will end."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from chassis.cli.database import open_project_database
from chassis.clock import now
from chassis.config.constraints import Constraints, load_constraints
from chassis.config.project import Project, find_project
from chassis.errors import ConfigError
from chassis.money.accounts import (
    Account,
    Balance,
    Reservation,
    accounts_for,
    forecast,
    lost_before,
    still_charged,
    usage_of,
)
from chassis.money.ledger import Ledger
from chassis.usd import format_usd

CALLER_DAY = "caller-day:"
Minutes = Annotated[float, typer.Option("--older-than", metavar="MINUTES", help="Leave alone what is younger.")]

app = typer.Typer(help="Show what is spent, held and left today and this month (UTC).", invoke_without_command=True)


@app.callback()
def budget(context: typer.Context) -> None:
    """Show what is spent, held and left today and this month (UTC)."""
    if context.invoked_subcommand is not None:
        return
    project = find_project()
    constraints, moment = load_constraints(project.root), now()

    async def look(ledger: Ledger) -> tuple[list[Balance], list[Reservation]]:
        return await ledger.balances(), await ledger.open_reservations(lost_before(constraints, moment))

    balances, lost = _in_ledger(project, look)
    _show(constraints, {balance.key: balance for balance in balances}, lost, moment)


@app.command()
def release(older_than: Minutes = 60) -> None:
    """Free what processes that died had set aside, as if nothing had been spent."""
    project = find_project()
    constraints, moment = load_constraints(project.root), now()
    before = moment - timedelta(minutes=older_than)
    if before > lost_before(constraints, moment):
        least = (moment - lost_before(constraints, moment)) / timedelta(minutes=1)
        raise ConfigError(
            "--older-than", f"{older_than:g} minutes may be a call under way", f"Give at least {least:.1f}"
        )
    released = _in_ledger(project, lambda ledger: ledger.release(before))
    typer.echo(f"Released {_together(released)}." if released else "No hold is lost that long.")


def _show(constraints: Constraints, balances: Mapping[str, Balance], lost: list[Reservation], moment: datetime) -> None:
    table = Table("account", "spent", "held", "left", "ceiling")
    for account in _accounts(balances, constraints, moment):
        usage = usage_of(account, balances)
        amounts = (usage.spent, usage.reserved, usage.remaining, usage.limit)
        table.add_row(account.key, *(format_usd(amount) for amount in amounts))
    Console().print(table)
    month = usage_of(accounts_for("", constraints, moment)[-1], balances)
    end = forecast(month.spent, moment)
    typer.echo(f"Forecast to the end of the month: {format_usd(end)} of {format_usd(month.limit)}")
    charged = still_charged(lost, month.key)
    typer.echo(f"Lost with their processes: {_together(charged)}")
    if charged:
        typer.echo(
            f"They stay charged. The oldest is of {charged[0].opened_at:%Y-%m-%d %H:%M} UTC; "
            "`uv run chassis budget release` frees them."
        )


def _together(reservations: list[Reservation]) -> str:
    plural = "" if len(reservations) == 1 else "s"
    return f"{len(reservations)} hold{plural}, {format_usd(sum(reservation.amount for reservation in reservations))}"


def _accounts(balances: Iterable[str], constraints: Constraints, moment: datetime) -> list[Account]:
    """Return the accounts of all callers together, used or not, then those of the callers who asked today."""
    today = f":{moment:%Y-%m-%d}"
    asked = (key for key in balances if key.startswith(CALLER_DAY) and key.endswith(today))
    callers = [key.removeprefix(CALLER_DAY).removesuffix(today) for key in asked]
    _, *together = accounts_for("", constraints, moment)
    return together + [accounts_for(caller, constraints, moment)[0] for caller in callers]


def _in_ledger[T](project: Project, act: Callable[[Ledger], Awaitable[T]]) -> T:
    async def run() -> T:
        async with open_project_database(project) as database:
            return await act(Ledger(database))

    return asyncio.run(run())
