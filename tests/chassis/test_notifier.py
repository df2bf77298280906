"""Notifications: each arrives at least once, whatever the receiver does, and a failure is visible."""

import asyncio
import base64
import hashlib
import hmac
import json
import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from socket import create_server, getaddrinfo
from threading import Barrier
from typing import Any, override
from unittest.mock import patch

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message
from chassis.clock import now
from chassis.config.constraints import Callbacks
from chassis.config.ownership import Team
from chassis.config.project import Settings
from chassis.contract import FallbackReason
from chassis.notifier import Notifier
from chassis.store.database import Database
from chassis.store.opening import open_database
from chassis.store.outbox import BACKOFF, BATCH, IN_PROGRESS, Outbox
from chassis.store.quality_history import DriftAlarms
from chassis.store.review_queue import ReviewQueue
from chassis.store.reviews import Reviews
from chassis.telemetry.instruments import NO_INSTRUMENTS
from cli_runner import run
from pydantic import SecretStr
from telemetry_sinks import Lines
from webhook_receiver import receiving

KEY = b"a key of 24 random bytes"
SETTINGS = Settings(webhook_secret=SecretStr("whsec_" + base64.b64encode(KEY).decode()))
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)


def team(url: str | None) -> Team:
    """Return a team with a webhook, or with emails if there is no URL."""
    email = "team@example.com"
    if url is None:
        return Team(handle="@acme/ai", email=email, notify=frozenset({"email"}))
    return Team(handle="@acme/ai", email=email, notify=frozenset({"webhook"}), webhook=url)


@dataclass
class Office:
    """A review queue, and a notifier for it. Time stands still until a test moves it."""

    database: Database
    notifier: Notifier

    async def refer(self, due_hours: float = 8) -> str:
        """Refer a question, and return the ticket."""
        queue = ReviewQueue(self.database, due_hours)
        reason = FallbackReason.LOW_CONFIDENCE
        return (await queue.refer("echo", "alice", "c_1", reason, '{"text": "a secret"}', None)).referral_id

    async def send(self, after: timedelta = timedelta()) -> None:
        """Send what is due that long after now."""
        later = now() + after
        with patch("chassis.store.outbox.now", lambda: later):
            await self.notifier.send_due()


def tell(store_url: str, receiver: Team, story: Any, settings: Settings = SETTINGS) -> None:
    """Run a story with an office."""

    async def run_story() -> None:
        database = await open_database(store_url, Path())
        try:
            queue = ReviewQueue(database, due_hours=8)
            notifier = Notifier(
                "sample",
                receiver,
                Callbacks(),
                settings,
                Outbox(database),
                queue,
                DriftAlarms(database),
                NO_INSTRUMENTS,
            )
            await story(Office(database, notifier))
        finally:
            await database.close()

    asyncio.run(run_story())


def test_a_webhook_is_signed_and_quotes_no_question(store_url: str) -> None:
    """The receiver can compute the signature, and learns which referral waits but not what it says."""
    with receiving() as receiver:

        async def story(office: Office) -> None:
            ticket = await office.refer()
            for _ in range(3):
                await office.send()
            [(headers, body)] = receiver.got  # each notification is sent once if it is accepted
            message = json.loads(body)
            assert message["type"] == "referral.opened"
            assert (message["data"]["referral_id"], message["data"]["fallback_reason"]) == (ticket, "low_confidence")
            assert "secret" not in body
            assert "alice" not in body
            signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body}".encode()
            expected = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
            assert headers["webhook-signature"] == f"v1,{expected}"
            assert abs(int(headers["webhook-timestamp"]) - now().timestamp()) < 60

        tell(store_url, team(receiver.address), story)


def test_an_overdue_referral_is_a_notification_of_its_own(store_url: str) -> None:
    """A new and an overdue one are two; once it is answered, there are no more."""
    with receiving() as receiver:

        async def story(office: Office) -> None:
            await office.refer(due_hours=8)
            answered = await office.refer(due_hours=8)
            await office.send()
            await Reviews(office.database).answer(answered, "{}", "ann")
            await office.send(after=DAY)
            await office.send(after=DAY)

        tell(store_url, team(receiver.address), story)
        kinds = [json.loads(body)["type"] for _, body in receiver.got]
        assert kinds == ["referral.opened", "referral.opened", "referral.overdue"]
        assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 3


@pytest.mark.parametrize("status", [500, 503, 429, 404, 401, 302, 308])
def test_what_is_not_accepted_is_sent_again(store_url: str, lines: Lines, status: int) -> None:
    """The pause doubles. The id stays the same, so that the receiver can tell a repetition."""
    with receiving(status, status) as receiver:

        async def story(office: Office) -> None:
            await office.refer()
            await office.send()
            [failed] = await office.notifier.outbox.failing()
            assert (failed.attempts, failed.error is not None) == (1, True)
            await office.send(after=BACKOFF[0] - SECOND)
            assert len(receiver.got) == 1
            await office.send(after=BACKOFF[0] + SECOND)
            await office.send(after=2 * BACKOFF[0])
            assert len(receiver.got) == 2
            await office.send(after=DAY / 6)
            assert await office.notifier.outbox.failing() == []

        tell(store_url, team(receiver.address), story)
        assert len(receiver.got) == 3
        assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    events = [line["event"] for line in lines.parsed() if line["event"].startswith("notification.")]
    assert events == ["notification.failed", "notification.failed", "notification.sent"]


def test_a_receiver_that_is_down_loses_nothing(store_url: str, lines: Lines) -> None:
    """Several notifications wait until it is back."""
    with receiving() as receiver:
        address = receiver.address

    async def story(office: Office) -> None:
        for _ in range(3):
            await office.refer()
        await office.send()
        assert len(await office.notifier.outbox.failing()) == 3

    tell(store_url, team(address), story)
    assert "ConnectError" in lines.named("notification.failed")[0]["error"]

    with receiving() as receiver:

        async def back(office: Office) -> None:
            await office.send(after=2 * BACKOFF[0])

        tell(store_url, team(receiver.address), back)
        assert len(receiver.got) == 3


def test_a_killed_process_leaves_its_notifications_to_another(store_url: str) -> None:
    """Killed before or after the request, but before it noted that: another process sends it a minute later."""
    with receiving() as receiver:

        async def story(office: Office) -> None:
            await office.refer()
            await office.notifier.outbox.add_missing(["webhook"])
            assert len(await office.notifier.outbox.take_due()) == 1  # and this process is no more
            await office.send()
            assert receiver.got == []
            await office.send(after=IN_PROGRESS + SECOND)
            assert len(receiver.got) == 1

        tell(store_url, team(receiver.address), story)


def test_a_slow_receiver_delays_no_other_notification(store_url: str) -> None:
    """They are sent at once: this receiver answers none before it has them all."""
    with receiving() as receiver:
        receiver.barrier = Barrier(5, timeout=9)

        async def story(office: Office) -> None:
            for _ in range(5):
                await office.refer()
            await office.send()
            assert await office.notifier.outbox.failing() == []

        tell(store_url, team(receiver.address), story)
        assert len(receiver.got) == 5


def test_a_long_queue_is_sent_in_one_go(store_url: str) -> None:
    """However many batches it takes; what fails waits for its next attempt."""
    with receiving(*[500] * 30) as receiver:

        async def story(office: Office) -> None:
            for _ in range(2 * BATCH + 5):
                await office.refer()
            await office.send()
            assert len(await office.notifier.outbox.failing()) == 30

        tell(store_url, team(receiver.address), story)
        assert len(receiver.got) == 2 * BATCH + 5


class Mailbox(Message):
    """Keeps what it gets.

    Args:
        port: Where its server listens on this machine.
    """

    def __init__(self, port: int) -> None:
        super().__init__()
        self.url = SecretStr(f"smtp://127.0.0.1:{port}")
        self.got: list[Any] = []

    @override
    def handle_message(self, message: Any) -> None:
        self.got.append(message)


@contextmanager
def receiving_mail() -> Generator[Mailbox]:
    """Run a real SMTP server."""
    with create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    mailbox = Mailbox(port)
    server = Controller(mailbox, hostname="127.0.0.1", port=port)
    server.start()
    try:
        yield mailbox
    finally:
        server.stop()


@pytest.mark.parametrize("secret", ["whsec_not base64", "whsec_Zm9", "whsec_ä"])
def test_what_cannot_be_sent_at_all_delays_no_other(store_url: str, lines: Lines, secret: str) -> None:
    """A secret that is no key fails every webhook, and the emails arrive."""

    async def story(office: Office) -> None:
        await office.refer()
        await office.refer()
        await office.send()
        assert [failed.channel for failed in await office.notifier.outbox.failing()] == ["webhook", "webhook"]

    both = Team(
        handle="@acme/ai",
        email="team@example.com",
        notify=frozenset({"webhook", "email"}),
        webhook="http://127.0.0.1:9/hook",
    )
    with receiving_mail() as mailbox:
        settings = Settings(smtp_url=mailbox.url)
        settings = settings.model_copy(update={"webhook_secret": SecretStr(secret)})  # which no start would accept
        tell(store_url, both, story, settings)
    assert len(mailbox.got) == 2
    assert len(lines.named("notification.failed")) == 2


def test_two_processes_do_not_send_the_same(store_url: str) -> None:
    """Each notification is taken by one of them."""

    async def story(office: Office) -> None:
        for _ in range(10):
            await office.refer()
        other = await open_database(store_url, Path())
        boxes = office.notifier.outbox, Outbox(other)
        await asyncio.gather(*(box.add_missing(["webhook"]) for box in boxes))
        taken = await asyncio.gather(*(box.take_due() for box in boxes))
        await other.close()
        ids = [notification.id for share in taken for notification in share]
        assert (len(ids), len(set(ids))) == (10, 10)

    tell(store_url, team("http://127.0.0.1:9"), story)


def test_a_webhook_reaches_no_private_network_unless_declared(tmp_path: Path) -> None:
    """The rules for models hold for webhooks: the address is checked once the connection is open."""
    with receiving() as receiver:

        async def story(office: Office) -> None:
            await office.refer()
            await office.send()
            [failed] = await office.notifier.outbox.failing()
            assert "is at 127.0.0.1, a private address" in str(failed.error)

        host = "hooks.example.com"
        resolved = {host: "127.0.0.1", host.encode(): "127.0.0.1"}

        def resolve(name: Any, *rest: Any, **options: Any) -> Any:
            return getaddrinfo(resolved.get(name, name), *rest, **options)

        with patch("socket.getaddrinfo", resolve):
            url = receiver.address.replace("127.0.0.1", host)
            tell(f"sqlite:///{tmp_path}/store.db", team(url), story)
        assert receiver.got == []


def test_an_email_says_which_referral_waits(store_url: str) -> None:
    """A real SMTP server gets it."""
    tickets: list[str] = []

    async def story(office: Office) -> None:
        tickets.append(await office.refer())
        await office.send()
        assert await office.notifier.outbox.failing() == []

    with receiving_mail() as mailbox:
        tell(store_url, team(None), story, Settings(smtp_url=mailbox.url))
    [mail] = mailbox.got
    assert (mail["To"], mail["Subject"]) == ("team@example.com", "sample: A question waits for a person")
    assert tickets[0] in mail.get_payload()
    assert "secret" not in mail.get_payload()


def test_a_failing_mail_server_quotes_no_password(store_url: str, lines: Lines) -> None:
    """The error names its kind only."""

    async def story(office: Office) -> None:
        await office.refer()
        await office.send()
        [failed] = await office.notifier.outbox.failing()
        assert failed.error == "ConnectionRefusedError"

    tell(store_url, team(None), story, Settings(smtp_url=SecretStr("smtp://me:hunter2@127.0.0.1:9")))
    assert "hunter2" not in lines.getvalue()


def test_a_channel_without_its_secret_is_logged(store_url: str, lines: Lines) -> None:
    """Nothing is sent, and the log names the variable."""

    async def story(office: Office) -> None:
        await office.refer()
        office.notifier.log_unavailable()
        await office.send()

    with receiving() as receiver:
        tell(store_url, team(receiver.address), story, Settings())
        assert receiver.got == []
    [line] = lines.named("notification.unavailable")
    assert (line["channel"], line["reason"]) == ("webhook", "CHASSIS_WEBHOOK_SECRET is not set")


def test_failures_are_listed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command shows what failed, how often and why."""
    assert run("review", "notifications") == 0
    assert capsys.readouterr().out == "No notification has failed.\n"

    async def story(office: Office) -> None:
        await office.refer()
        await office.send()

    with receiving(503) as receiver:
        tell(f"sqlite:///{project}/var/service.db", team(receiver.address), story)

    assert run("review", "notifications") == 0
    shown = capsys.readouterr().out
    assert re.fullmatch(r"referral\.opened/webhook/r_\w{16}  1 attempt  the webhook answered 503\n", shown)


def test_quality_drift_is_notified_once_until_it_is_closed(store_url: str) -> None:
    """The alarm goes the same way as a referral. Closed before it could be sent, it is no longer news."""
    with receiving() as receiver:

        async def story(office: Office) -> None:
            alarms = office.notifier.drift_alarms
            await alarms.raise_alarm("echo", "reviews", now().date(), "18 of 120 reviewed drafts failed")
            for _ in range(2):
                await office.send()
            [alarm] = await alarms.all_alarms()
            [(_, body)] = receiver.got
            message = json.loads(body)
            assert message["type"] == "quality_drift.found"
            assert message["data"].items() >= {"alarm_id": alarm.id, "signal": "reviews", "task": "echo"}.items()
            assert message["data"]["summary"] == "18 of 120 reviewed drafts failed"
            await alarms.raise_alarm("echo", "feedback", now().date(), "too late")
            await office.notifier.outbox.add_missing(["webhook"])
            for each in await alarms.all_alarms():
                await alarms.close(each.id, accept=True)
            await office.send()
            assert len(receiver.got) == 1

        tell(store_url, team(receiver.address), story)


def test_an_email_says_that_quality_drifts(store_url: str) -> None:
    """Its text names the command that says what to do next."""

    async def story(office: Office) -> None:
        await office.notifier.drift_alarms.raise_alarm("echo", "reviews", now().date(), "18 of 120 failed")
        await office.send()

    with receiving_mail() as mailbox:
        tell(store_url, team(None), story, Settings(smtp_url=mailbox.url))
    [mail] = mailbox.got
    assert mail["Subject"] == "sample: Quality drift"
    assert "18 of 120 failed" in mail.get_payload(decode=True).decode()
    assert "uv run chassis drift" in mail.get_payload(decode=True).decode()
