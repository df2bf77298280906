"""Eight processes spend from one budget, and half of them are killed meanwhile."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
import spending_process
from chassis.clock import now
from chassis.money.accounts import Balance, Reservation
from chassis.money.ledger import Ledger
from chassis.store.opening import open_database

PROCESSES, REQUESTS = 8, 200
KILLED_AFTER = 20
"""How many requests a process has made when it is killed."""


def started(url: str) -> "subprocess.Popen[str]":
    """Start a process that spends."""
    return subprocess.Popen(
        [sys.executable, spending_process.__file__, url, str(REQUESTS)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
    )


def output_of(process: "subprocess.Popen[str]", max_lines: int | None = None) -> list[str]:
    """Return the lines that a process prints until it ends, or the first ones."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line.strip())
        if len(lines) == max_lines:
            break
    return lines


async def read_ledger(url: str) -> tuple[list[Balance], list[Reservation]]:
    """Return the balances and the open reservations."""
    database = await open_database(url, Path())
    try:
        return await Ledger(database).balances(), await Ledger(database).open_reservations(now())
    finally:
        await database.close()


@pytest.mark.slow
def test_killed_processes_overspend_nothing(store_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What killed processes reserved stays charged, what others spent is exact, and the limit is never exceeded."""
    processes = [started(store_url) for _ in range(PROCESSES)]
    lines: list[str] = []
    for process in processes[::2]:
        lines += output_of(process, KILLED_AFTER)
        process.kill()
    for process in processes:
        lines += output_of(process)
        process.wait()
    balances, lost = asyncio.run(read_ledger(store_url))

    spent = sum(int(line) for line in lines if line.isdigit())
    limits = {account.key: account.limit for account in spending_process.ACCOUNTS}
    overspent = max(0, *(balance.reserved + balance.spent - limits[balance.key] for balance in balances))
    with capsys.disabled():
        print(
            f"\n{PROCESSES} processes x {REQUESTS} requests, {PROCESSES // 2} killed: {len(lines)} ended, "
            f"{lines.count('refused')} refused, {len(lost)} reservations lost, spent {balances[0].spent} and reserved "
            f"{balances[0].reserved} of {limits[balances[0].key]}, overspend {overspent}"
        )
    assert overspent == 0
    assert len(lines) >= PROCESSES // 2 * (REQUESTS + KILLED_AFTER)
    assert "refused" in lines
    # A process may be killed after it has settled a request and before it has printed that.
    unreported = PROCESSES // 2 * spending_process.IN_FLIGHT * spending_process.AMOUNT
    for balance in balances:
        assert balance.reserved == sum(reservation.amount for reservation in lost)
        assert spent <= balance.spent <= spent + unreported
