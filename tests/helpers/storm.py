"""A storm: thousands of requests through three replicas, a vendor that fails, and a replica that is killed under load.

`make storm` makes one of ten thousand requests and prints its figures; a test makes a smaller one. Everything is real
but the vendor: processes of `chassis serve`, PostgreSQL, sockets, the vendor's SDK.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
from chassis.money.ledger import Ledger
from chassis.store.credentials import ApiKeys
from chassis.store.opening import open_database
from faulty_vendor import faulty_vendor
from postgres_server import Server, started_server
from replicas import Replica, replicas
from sample_repository import CONSTRAINTS, write_repository
from storm_audit import Audit, audited
from stormy_vendor import Books

REPLICAS, IN_FLIGHT = 3, 24
KILLED_AFTER, RESTARTED_AFTER = 1 / 3, 1 / 2
"""Shares of the requests."""
PROBE = 0
"""The question that is asked first. All its requests are dropped, which tells what a dropped one costs."""
CHANGES = {
    "deadline_seconds = 10": "deadline_seconds = 60",
    "concurrent_calls = 4": "concurrent_calls = 64",
    "concurrent_requests_per_model = 4": "concurrent_requests_per_model = 64",
    "retries_per_model = 0": "retries_per_model = 1",
    'low_confidence = "baseline"': 'low_confidence = "review"',
    "_usd = 1\n": "_usd = 100_000\n",
}
MODEL = """
[[models]]
name = "{name}"
provider = "openai-compatible"
model = "{name}"
base_url = "{address}"
destination = "vendor"
max_output_tokens = 100
input_usd_per_million = 10
output_usd_per_million = 100
"""


@dataclass
class Storm:
    """What the clients saw.

    Args:
        responses: By the number of the question; None where the replica died with the call.
        seconds: How long each answer took.
    """

    responses: dict[int, httpx2.Response | None] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    wall: float = 0.0


def text_of(number: int) -> str:
    """Return a question; all have the same length, and for a third of them the baseline is not sure."""
    return f"{'why' if number % 3 == 0 else 'and'} number {number:06}?"


async def make(storm: Storm, requests: int, fleet: list[Replica], key: str) -> None:
    """Send the requests, kill a replica on the way, and start it again."""
    numbers, begun = iter(range(1, requests + 1)), time.monotonic()
    headers = {"Authorization": f"Bearer {key}"}
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx2.AsyncClient(headers=headers, timeout=90, limits=limits) as client:
        clients = [asyncio.create_task(_send(storm, numbers, fleet, client)) for _ in range(IN_FLIGHT)]
        await _until(lambda: len(storm.responses) >= requests * KILLED_AFTER)
        fleet[0].kill()
        await _until(lambda: len(storm.responses) >= requests * RESTARTED_AFTER)
        fleet[0].start()
        await asyncio.to_thread(fleet[0].wait)
        await asyncio.gather(*clients)
    storm.wall = time.monotonic() - begun


async def _send(storm: Storm, numbers: Iterator[int], fleet: list[Replica], client: httpx2.AsyncClient) -> None:
    for number in numbers:
        begun = time.monotonic()
        storm.responses[number] = await _ask(client, fleet, number)
        storm.seconds.append(time.monotonic() - begun)


async def _ask(client: httpx2.AsyncClient, fleet: list[Replica], number: int) -> httpx2.Response | None:
    """Ask the next replica in turn, as a load balancer does: a connection that is refused goes to another one."""
    for turn in range(len(fleet)):
        address = fleet[(number + turn) % len(fleet)].address
        try:
            return await client.post(f"{address}/v1/echo", json={"text": text_of(number)})
        except httpx2.ConnectError:
            continue
        except httpx2.TransportError:
            return None
    raise AssertionError("no replica takes calls")


async def _until(so_far: Callable[[], bool]) -> None:
    while not so_far():  # noqa: ASYNC110 - many clients write it
        await asyncio.sleep(0.01)


def run(requests: int, server: Server, root: Path) -> tuple[Storm, Audit]:
    """Make a storm of so many requests on a fresh database of the server, and audit what it left."""
    url, books = server.fresh(), Books(drops=frozenset({PROBE}))
    with faulty_vendor() as vendor:
        write_stormy_repository(root, vendor.url("storm", books.behave), CHANGES)
        key = asyncio.run(new_key(url))
        with replicas(root, REPLICAS, CHASSIS_DATABASE_URL=url) as fleet:
            storm = Storm()
            worst = asyncio.run(_probed(storm, fleet, key, books, url))
            asyncio.run(make(storm, requests, fleet, key))
            codes = [replica.stop() for replica in fleet]
    assert codes == [0] * REPLICAS
    logs = [log for replica in fleet for log in replica.logs]
    return storm, asyncio.run(audited(storm.responses, books, worst, logs, url))


def write_stormy_repository(root: Path, address: str, changes: Mapping[str, str]) -> None:
    """Write a team's repository with two models at the same address, and with changed lines in its constraints."""
    write_repository(root)
    constraints = CONSTRAINTS
    for before, after in changes.items():
        assert before in constraints
        constraints = constraints.replace(before, after)
    vendor = '[destinations.vendor]\nclasses = ["public"]\nredact = []\n'
    models = "".join(MODEL.format(name=name, address=address) for name in ("first", "second"))
    (root / "constraints.toml").write_text(constraints + vendor + models)
    (root / ".env").write_text("OPENAI_COMPATIBLE_API_KEY=key\n")
    (root / "pyproject.toml").write_text(
        '[project]\nname = "stormy"\nversion = "1"\n[tool.chassis]\ntask = "sample_task:TASK"\n'
    )


async def new_key(url: str) -> str:
    """Create a caller's key in a database."""
    database = await open_database(url, Path())
    try:
        return await ApiKeys(database).create("storm")
    finally:
        await database.close()


async def _probed(storm: Storm, fleet: list[Replica], key: str, books: Books, url: str) -> int:
    """Return what a dropped request costs."""
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}, timeout=90) as client:
        storm.responses[PROBE] = await _ask(client, fleet, PROBE)
    database = await open_database(url, Path())
    try:
        [spent] = {balance.spent for balance in await Ledger(database).balances()}
    finally:
        await database.close()
    return spent // len(books.entries[PROBE])


def main() -> None:
    """Make the storm, and print what it left."""
    parser = argparse.ArgumentParser(prog="storm", description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    requests = parser.parse_args().requests
    print(f"{requests} requests, {IN_FLIGHT} in flight, {REPLICAS} replicas on PostgreSQL; one is killed and restarted")
    with started_server() as server, tempfile.TemporaryDirectory() as folder:
        storm, audit = run(requests, server, Path(folder))
    print(audit)
    slowest = sorted(storm.seconds)
    p50, p95 = (slowest[int(len(slowest) * share)] for share in (0.5, 0.95))
    print(f"speed:     {requests / storm.wall:.0f} requests/s, half in {p50:.2f} s, 95 of 100 in {p95:.2f} s")
    audit.check()


if __name__ == "__main__":
    main()
