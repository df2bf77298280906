"""The audit after a storm: compares responses, logs, the requests that the vendor served, and the database."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
from chassis.clock import now
from chassis.money.ledger import Ledger
from chassis.store.opening import open_database
from chassis.store.review_queue import Referral, ReviewQueue
from chassis.usd import format_usd
from replicas import lines_of
from stormy_vendor import Books

NANO = 10**9
ENDS = ("call.finished", "request.refused")
NEVER_BEGUN = {"outcome": "refused", "cost_usd": 0}
OUTCOMES = {200: "answered", 202: "referred"}

type Responses = Mapping[int, httpx2.Response | None]


@dataclass(frozen=True, slots=True)
class Audit:
    """What was found; money in nano-USD.

    Args:
        outcomes: How many calls ended how, by the status or the answer that their callers got.
        vendor: How many requests the vendor served, cut off at their cap, refused and dropped.
        not_once: The calls whose outcome is not in the logs exactly once.
        mispriced: The questions whose calls cost something else than the vendor billed.
        cut_off: The calls that died with their replica.
        spent: What the ledger charged.
        billed: What the vendor billed for the calls with an outcome.
        uncertain: What may have been charged for calls that were cut off: every amount that some of them add up to.
        reserved: What is still reserved.
        lost: The sum of the lost reservations, and their number.
        promised: How many referrals callers were promised.
        missing: Those that are not in the review queue with their question.
        unpromised: How many are in the review queue although their callers got no response.
    """

    outcomes: Counter[str]
    vendor: Counter[str]
    not_once: list[int]
    mispriced: list[int]
    cut_off: int
    spent: int
    billed: int
    uncertain: frozenset[int]
    reserved: int
    lost: tuple[int, int]
    promised: int
    missing: list[str]
    unpromised: int

    def check(self) -> None:
        """Assert that every figure is right."""
        assert self.not_once == []
        assert self.mispriced == []
        assert self.spent - self.billed in self.uncertain
        assert (self.reserved, self.lost[1] <= self.cut_off) == (self.lost[0], True)
        assert self.missing == []
        assert self.unpromised <= self.cut_off

    def __str__(self) -> str:
        amount, lost = self.lost
        failed = 1 - self.vendor["served"] / self.vendor.total()
        outcomes = ", ".join(f"{count} {what}" for what, count in sorted(self.outcomes.items()))
        return f"""\
outcomes:  {outcomes}
           {self.cut_off} cut off by the kill, {len(self.not_once)} without exactly one outcome
vendor:    {self.vendor.total()} requests, {failed:.0%} of them failed
ledger:    {format_usd(self.spent)} spent, {format_usd(self.billed)} billed by the vendor for the calls with an outcome
           {format_usd(self.spent - self.billed)} charged for calls cut off, {len(self.mispriced)} calls mispriced
           {format_usd(self.reserved)} still reserved, {format_usd(amount)} of it by {lost} lost reservations
queue:     {self.promised} referrals promised, {len(self.missing)} missing, {self.unpromised} of calls cut off"""


async def audited(responses: Responses, books: Books, worst: int, logs: Iterable[Path], url: str) -> Audit:
    """Compare everything with everything; `worst` is what a request costs that was dropped."""
    database = await open_database(url, Path())
    try:
        ledger = Ledger(database)
        month = (await ledger.balances())[-1]
        lost = await ledger.open_reservations(now() + timedelta(minutes=1))
        waiting = await ReviewQueue(database, 1).open_referrals()
    finally:
        await database.close()
    told = {number: response for number, response in responses.items() if response is not None}
    finished = _finished(logs)
    cut_off = responses.keys() - told.keys()
    missing, unpromised = _compared(told, waiting)
    return Audit(
        outcomes=Counter(_shown(response) for response in told.values()),
        vendor=books.totals(),
        not_once=[number for number, response in told.items() if not _is_written_once(response, finished)],
        mispriced=[
            number for number, response in told.items() if _cost(response, finished) != books.charge(number, worst)
        ],
        cut_off=len(cut_off),
        spent=month.spent,
        billed=sum(books.charge(number, worst) for number in told),
        uncertain=_sums(books.charge(number, worst) for number in cut_off),
        reserved=month.reserved,
        lost=(sum(reservation.amount for reservation in lost), len(lost)),
        promised=sum(response.status_code == 202 for response in told.values()),
        missing=missing,
        unpromised=unpromised,
    )


def _finished(logs: Iterable[Path]) -> dict[str, list[dict[str, Any]]]:
    finished: dict[str, list[dict[str, Any]]] = {}
    for line in (line for log in logs for line in lines_of(log) if line["event"] in ENDS):
        finished.setdefault(line["call_id"], []).append(NEVER_BEGUN | line)
    return finished


def _lines(response: httpx2.Response, finished: Mapping[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return finished.get(response.headers["X-Call-Id"], [])


def _is_written_once(response: httpx2.Response, finished: Mapping[str, list[dict[str, Any]]]) -> bool:
    return [line["outcome"] for line in _lines(response, finished)] == [OUTCOMES.get(response.status_code, "refused")]


def _cost(response: httpx2.Response, finished: Mapping[str, list[dict[str, Any]]]) -> int:
    return sum(round(line["cost_usd"] * NANO) for line in _lines(response, finished))


def _shown(response: httpx2.Response) -> str:
    body = response.json()
    return f"answered by {body['answered_by']}" if response.status_code == 200 else body.get("outcome") or body["type"]


def _compared(told: Mapping[int, httpx2.Response], waiting: Iterable[Referral]) -> tuple[list[str], int]:
    promised = {
        body["referral_id"]: body["call_id"] for body in (r.json() for r in told.values() if r.status_code == 202)
    }
    there = {referral.id: referral.call_id for referral in waiting}
    missing = [referral for referral, call in promised.items() if there.get(referral) != call]
    return missing, len(there.keys() - promised.keys())


def _sums(amounts: Iterable[int]) -> frozenset[int]:
    sums = {0}
    for amount in amounts:
        sums |= {amount + rest for rest in sums}
    return frozenset(sums)
