"""`chassis budget`: what is spent, held and left."""

import asyncio
from collections.abc import Mapping
from datetime import datetime

from rich.console import Console
from rich.table import Table

from chassis.budget import accounts_for
from chassis.cli.store import open_database
from chassis.clock import now
from chassis.constraints import Constraints, load_constraints
from chassis.project import Project, find_project
from chassis.store.ledger import Account, Balance, Ledger
from chassis.types import show_usd

CALLER_DAY = "caller-day:"


def budget() -> None:
    """Show what is spent, held and left today and this month (UTC)."""
    project = find_project()
    constraints = load_constraints(project.root)
    balances = asyncio.run(_balances(project))
    table = Table("account", "spent", "held", "left", "ceiling")
    for account in _accounts(balances, constraints, now()):
        balance = balances.get(account.key, Balance(account.key, held=0, spent=0))
        left = max(0, account.ceiling - balance.spent - balance.held)
        amounts = (balance.spent, balance.held, left, account.ceiling)
        table.add_row(account.key, *(show_usd(amount) for amount in amounts))
    Console().print(table)


async def _balances(project: Project) -> dict[str, Balance]:
    async with open_database(project) as database:
        return {balance.key: balance for balance in await Ledger(database).balances()}


def _accounts(balances: Mapping[str, Balance], constraints: Constraints, moment: datetime) -> list[Account]:
    """Return the accounts of all callers together, used or not, then those of the callers who asked today."""
    today = f":{moment:%Y-%m-%d}"
    asked = (key for key in balances if key.startswith(CALLER_DAY) and key.endswith(today))
    callers = [key.removeprefix(CALLER_DAY).removesuffix(today) for key in asked]
    _, *together = accounts_for("", constraints, moment)
    return together + [accounts_for(caller, constraints, moment)[0] for caller in callers]
