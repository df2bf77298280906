"""How budgets are shown: `chassis budget` for people, gauges for machines."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from chassis.clock import now
from chassis.config.constraints import Constraints, load_constraints
from chassis.gauges import refresh_budget_gauges
from chassis.money.accounts import accounts_for, forecast
from chassis.money.ledger import Ledger
from chassis.store.opening import open_database
from chassis.telemetry.setup import Telemetry
from chassis.usd import nano_usd
from cli_runner import run
from prometheus_client.parser import text_string_to_metric_families
from telemetry_sinks import started


@asynccontextmanager
async def ledger_of(project: Path, minutes_ago: float = 0) -> AsyncGenerator[Ledger]:
    """Open the project's ledger, with a clock in the past."""
    database = await open_database("sqlite:///var/service.db", project)
    try:
        yield Ledger(database, clock=lambda: now() - timedelta(minutes=minutes_ago))
    finally:
        await database.close()


def spend(project: Path, constraints: Constraints) -> None:
    """Spend $0.25, and lose a reservation of $0.50, two hours ago."""

    async def story() -> None:
        async with ledger_of(project, minutes_ago=120) as ledger:
            accounts = accounts_for("alice", constraints)
            await ledger.settle(await ledger.reserve(accounts, nano_usd(0.5)), nano_usd(0.25))
            await ledger.reserve(accounts, nano_usd(0.5))

    asyncio.run(story())


def test_budget_shows_what_is_spent_reserved_left_and_lost(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line for each account, the forecast, and the lost reservations with the command that frees them."""
    spend(project, load_constraints(project))

    assert run("budget") == 0

    out = capsys.readouterr().out
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in out.splitlines() if line.startswith("│")]
    today = f"{now():%Y-%m-%d}"
    assert rows == [
        [key, "$0.25", "$0.50", "$0.25", "$1.00"]
        for key in (f"day:{today}", f"month:{today[:7]}", f"caller-day:alice:{today}")
    ]
    assert "Forecast to the end of the month: $" in out
    assert "Lost: 1 reservation, $0.50" in out
    assert "until `uv run chassis budget release`" in out


def test_lost_reservations_are_released_by_command_only(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command frees what is old enough, once. Showing the budget frees nothing."""
    spend(project, load_constraints(project))
    run("budget")

    assert run("budget", "release", "--older-than", "180") == 0
    assert run("budget", "release") == 0
    assert run("budget", "release") == 0
    said = capsys.readouterr().out.splitlines()[-3:]
    run("budget")

    assert said == [
        "No lost reservation is that old.",
        "Released 1 reservation, $0.50.",
        "No lost reservation is that old.",
    ]
    assert "Lost: 0 reservations, $0.00" in capsys.readouterr().out


def test_a_call_in_progress_cannot_be_released(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A reservation is not lost before the deadline of a call, and a minute for clock skew, have passed."""
    spend(project, load_constraints(project))

    assert run("budget", "release", "--older-than", "1") == 2

    assert (
        capsys.readouterr().err
        == "--older-than: a reservation of 1 minutes may belong to a running call. Give at least 1.2\n"
    )


@pytest.mark.parametrize(
    ("day", "hour", "expected"),
    [(1, 1, 3_000), (2, 0, 3_000), (16, 0, 200), (30, 12, 101)],
    ids=["first-hour", "second-day", "half", "last-day"],
)
def test_the_forecast_continues_the_rate_so_far(day: int, hour: int, expected: int) -> None:
    """What was spent so far is extended to the whole month; the first day counts as a whole one."""
    assert forecast(100, datetime(2026, 11, day, hour, tzinfo=UTC)) == expected


def gauges(telemetry: Telemetry) -> dict[tuple[str, str], float]:
    """Return every budget gauge as /metrics shows it, by name and period."""
    page, _ = telemetry.metrics_page()
    return {
        (sample.name, sample.labels.get("chassis_period", "")): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
        if sample.name.startswith("chassis_budget")
    }


def test_the_gauges_agree(project: Path) -> None:
    """Spent, reserved, remaining and limit of the day and the month, the forecast, and the lost reservations."""
    constraints = load_constraints(project)
    spend(project, constraints)
    telemetry = started(project)

    async def story() -> None:
        async with ledger_of(project) as ledger:
            await refresh_budget_gauges(ledger, constraints, telemetry.instruments)

    asyncio.run(story())
    values = gauges(telemetry)
    telemetry.shutdown()

    assert values.pop(("chassis_budget_forecast", "")) >= 0.25
    assert values.pop(("chassis_budget_lost_reservations", "")) == 1
    assert values == {
        (f"chassis_budget_{name}", period): value
        for name, value in {"spent": 0.25, "reserved": 0.5, "remaining": 0.25, "limit": 1}.items()
        for period in ("day", "month")
    }
