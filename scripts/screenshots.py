"""Takes the screenshots of the review page and the status page in docs/images/, with Debian's Chromium."""

import json
import random
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Literal

from chassis import Draft
from chassis.clock import now
from chassis.money.accounts import accounts_for
from chassis.store.quality_history import Measure, add_count
from chassis.testing import ScriptedModel, wire_for_tests
from chassis.usd import nano_usd
from live_server import serve_live
from playwright.sync_api import Browser, ViewportSize
from review_desk import TASK, Desk, Source, SourcedAnswer, chromium, sign_in

FOLDER = Path(__file__).parents[1] / "docs/images"
HEIGHTS = {1280: 640, 390: 844}
DRAFT = Draft(
    SourcedAnswer(
        text="Refunds take five working days. For gift cards there is no refund.",
        sources=[
            Source(
                title="documents/returns.md · Refunds",
                quote="We refund the price within five working days after the bicycle has arrived in our workshop.",
            ),
            Source(title="documents/returns.md · Exceptions", quote="Gift cards and worn tires cannot be returned."),
        ],
    ),
    confidence=0.31,
)
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


ACCEPTED_RATES = {"answers": (0.71, 0.735, 0.73, 0.752, 0.759, 0.781), "attacks": (0.96, 0.96, 1.0)}
"""By suite, the rates of its accepted runs."""
DAYS, CHANGE = 70, 8
"""How long the sample has been running, and for how long its answers have been worse."""


def take(desk: Desk, browser: Browser, width: int, scheme: Literal["light", "dark"]) -> None:
    """Save the page of one referral and the status page as `review-WIDTH-SCHEME.png` and `status-WIDTH-SCHEME.png`."""
    window = ViewportSize(width=width, height=HEIGHTS[width])
    page = sign_in(desk, browser.new_context(viewport=window, color_scheme=scheme))
    page.screenshot(path=FOLDER / f"review-{width}-{scheme}.png")
    page.goto(f"{desk.url}/status")
    page.screenshot(path=FOLDER / f"status-{width}-{scheme}.png", full_page=True)


def accept_runs(root: Path) -> None:
    """Write the histories of two suites."""
    for suite, rates in ACCEPTED_RATES.items():
        history = root / f"evals/accepted/{suite}/history.jsonl"
        history.parent.mkdir(parents=True)
        runs = [{"started": f"2026-{month:02}-04T10:00:00Z", "rates": {"right": r}} for month, r in enumerate(rates, 6)]
        history.write_text("".join(json.dumps(run) + "\n" for run in runs), encoding="utf-8")


def counts_of_a_day(ago: int, rng: random.Random) -> Iterator[tuple[Measure, str, int]]:
    """Yield what is counted on one day; in the last ones people reject more answers of the sample."""
    answered, referred = rng.randint(80, 140), rng.randint(3, 12)
    yield "outcome", "answered", answered
    yield "outcome", "referred", referred
    yield "fallback_reason", "low_confidence", referred
    yield "answered_by", "first", answered * 4 // 5
    yield "answered_by", "baseline", answered - answered * 4 // 5
    yield "cost", "nano_usd", nano_usd(answered * rng.uniform(0.008, 0.015))
    failed = rng.randint(4, 6) if ago < CHANGE else rng.randint(0, 1)
    yield "sample", "fail", failed
    yield "sample", "pass", 10 - failed
    yield "feedback", "positive", rng.randint(5, 9)
    yield "feedback", "negative", rng.randint(0, 2)
    yield "release", "1.1.0" if ago < CHANGE else "1.0.0", answered


async def live(desk: Desk) -> None:
    """Let the service have run for a while, with a change for the worse."""
    wiring, rng = desk.service.wiring, random.Random(16)  # noqa: S311 - a sample
    async with wiring.database.transaction() as tx:
        for ago in range(DAYS):
            day = now().date() - timedelta(days=ago)
            for measure, value, count in counts_of_a_day(ago, rng):
                await add_count(tx, TASK.name, measure, value, count, day)
    reservation = await wiring.ledger.reserve(accounts_for("alice", wiring.constraints), nano_usd(9))
    await wiring.ledger.settle(reservation, nano_usd(8.4))
    await wiring.drift_watch.check(wiring.telemetry.instruments)


def main() -> None:
    """Serve a sample with a few referrals, and look at it in both schemes and widths."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        root = Path(folder)
        (root / ".copier-answers.yml").write_text("_commit: v1.0.0\n", encoding="utf-8")
        accept_runs(root)
        models = ScriptedModel("one"), ScriptedModel("two")
        with serve_live(lambda: wire_for_tests(TASK, root, *models)) as service:
            desk = Desk(service)
            service.run(live(desk))
            for text in (
                "How long does a refund take, and what about my gift card?",
                "Can I return a gift card?",
                "Do you deliver on Sundays?",
            ):
                desk.refer(text, DRAFT)
            for width in HEIGHTS:
                for scheme in SCHEMES:
                    take(desk, browser, width, scheme)


if __name__ == "__main__":
    main()
