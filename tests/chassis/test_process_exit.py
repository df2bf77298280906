"""How the process ends, by SIGTERM or SIGKILL, and what it leaves behind: the process rows of the fault table."""

import asyncio
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from chassis.money.ledger import Balance, Ledger
from chassis.store.opening import open_database
from chassis.store.review_queue import Referral, ReviewQueue
from fault import USAGE, WORST
from fault_table import KILLED, TERMINATED
from faulty_service import USED, write_faulty_repository
from faulty_vendor import FaultyVendor, answer_late, faulty_vendor, hang, well
from serve_process import first_match, process

pytestmark = pytest.mark.slow

RUNNING, WAITING = 4, 4


@pytest.fixture
def vendor() -> Generator[FaultyVendor]:
    """Run a vendor."""
    with faulty_vendor() as listening:
        yield listening


def ask(address: str, key: str, text: str = "2 + 2?") -> httpx2.Response:
    """Ask over HTTP."""
    headers = {"Authorization": f"Bearer {key}"}
    return httpx2.post(f"{address}/v1/echo", json={"text": text}, headers=headers, timeout=30)


def left_behind(root: Path) -> tuple[list[Balance], list[Referral]]:
    """Return the balances and open referrals in the database of a process that has ended."""

    async def read() -> tuple[list[Balance], list[Referral]]:
        database = await open_database("sqlite:///var/service.db", root)
        try:
            return await Ledger(database).balances(), await ReviewQueue(database, 1).open_referrals()
        finally:
            await database.close()

    return asyncio.run(read())


def test_sigterm_loses_no_call(vendor: FaultyVendor, tmp_path: Path) -> None:
    """Calls that run, calls that wait, and calls that arrive after SIGTERM are all answered and charged."""
    write_faulty_repository(tmp_path, vendor.url("first", answer_late))
    with process(tmp_path, "--port", "0") as service, ThreadPoolExecutor(12) as pool:
        assert service.stdout
        assert service.stderr
        address = first_match(service.stdout, r"listens on (http://[\d.:]+)")
        key = first_match(service.stdout, r"(ck_\S+)")
        before = [pool.submit(ask, address, key) for _ in range(RUNNING + WAITING - 2)]  # leave room for two more
        while vendor.requests["first"] < RUNNING:
            time.sleep(0.01)
        service.terminate()
        first_match(service.stderr, r"(service\.draining)")
        after = [pool.submit(ask, address, key) for _ in range(2)]
        answers = [call.result() for call in (*before, *after)]
        log, code = service.stderr.read(), service.wait()

    balances, _ = left_behind(tmp_path)
    result = TERMINATED.result
    assert [answer.status_code for answer in answers] == [result.status] * len(answers)
    assert {answer.json()["answered_by"] for answer in answers} == {result.answered_by}
    assert {answer.headers.get("connection") for answer in answers[-2:]} == {"close"}
    assert result.charged == USAGE
    assert {(balance.reserved, balance.spent) for balance in balances} == {(0, USED * len(answers))}
    assert (code, result.logged[-1] in log) == (0, True)


def test_sigkill_leaves_a_consistent_database(vendor: FaultyVendor, tmp_path: Path) -> None:
    """The worst case of a running request stays reserved, referrals still wait, and the next process works."""
    write_faulty_repository(tmp_path, vendor.url("first", hang))
    with process(tmp_path, "--port", "0", CHASSIS_MODELS_OFF="true") as service:
        assert service.stdout
        address = first_match(service.stdout, r"listens on (http://[\d.:]+)")
        key = first_match(service.stdout, r"(ck_\S+)")
        referred = ask(address, key, "why?")
    with process(tmp_path, "--port", "0") as service, ThreadPoolExecutor(1) as pool:
        assert service.stdout
        address = first_match(service.stdout, r"listens on (http://[\d.:]+)")
        lost = pool.submit(ask, address, key)
        while not vendor.requests["first"]:
            time.sleep(0.01)
        service.kill()
        with pytest.raises(httpx2.TransportError):
            lost.result()
    balances, waiting = left_behind(tmp_path)
    vendor.url("first", well)
    with process(tmp_path, "--port", "0") as service:
        assert service.stdout
        answered = ask(first_match(service.stdout, r"listens on (http://[\d.:]+)"), key)
    after, _ = left_behind(tmp_path)

    assert KILLED.result.charged == WORST
    assert {(balance.reserved > USED, balance.spent) for balance in balances} == {(True, 0)}
    assert [referral.id for referral in waiting] == [referred.json()["referral_id"]]
    assert answered.json()["answered_by"] == "first"
    assert [(item.reserved, item.spent) for item in after] == [(item.reserved, USED) for item in balances]
