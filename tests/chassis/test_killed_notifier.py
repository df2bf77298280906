"""Notifications reach a receiver that is down, refuses, hangs and dies, from a service that is killed in between."""

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from chassis.store.credentials import ApiKeys
from chassis.store.database import Database
from database_story import run_with_database
from hostile_receiver import Receiver, free_receiver
from sample_repository import CONSTRAINTS, write_repository
from serve_process import first_match, process

QUESTIONS = 8
"""That are asked while the receiver is down."""
KILLS = 3
"""Of the service, before a notification was sent, and as many while one is being sent."""
DEADLINE_SECONDS = 240.0
IMPATIENT = """
from datetime import timedelta
from chassis import notifier
from chassis.cli.main import main
from chassis.store import outbox
from chassis.web import server

server.POLL_SECONDS, notifier.TIMEOUT_SECONDS = 0.3, 1.0
outbox.BACKOFF, outbox.IN_PROGRESS = (timedelta(seconds=0.2), timedelta(seconds=1)), timedelta(seconds=4)
main()
"""
"""The service with pauses of less than seconds instead of minutes."""


@pytest.mark.slow
def test_every_notification_arrives(store_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By webhook and by email, whatever happened before: each at least once."""
    receiver = free_receiver(tmp_path)
    service = Service(write_service(tmp_path, receiver), store_url)
    tickets: set[str] = set()

    with service.running() as address:
        tickets |= {service.ask(address) for _ in range(QUESTIONS)}
        wait_for(lambda: service.failing() >= 2 * QUESTIONS)  # the receiver is down
        with receiver.that_will("refuse"):
            wait_for(lambda: len(set(receiver.lines("tried"))) == 2 * QUESTIONS)
        before = len(receiver.lines("tried"))
        with receiver.that_will("hang"):
            wait_for(lambda: len(receiver.lines("tried")) >= before + 2)
        for behavior in ("die_in_webhook", "die_in_email"):
            with receiver.that_will(behavior) as dying:
                assert dying.wait(DEADLINE_SECONDS) == -9
    refused = len(receiver.lines("tried"))

    unsent = 0
    for _ in range(KILLS):
        with service.running() as address:
            tickets.add(service.ask(address))  # committed, and then the service is killed
        unsent += service.unsent() >= 2
    with receiver.that_will("hang"):
        for _ in range(KILLS):
            tried = len(receiver.lines("tried"))
            with service.running():
                wait_for(lambda tried=tried: len(receiver.lines("tried")) > tried)
    cut = len(receiver.lines("tried")) - refused
    with receiver.that_will("accept_silently"), service.running():
        wait_for(lambda: len(receiver.lines("accepted")) > 0)  # and the service, killed, never knows

    with receiver.that_will("accept"), service.running():
        expected = {(channel, ticket) for ticket in tickets for channel in ("webhook", "email")}
        wait_for(lambda: arrived(receiver).keys() >= expected and service.unsent() == 0)
    counts = arrived(receiver)
    with capsys.disabled():
        print(
            f"\n{store_url.partition(':')[0]}: {len(tickets)} questions, {len(expected)} notifications; "
            f"{refused} attempts refused, hanging or cut off by a killed receiver; "
            f"{2 * KILLS + 1} kills of the service, {unsent} before it sent anything, {KILLS} while it was sending "
            f"({cut} attempts), 1 before it knew that it had; arrived: {len(counts)}, "
            f"more than once: {sum(count > 1 for count in counts.values())}, lost: {len(expected - counts.keys())}"
        )
    assert counts.keys() == expected
    assert max(counts.values()) > 1
    assert unsent == KILLS


def wait_for(happened: Callable[[], bool]) -> None:
    """Wait until something has happened."""
    give_up_at = time.monotonic() + DEADLINE_SECONDS
    while not happened():
        assert time.monotonic() < give_up_at
        time.sleep(0.05)


def arrived(receiver: Receiver) -> Counter[tuple[str, str]]:
    """Return how often the notification of a ticket was accepted, by channel."""
    return Counter(
        (channel, notification.replace(".", "/").rpartition("/")[2])
        for channel, notification in receiver.lines("accepted")
    )


def write_service(root: Path, receiver: Receiver) -> Path:
    """Write a service that refers each question which asks why, and notifies its team of it in both ways."""
    write_repository(root)
    task = '[project]\nname = "sample"\nversion = "1"\n[tool.chassis]\ntask = "sample_task:TASK"\n'
    (root / "pyproject.toml").write_text(task)
    constraints = CONSTRAINTS.replace('low_confidence = "baseline"', 'low_confidence = "review"')
    (root / "constraints.toml").write_text(constraints)
    notify = f'notify = ["webhook", "email"]\nwebhook = "http://127.0.0.1:{receiver.http_port}/hook"\n'
    ownership = root / "ownership.toml"
    ownership.write_text(ownership.read_text().replace("[teams.us]\n", f"[teams.us]\n{notify}", 1))
    settings = f"CHASSIS_WEBHOOK_SECRET=secret\nCHASSIS_SMTP_URL=smtp://127.0.0.1:{receiver.smtp_port}\n"
    (root / ".env").write_text(settings)
    return root


class Service:
    """A service that is killed as soon as a context ends."""

    def __init__(self, root: Path, url: str) -> None:
        self.root, self.url = root, url
        self.key = self._with_database(lambda database: ApiKeys(database).create("alice"))

    @contextmanager
    def running(self) -> Generator[str]:
        """Start it, give its address, and kill it with SIGKILL."""
        with process(self.root, "--port", "0", program=IMPATIENT, CHASSIS_DATABASE_URL=self.url) as started:
            assert started.stdout
            yield first_match(started.stdout, r"listens on (http://[\d.:]+)")

    def ask(self, address: str) -> str:
        """Ask what the service must decline, and return the ticket."""
        headers = {"Authorization": f"Bearer {self.key}"}
        response = httpx2.post(f"{address}/v1/echo", json={"text": "why?"}, headers=headers, timeout=60)
        assert response.status_code == 202
        return response.json()["referral_id"]

    def failing(self) -> int:
        """Return how many notifications have failed so far and are not sent."""
        return self._count("SELECT COUNT(*) AS n FROM notifications WHERE sent_at IS NULL AND error IS NOT NULL")

    def unsent(self) -> int:
        """Return how many notifications of open questions are not sent, two for each question."""
        sent = self._count("SELECT COUNT(*) AS n FROM notifications WHERE sent_at IS NOT NULL")
        return 2 * self._count("SELECT COUNT(*) AS n FROM referrals WHERE answered_at IS NULL") - sent

    def _count(self, query: str) -> int:
        async def count(database: Database) -> int:
            return (await database.fetch(query))[0]["n"]

        return self._with_database(count)

    def _with_database[T](self, work: Callable[[Database], Awaitable[T]]) -> T:
        return run_with_database(self.url, work, self.root)
