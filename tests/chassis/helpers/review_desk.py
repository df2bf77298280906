"""A service with referrals in its queue, and reviewers who open its page with a client or with a real browser."""

import re
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from chassis import Draft, Task
from chassis.clock import now
from chassis.contract import FallbackReason
from chassis.money.accounts import accounts_for
from chassis.store.quality_history import DriftAlarms, Measure, add_count
from chassis.testing import wire_for_tests
from chassis.usd import nano_usd
from live_server import NO_TLS, LiveService, serve_live
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from pydantic import BaseModel


class Question(BaseModel):
    """A question."""

    text: str


class Source(BaseModel):
    """Where an answer comes from."""

    title: str
    quote: str


class SourcedAnswer(BaseModel):
    """An answer with its sources."""

    text: str
    sources: list[Source] = []


def shout(question: Question) -> Draft[SourcedAnswer]:
    """Repeat the question, but never confidently."""
    return Draft(SourcedAnswer(text=question.text.upper(), sources=[Source(title="Echo", quote=question.text)]), 0.1)


async def never_run(question: Question, _model: object) -> Draft[SourcedAnswer]:
    """Answer like the baseline; the service has no model."""
    return shout(question)


TASK = Task(name="shout", takes=Question, gives=SourcedAnswer, run=never_run, baseline=shout)
REFUND = Draft(
    SourcedAnswer(text="Refunds take five days.", sources=[Source(title="Refunds", quote="A refund takes five days.")]),
    confidence=0.31,
)


@dataclass
class Desk:
    """A running service, and what reviewers and callers do with it."""

    service: LiveService
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Return where the page is."""
        return f"{self.service.client.base_url}/review"

    def refer(self, text: str = "How long does a refund take?", draft: Draft[SourcedAnswer] | None = REFUND) -> str:
        """Put a question of alice into the queue, and return the ticket."""
        question = Question(text=text).model_dump_json()
        referring = self.service.wiring.review_queue.refer(
            "shout", "alice", "c_1", FallbackReason.LOW_CONFIDENCE, question, draft
        )
        return self.service.run(referring).referral_id

    def key_of(self, reviewer: str) -> str:
        """Return the key of a reviewer."""
        if reviewer not in self.keys:
            self.keys[reviewer] = self.service.run(self.service.wiring.api_keys.create(reviewer, "reviewer"))
        return self.keys[reviewer]

    def clear(self) -> None:
        """Empty the queue."""
        self.service.run(self.service.wiring.database.execute("DELETE FROM referrals"))

    def client(self) -> httpx2.Client:
        """Return a client without a session."""
        return httpx2.Client(base_url=self.service.client.base_url, verify=NO_TLS)

    def signed_in(self, reviewer: str) -> httpx2.Client:
        """Return a client with a session."""
        client = self.client()
        client.post("/review/sign-in", data={"key": self.key_of(reviewer)})
        return client

    def fetched(self, ticket: str) -> dict[str, Any]:
        """Return what the caller gets for a ticket."""
        return self.service.client.get(
            f"/v1/referrals/{ticket}", headers={"Authorization": f"Bearer {self.service.key}"}
        ).json()


@contextmanager
def open_desk(root: Path, port: int = 0, **changes: dict[str, Any]) -> Generator[Desk]:
    """Serve the sample with sources until the context ends."""
    with serve_live(lambda: wire_for_tests(TASK, root, **changes), port) as service:
        yield Desk(service)


def fill_status_page(desk: Desk) -> None:
    """Let something have happened that the status page shows: calls, costs, verdicts and an alarm of quality drift."""

    async def fill() -> None:
        database = desk.service.wiring.database
        counts: tuple[tuple[Measure, str, int], ...] = (
            ("outcome", "answered", 90),
            ("outcome", "referred", 8),
            ("outcome", "failed", 2),
            ("answered_by", "first", 60),
            ("answered_by", "baseline", 30),
            ("cost", "nano_usd", 1_500_000_000),
            ("sample", "pass", 19),
            ("sample", "fail", 1),
            ("feedback", "positive", 3),
            ("feedback", "negative", 1),
        )
        for measure, value, count in counts:
            await add_count(database, "shout", measure, value, count)
        await DriftAlarms(database).raise_alarm("shout", "reviews", now().date(), "<b>5 % to 15 %</b>.")
        ledger, constraints = desk.service.wiring.ledger, desk.service.wiring.constraints
        reservation = await ledger.reserve(accounts_for("alice", constraints), nano_usd(9.5))
        await ledger.settle(reservation, nano_usd(9))

    desk.service.run(fill())


def csrf_token(page: str) -> str:
    """Return the token in the forms of a page."""
    return re.findall(r'name="csrf" value="([0-9a-f]{64})"', page)[0]


def send(client: httpx2.Client, ticket: str, action: str, **fields: Any) -> httpx2.Response:
    """Send the form of a referral, as the page of the client's session has it."""
    form = {"csrf": csrf_token(client.get("/review").text), "action": action, **fields}
    return client.post(f"/review/{ticket}", data=form)


@contextmanager
def chromium() -> Generator[Browser]:
    """Start Debian's Chromium without a window."""
    program = shutil.which("chromium")
    if program is None:
        pytest.fail("There is no chromium; install it: apt-get install chromium")
    with sync_playwright() as playwright:
        # It runs as root in CI, where its sandbox refuses to start. The pages come from this machine only.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def sign_in(desk: Desk, context: BrowserContext, reviewer: str = "ann") -> Page:
    """Sign in with the keyboard, and return the page with the next referral."""
    page = context.new_page()
    page.goto(desk.url)
    # The key has the focus once the page is drawn; keys that are typed before that are lost.
    page.locator("input:focus").fill(desk.key_of(reviewer))
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Sign out")
    page.wait_for_load_state()
    return page
