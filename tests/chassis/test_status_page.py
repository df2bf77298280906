"""The status page over HTTP: who gets in, and whether its figures are those of the database."""

import json
import re
from collections.abc import Generator
from datetime import date, timedelta
from pathlib import Path

import pytest
from chassis.clock import now
from chassis.quality.accepted_runs import RateTrend, load_trends
from chassis.store.quality_history import DriftAlarms, add_count
from chassis.testing import ScriptedModel, wire_for_tests
from chassis.web.status import TREND_HEIGHT, BarPlot, TrendLine
from live_server import serve_live
from review_desk import TASK, Desk, csrf_token, fill_status_page, open_desk


@pytest.fixture
def desk(tmp_path: Path) -> Generator[Desk]:
    """Serve the sample with two models."""
    (tmp_path / ".copier-answers.yml").write_text("_commit: v1.4.0\n_src_path: gh:acme/template\n")
    models = ScriptedModel("one"), ScriptedModel("two")
    with serve_live(lambda: wire_for_tests(TASK, tmp_path, *models)) as service:
        yield Desk(service)


def text_of(page: str) -> str:
    """Return the text of a page, in one line."""
    return " ".join(re.sub(r"<style.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL).split())


def test_only_reviewers_see_the_page(desk: Desk) -> None:
    """Without a session it shows the sign-in. It loads nothing, runs nothing, and is never cached."""
    refused, shown = desk.client().get("/review/status"), desk.signed_in("ann").get("/review/status")

    assert (refused.status_code, "Reviewer key" in refused.text, "Budgets" in refused.text) == (401, True, False)
    assert (shown.status_code, "Budgets" in shown.text) == (200, True)
    assert shown.headers["Content-Security-Policy"].startswith("default-src 'none'; ")
    assert shown.headers["Cache-Control"] == "no-store"
    assert not re.search(r"<script|style=|(?:href|src)=\"(?!/review)", shown.text)


def test_the_page_shows_what_happened(desk: Desk) -> None:
    """Calls, fallbacks, referrals, budgets, breakers, the queue and versions have the figures of the database."""
    fill_status_page(desk)
    desk.refer()
    wiring = desk.service.wiring
    desk.service.run(wiring.database.execute("UPDATE referrals SET created_at = $1", later(hours=-26)))
    assert wiring.service.guard
    wiring.service.guard.candidates[1].breaker.record_failure("alice", 40)

    page = desk.signed_in("ann").get("/review/status").text
    text = text_of(page)

    assert "Calls 100 90% of all calls answered without a person" in text
    assert "Fallback 30% 30 not answered by the first model" in text
    assert "Callers who wait 1 the oldest for 1 d 2 h" in text
    assert "Right in the sample 95% of 20 reviewed at random; 0 left to review" in text
    assert "Positive feedback 75% of 4 ratings of callers" in text
    today = f"{now():%-d %b}"
    assert f"{today} 60 30 8 2" in text
    assert f"{today} $1.5" in text
    assert "Today $9.00 of $100.00" in text
    assert "alice today $9.00 of $10.00" in text
    assert re.search(r"model first closed model second open, next try in (40|39|3\d) s", text)
    assert "Service 1.0.0 Template v1.4.0" in text
    assert "No answer has two verdicts yet." in text
    assert "Quality drift in reviews since" in text
    assert "&lt;b&gt;5 % to 15 %&lt;/b&gt;" in page


def test_an_empty_service_has_a_page(tmp_path: Path) -> None:
    """Nothing is divided by zero, and no model has a key."""
    with open_desk(tmp_path) as empty:
        text = text_of(empty.signed_in("ann").get("/review/status").text)

    assert "Calls 0 – of all calls answered without a person" in text
    assert "No model has a key; the baseline answers." in text
    assert "Template unknown" in text


def test_old_days_are_not_read(desk: Desk) -> None:
    """The page shows the last 14 days, however long the service has been running."""
    for ago, calls in ((13, 5), (14, 7), (400, 11)):
        day = now().date() - timedelta(days=ago)
        desk.service.run(add_count(desk.service.wiring.database, "shout", "outcome", "answered", calls, day))

    assert "Calls 5 100%" in text_of(desk.signed_in("ann").get("/review/status").text)


def later(hours: float) -> str:
    """Return a timestamp so many hours from now."""
    return (now() + timedelta(hours=hours)).isoformat()


@pytest.mark.parametrize(
    ("highest", "prefix", "labels"),
    [
        (0, "", ["0", "1"]),
        (1, "", ["0", "1"]),
        (7, "", ["0", "2", "4", "6", "8"]),
        (100, "", ["0", "50", "100"]),
        (101, "", ["0", "50", "100", "150"]),
        (4300, "", ["0", "2k", "4k", "6k"]),
        (0.0031, "$", ["$0", "$0.001", "$0.002", "$0.003", "$0.004"]),
        (1.2, "$", ["$0", "$0.50", "$1.00", "$1.50"]),
    ],
)
def test_the_lines_of_a_plot_have_round_numbers(highest: float, prefix: str, labels: list[str]) -> None:
    """No bar is higher than the plot, and the highest fills at least half of it."""
    plot = BarPlot([date(2026, 1, 1)], ["a", "b"], {"a": [highest / 2], "b": [highest / 2]}, prefix)

    assert [label for _, label in plot.lines()] == labels
    assert plot.highest <= plot.top
    heights = [bar.height for bar in plot.bars()]
    assert sum(heights) == pytest.approx(plot.y(0) - plot.y(highest), abs=0.2)


def test_success_is_measured_against_its_target(desk: Desk) -> None:
    """The value, its target and its stop rule; the rule only counts with enough observations."""
    fill_status_page(desk)
    page = text_of(desk.signed_in("ann").get("/review/status").text)

    assert "91.8% answered without a person, of calls answered or referred State target reached Observations 98" in page
    assert "Target 60% Stop at 30%" in page

    counting = add_count(desk.service.wiring.database, "shout", "outcome", "referred", 300)
    desk.service.run(counting)
    assert "22.6% answered without a person, of calls answered or referred State stop rule reached" in text_of(
        desk.signed_in("ann").get("/review/status").text
    )


def test_evidence_of_drift_is_shown_before_an_alarm(desk: Desk) -> None:
    """Each signal has its state and its figures; the alarms are raised in the background."""
    for ago in range(60):
        day = now().date() - timedelta(days=ago)
        for verdict, count in (("fail", 8 if ago < 8 else 1), ("pass", 12 if ago < 8 else 19)):
            desk.service.run(add_count(desk.service.wiring.database, "shout", "sample", verdict, count, day))
    page = text_of(desk.signed_in("ann").get("/review/status").text)

    assert "Samples alarm 64 of 160 (40.0%) answers in the random sample failed since" in page
    assert "Feedback collecting observed so far: 0" in page


def accept_run(root: Path, suite: str, day: str, **rates: float) -> None:
    """Add a line to the history of a suite."""
    history = root / f"evals/accepted/{suite}/history.jsonl"
    history.parent.mkdir(parents=True, exist_ok=True)
    with history.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"started": f"{day}T10:00:00Z", "rates": rates}) + "\n")


def test_accepted_runs_show_a_trend(desk: Desk, tmp_path: Path) -> None:
    """The last rate of each evaluator, and its difference to the run before. A damaged line is left out."""
    assert "There is no accepted run" in desk.signed_in("ann").get("/review/status").text

    accept_run(tmp_path, "answers", "2026-05-01", right=0.70)
    with (tmp_path / "evals/accepted/answers/history.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(['{"started": 1}\n', "<<<<<<< HEAD\n", "[]\n", '{"started": "today", "rates": {}}\n', "\n"])
    accept_run(tmp_path, "answers", "2026-06-01", right=0.75, polite=0.5)
    accept_run(tmp_path, "attacks", "2026-06-01", declined=1)
    page = text_of(desk.signed_in("ann").get("/review/status").text)

    assert "answers / polite 50.0% the first run, on 1 Jun 2026" in page
    assert "answers / right 75.0% +5.0 points on 1 Jun 2026, 2 runs" in page
    assert "attacks / declined 100.0% the first run, on 1 Jun 2026" in page


def test_the_accepted_runs_of_the_starter_are_readable() -> None:
    """What `chassis evals accept` writes is what the status page reads."""
    starter = Path(__file__).parents[2] / "template/{{ shape_answer }}"

    assert {trend.suite for trend in load_trends(starter)} == {"answers", "attacks"}
    assert all(0 <= rate <= 1 for trend in load_trends(starter) for rate in trend.rates)


@pytest.mark.parametrize("rates", [(0.0,), (1.0, 1.0), (0.5, 0.51, 0.49), (0.0, 1.0), tuple(n / 20 for n in range(20))])
def test_the_line_of_a_rate_stays_in_its_box(rates: tuple[float, ...]) -> None:
    """And a change of one point is not drawn as the largest."""
    days = tuple(date(2026, 1, 1) for _ in rates)
    points = TrendLine(RateTrend("answers", "right", days, rates)).points

    assert all(0 <= x <= 100 and 0 <= y <= TREND_HEIGHT for x, y in points)
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    if max(rates) - min(rates) < 0.05:
        assert max(y for _, y in points) - min(y for _, y in points) < TREND_HEIGHT / 4


@pytest.fixture
def drifting(desk: Desk) -> str:
    """Let reviewed drafts become worse with a release, and return the alarm that the check raises."""

    async def drift() -> str:
        wiring = desk.service.wiring
        async with wiring.database.transaction() as tx:
            for ago in range(60):
                day, failed = now().date() - timedelta(days=ago), 8 if ago < 8 else 1
                await add_count(tx, "shout", "review", "fail", failed, day)
                await add_count(tx, "shout", "review", "pass", 20 - failed, day)
                await add_count(tx, "shout", "release", "1.1.0" if ago < 8 else "1.0.0", 1, day)
        await wiring.drift_watch.check(wiring.telemetry.instruments)
        [alarm] = await DriftAlarms(wiring.database).open_alarms()
        return alarm.id

    return desk.service.run(drift())


def test_an_alarm_is_an_item_of_the_queue(desk: Desk, drifting: str) -> None:
    """It comes after the callers who wait, with its evidence, the likely cause, and what to do next."""
    ann = desk.signed_in("ann")
    desk.refer("one")
    first = ann.get("/review").text
    assert "1 drift alarm" in text_of(first)
    assert f'href="/review/alarms/{drifting}"' in first
    assert "The cause is fixed" not in first

    desk.clear()
    item, direct = (text_of(ann.get(path).text) for path in ("/review", f"/review/alarms/{drifting}"))
    for text in (item, direct):
        assert "64 of 160 (40.0%) reviewed drafts failed since" in text
        assert "Release 1.1.0, first used on" in text
        assert "compare both releases with `make evals`, and roll back if the old one is better" in text
        assert "The cause is fixed" in text


@pytest.mark.parametrize(("action", "accepted"), [("fixed", False), ("accept", True)])
def test_a_reviewer_closes_an_alarm(desk: Desk, drifting: str, action: str, *, accepted: bool) -> None:
    """Once, as the audit trail records; its notifications end with it, and the queue has no such item any more."""
    ann, bob = desk.signed_in("ann"), desk.signed_in("bob")
    token, others = csrf_token(ann.get("/review").text), csrf_token(bob.get("/review").text)
    path = f"/review/alarms/{drifting}"

    assert ann.post(path, data={"action": action}).status_code == 403
    assert ann.post(path, data={"csrf": token, "action": "pass"}).status_code == 422
    assert desk.client().post(path, data={"csrf": token, "action": action}).status_code == 401
    assert "The cause is fixed" in ann.get("/review").text
    closed = ann.post(path, data={"csrf": token, "action": action})
    assert (closed.status_code, closed.headers["Location"]) == (303, "/review")
    assert bob.post(path, data={"csrf": others, "action": action}).status_code == 404
    assert [ann.get(page).status_code for page in (path, "/review/alarms/d_0", "/review/alarms/'")] == [404] * 3

    assert "All done" in ann.get("/review").text
    database = desk.service.wiring.database
    [alarm] = desk.service.run(DriftAlarms(database).all_alarms())
    assert (alarm.closed_at is not None, alarm.accepted) == (True, accepted)
    [event] = desk.service.run(database.fetch("SELECT * FROM review_events WHERE action = 'alarm_closed'"))
    assert (event["reviewer"], json.loads(event["details"])) == ("ann", {"alarm_id": drifting, "accepted": accepted})


def test_an_alarm_is_escaped(desk: Desk) -> None:
    """Its figures are ours, but no page trusts a row. An alarm of another task has no evidence here."""
    fill_status_page(desk)
    page = desk.signed_in("ann").get("/review").text

    assert "&lt;b&gt;5 % to 15 %&lt;/b&gt;" in page
    assert "<b>5 %" not in page
