"""`chassis budget`: what is spent, reserved and left, and a forecast for the month."""

from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from typing import Annotated

import typer
from rich.table import Table

from chassis.cli.terminal import AsJson, plain_console, print_json
from chassis.clock import now
from chassis.config.constraints import Constraints, load_constraints
from chassis.config.project import Project, find_project
from chassis.errors import ConfigError
from chassis.money.accounts import (
    Account,
    Balance,
    BudgetUsage,
    Reservation,
    accounts_for,
    forecast,
    lost_before,
    still_charged,
    usage_of,
)
from chassis.money.ledger import Ledger
from chassis.store.opening import run_with_database
from chassis.usd import format_usd, to_usd

CALLER_DAY = "caller-day:"
Minutes = Annotated[float, typer.Option("--older-than", metavar="MINUTES", help="Keep younger reservations.")]

app = typer.Typer(help="Show what is spent, reserved and left today and this month (UTC).", invoke_without_command=True)


@app.callback()
def budget(context: typer.Context, as_json: AsJson = False) -> None:
    """Show what is spent, reserved and left today and this month (UTC)."""
    if context.invoked_subcommand is not None:
        return
    project = find_project()
    constraints, moment = load_constraints(project.root), now()

    async def read(ledger: Ledger) -> tuple[list[Balance], list[Reservation]]:
        return await ledger.balances(), await ledger.open_reservations(lost_before(constraints, moment))

    balances, lost = _with_ledger(project, read)
    by_key = {balance.key: balance for balance in balances}
    usages = [usage_of(account, by_key) for account in _accounts(by_key, constraints, moment)]
    month = usage_of(accounts_for("", constraints, moment)[-1], by_key)
    if as_json:
        print_json(_as_dict(usages, month, still_charged(lost, month.key), moment))
    else:
        _show(usages, month, still_charged(lost, month.key), moment)


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


def _as_dict(
    usages: Iterable[BudgetUsage], month: BudgetUsage, charged: Iterable[Reservation], moment: datetime
) -> dict[str, object]:
    """Return the figures of `_show` in dollars."""
    accounts = [
        {
            "account": usage.key,
            "spent_usd": to_usd(usage.spent),
            "reserved_usd": to_usd(usage.reserved),
            "left_usd": to_usd(usage.remaining),
            "limit_usd": to_usd(usage.limit),
        }
        for usage in usages
    ]
    lost = [{"id": each.id, "amount_usd": to_usd(each.amount), "opened_at": each.opened_at} for each in charged]
    return {"accounts": accounts, "forecast_usd": to_usd(forecast(month.spent, moment)), "lost": lost}


def _show(usages: Iterable[BudgetUsage], month: BudgetUsage, charged: list[Reservation], moment: datetime) -> None:
    table = Table("account", "spent", "reserved", "left", "limit")
    for usage in usages:
        amounts = (usage.spent, usage.reserved, usage.remaining, usage.limit)
        table.add_row(usage.key, *(format_usd(amount) for amount in amounts))
    plain_console().print(table)
    end = forecast(month.spent, moment)
    typer.echo(f"Forecast to the end of the month: {format_usd(end)} of {format_usd(month.limit)}")
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
