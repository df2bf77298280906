"""Money under lies: what a vendor bills is in the ledger, and the ledger keeps its limit, whatever the vendor says."""

import asyncio
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
import storm
from chassis.money.ledger import Balance, Ledger
from chassis.store.opening import open_database
from chassis.usd import format_usd, nano_usd
from fault import Fault, Result
from faulty_service import USED, open_faulty
from faulty_vendor import faulty_vendor
from lying_vendor import HIDDEN_WORK, LIES, Bills
from postgres_server import NoServer, any_server
from replicas import replicas

REQUESTS = 1_000
LIMIT_USD = 20
CHANGES = {
    "deadline_seconds = 10": "deadline_seconds = 3",
    "concurrent_calls = 4": "concurrent_calls = 64",
    "concurrent_requests_per_model = 4": "concurrent_requests_per_model = 64",
    "retries_per_model = 0": "retries_per_model = 1",
    "model_requests_per_call = 1": "model_requests_per_call = 3",
    "_usd = 1\n": f"_usd = {LIMIT_USD}\n",
}


def billed_and_charged(lies: str, root: Path) -> tuple[int, int]:
    """Ask once, and return what the first model's vendor billed and what it was charged."""
    bills = Bills({lies: (LIES | HIDDEN_WORK)[lies]})
    with faulty_vendor() as vendor, open_faulty(Fault(lies, Result(), bills.behave), vendor, root) as service:
        response = service.ask("Question number 000001?")
        month = service.run(service.wiring.ledger.balances())[-1]
    assert response.status_code == 200
    assert month.reserved == 0
    return bills.nano_usd, month.spent - (USED if response.json()["answered_by"] == "second" else 0)


@pytest.mark.slow
@pytest.mark.parametrize("lie", LIES)
def test_no_lie_makes_a_request_cheaper(lie: str, tmp_path: Path) -> None:
    """The vendor bills at most what it was charged."""
    billed, charged = billed_and_charged(lie, tmp_path)

    assert 0 < billed <= charged


@pytest.mark.slow
@pytest.mark.parametrize("lie", HIDDEN_WORK)
def test_hidden_work_is_not_charged(lie: str, tmp_path: Path) -> None:
    """These are the exceptions, which the handbook lists: nothing tells that there was something to charge."""
    billed, charged = billed_and_charged(lie, tmp_path)

    assert billed > charged


@contextmanager
def database_url(dialect: str, root: Path) -> Generator[str]:
    """Yield the URL of an empty database."""
    if dialect == "sqlite":
        yield f"sqlite:///{root}/lies.db"
        return
    try:
        with any_server() as server:
            yield server.fresh()
    except NoServer as reason:
        pytest.skip(str(reason))


async def balances(url: str) -> list[Balance]:
    """Return what is charged and reserved."""
    database = await open_database(url, Path())
    try:
        return await Ledger(database).balances()
    finally:
        await database.close()


@pytest.mark.slow
@pytest.mark.parametrize("dialect", ["sqlite", pytest.param("postgresql", marks=pytest.mark.load)])
def test_the_ledger_covers_every_bill_and_keeps_its_limit(
    dialect: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three replicas share a budget that does not suffice, one of them is killed, and each request is lied about."""
    bills, weather = Bills(LIES), storm.Storm()
    with database_url(dialect, tmp_path) as url, faulty_vendor() as vendor:
        storm.write_stormy_repository(tmp_path, vendor.url("lies", bills.behave), CHANGES)
        key = asyncio.run(storm.new_key(url))
        with replicas(tmp_path, storm.REPLICAS, CHASSIS_DATABASE_URL=url) as fleet:
            asyncio.run(storm.make(weather, REQUESTS, fleet, key))
            codes = [replica.stop() for replica in fleet]
        accounts = asyncio.run(balances(url))

    told = [response for response in weather.responses.values() if response is not None]
    outcomes = Counter(response.json().get("answered_by", response.status_code) for response in told)
    with capsys.disabled():
        month = accounts[-1]
        print(
            f"\n{dialect}: {len(bills.told)} of {len(LIES)} lies in {bills.told.total()} requests to models: "
            f"{format_usd(bills.nano_usd)} billed, {format_usd(month.spent)} spent and {format_usd(month.reserved)} "
            f"reserved of ${LIMIT_USD}; {dict(outcomes)}, {len(weather.responses) - len(told)} calls cut off"
        )
    assert codes == [0] * storm.REPLICAS
    refused = {response.json()["type"] for response in told if response.status_code not in {200, 202}}
    assert refused <= {"/problems/overloaded", "/problems/database-unavailable"}  # on a busy machine
    assert {"first", "second", "baseline"} <= outcomes.keys()
    for account in accounts:
        assert bills.nano_usd <= account.spent + account.reserved <= nano_usd(LIMIT_USD)
