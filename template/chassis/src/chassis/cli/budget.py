"""`chassis budget`: what is spent, reserved and left, and a forecast for the month."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Annotated

import typer
from rich.table import Table

from chassis.cli.terminal import plain_console
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
from chassis.store.opening import run_with_database
from chassis.usd import format_usd

CALLER_DAY = "caller-day:"
Minutes = Annotated[float, typer.Option("--older-than", metavar="MINUTES", help="Keep younger reservations.")]

app = typer.Typer(help="Show what is spent, reserved and left today and this month (UTC).", invoke_without_command=True)


@app.callback()
def budget(context: typer.Context) -> None:
    """Show what is spent, reserved and left today and this month (UTC)."""
    if context.invoked_subcommand is not None:
        return
    project = find_project()
    constraints, moment = load_constraints(project.root), now()

    async def read(ledger: Ledger) -> tuple[list[Balance], list[Reservation]]:
        return await ledger.balances(), await ledger.open_reservations(lost_before(constraints, moment))

    balances, lost = _with_ledger(project, read)
    _show(constraints, {balance.key: balance for balance in balances}, lost, moment)


@app.command()
def release(older_than: Minutes = 60) -> None:
    """Release the reservations of processes that died, as if nothing had been spent."""
    project = find_project()
    constraints, moment = load_constraints(project.root), now()
    before = moment - timedelta(minutes=older_than)
    if before > lost_before(constraints, moment):
        minimum = (moment - lost_before(constraints, moment)) / timedelta(minutes=1)
        problem = f"a reservation of {older_than:g} minutes may belong to a running call"
        raise ConfigError("--older-than", problem, f"Give at least {minimum:.1f}")
    released = _with_ledger(project, lambda ledger: ledger.release(before))
    typer.echo(f"Released {_total(released)}." if released else "No lost reservation is that old.")


def _show(constraints: Constraints, balances: Mapping[str, Balance], lost: list[Reservation], moment: datetime) -> None:
    table = Table("account", "spent", "reserved", "left", "limit")
    for account in _accounts(balances, constraints, moment):
        usage = usage_of(account, balances)
        amounts = (usage.spent, usage.reserved, usage.remaining, usage.limit)
        table.add_row(account.key, *(format_usd(amount) for amount in amounts))
    plain_console().print(table)
    month = usage_of(accounts_for("", constraints, moment)[-1], balances)
    end = forecast(month.spent, moment)
    typer.echo(f"Forecast to the end of the month: {format_usd(end)} of {format_usd(month.limit)}")
    charged = still_charged(lost, month.key)
    typer.echo(f"Lost: {_total(charged)}")
    if charged:
        typer.echo(
            "Their processes died, and they stay charged until `uv run chassis budget release`. "
            f"The oldest is from {charged[0].opened_at:%Y-%m-%d %H:%M} UTC."
        )


def _total(reservations: list[Reservation]) -> str:
    noun = "reservation" if len(reservations) == 1 else "reservations"
    return f"{len(reservations)} {noun}, {format_usd(sum(reservation.amount for reservation in reservations))}"


def _accounts(balances: Iterable[str], constraints: Constraints, moment: datetime) -> list[Account]:
    """Return the accounts of all callers together, then the accounts of the callers who asked today."""
    today = f":{moment:%Y-%m-%d}"
    keys = (key for key in balances if key.startswith(CALLER_DAY) and key.endswith(today))
    callers = [key.removeprefix(CALLER_DAY).removesuffix(today) for key in keys]
    _, *shared = accounts_for("", constraints, moment)
    return shared + [accounts_for(caller, constraints, moment)[0] for caller in callers]


def _with_ledger[T](project: Project, act: Callable[[Ledger], Awaitable[T]]) -> T:
    return run_with_database(project, lambda database: act(Ledger(database)))
