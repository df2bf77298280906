"""Eight processes spend from one budget, and half of them are killed in the middle."""

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
"""So many requests of its own a process has made when it is killed."""


def started(url: str) -> "subprocess.Popen[str]":
    """Start one that spends."""
    return subprocess.Popen(
        [sys.executable, spending_process.__file__, url, str(REQUESTS)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
    )


def said(process: "subprocess.Popen[str]", at_most: int | None = None) -> list[str]:
    """Return what a process says, line by line, until it ends or has said enough."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line.strip())
        if len(lines) == at_most:
            break
    return lines


async def left(url: str) -> tuple[list[Balance], list[Reservation]]:
    """Return what stands in the ledger, and what was lost."""
    database = await open_database(url, Path())
    try:
        return await Ledger(database).balances(), await Ledger(database).open_reservations(now())
    finally:
        await database.close()


@pytest.mark.slow
def test_killed_processes_overspend_nothing(store_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What the dead held stays charged, what the living spent is exact, and both together never pass the ceiling."""
    processes = [started(store_url) for _ in range(PROCESSES)]
    lines: list[str] = []
    for process in processes[::2]:
        lines += said(process, KILLED_AFTER)
        process.kill()
    for process in processes:
        lines += said(process)
        process.wait()
    balances, lost = asyncio.run(left(store_url))

    spent = sum(int(line) for line in lines if line.isdigit())
    ceilings = {account.key: account.limit for account in spending_process.ACCOUNTS}
    overspent = max(0, *(balance.reserved + balance.spent - ceilings[balance.key] for balance in balances))
    with capsys.disabled():
        print(  # noqa: T201 - the figures are what this test is for
            f"\n{PROCESSES} processes x {REQUESTS} requests, {PROCESSES // 2} killed: {len(lines)} ended, "
            f"{lines.count('refused')} refused, {len(lost)} holds lost, spent {balances[0].spent} and held "
            f"{balances[0].reserved} of {ceilings[balances[0].key]}, overspend {overspent}"
        )
    assert overspent == 0
    assert len(lines) >= PROCESSES // 2 * (REQUESTS + KILLED_AFTER)
    assert "refused" in lines
    # A process may die after it has settled a request and before it has said so.
    unsaid = PROCESSES // 2 * spending_process.IN_FLIGHT * spending_process.AMOUNT
    for balance in balances:
        assert balance.reserved == sum(reservation.amount for reservation in lost)
        assert spent <= balance.spent <= spent + unsaid
