"""The review page in a real browser: keys, no JavaScript, hostile texts, accessibility, and what a window may do."""

from collections.abc import Generator
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe  # pyright: ignore[reportMissingTypeStubs]
from chassis import Draft
from chassis.store.reviews import Assessment
from playwright.sync_api import Browser, Page, ViewportSize
from review_desk import Desk, Source, SourcedAnswer, chromium, fill_status_page, open_desk, sign_in
from xss_payloads import PAYLOADS

pytestmark = pytest.mark.slow
driver: Any = Axe
"""axe-playwright-python has no types."""
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


@pytest.fixture(scope="module")
def browser() -> Generator[Browser]:
    """Start one browser; each test opens windows of its own."""
    with chromium() as started:
        yield started


@pytest.fixture
def desk(tmp_path: Path) -> Generator[Desk]:
    """Serve the sample."""
    with open_desk(tmp_path) as opened:
        yield opened


def shown(page: Page, ticket: str) -> None:
    """Wait until the page shows a referral, and its script listens."""
    page.wait_for_selector(f"#verdict[action='/review/{ticket}']")
    page.wait_for_load_state()


def test_forty_referrals_are_reviewed_by_keyboard(desk: Desk, browser: Browser) -> None:
    """A reviewer signs in, passes, corrects, defers, tags, notes and undoes without a mouse."""
    tickets = [desk.refer(f"Question {number}") for number in range(40)]
    page = sign_in(desk, browser.new_context())

    for number, ticket in enumerate(tickets):
        shown(page, ticket)
        if number % 2:
            page.keyboard.press("p")
            continue
        for key in ("1", "n"):
            page.keyboard.press(key)
        page.keyboard.type(f"p f d z {number}")  # letters in a field are no keys
        page.keyboard.press("Escape")
        page.keyboard.press("f")  # goes to the answer, because there is no correction yet
        page.wait_for_selector("text=Write the right answer here")
        page.keyboard.type(f"Correction {number}")
        page.keyboard.press("Control+Enter")
    page.wait_for_selector("text=All done")

    referrals = [desk.service.run(desk.service.wiring.review_queue.find(ticket)) for ticket in tickets]
    assert [referral and referral.verdict for referral in referrals] == ["fail", "pass"] * 20
    assert [referral.answer and referral.answer["text"] for referral in referrals[:2] if referral] == [
        "Correction 0",
        "Refunds take five days.",
    ]
    assert [(referral.tags, referral.note) for referral in referrals[:1] if referral] == [(["wrong"], "p f d z 0")]


def test_defer_undo_help_and_new_tags_have_keys(desk: Desk, browser: Browser) -> None:
    """`d`, `z`, `?` and `t` do what the page says."""
    first, second = desk.refer("one"), desk.refer("two")
    page = sign_in(desk, browser.new_context())

    page.keyboard.press("d")
    shown(page, second)
    page.keyboard.press("z")
    shown(page, first)
    page.keyboard.press("?")
    assert page.get_by_text("Defer it until after all the others.").is_visible()
    page.keyboard.press("?")
    assert not page.get_by_text("Defer it until after all the others.").is_visible()
    page.keyboard.press("t")
    page.keyboard.type("polite")
    page.keyboard.press("Escape")
    page.keyboard.press("p")
    shown(page, second)
    assert page.get_by_text("confidence was 0.31").is_visible()
    assert page.get_by_label("polite").is_visible()


def test_a_sampled_answer_fails_with_one_key(desk: Desk, browser: Browser) -> None:
    """No caller waits for a correction, so `f` does not ask for one."""
    ticket = desk.refer()
    desk.service.run(desk.service.wiring.database.execute("UPDATE referrals SET source = 'sample'"))
    page = sign_in(desk, browser.new_context())

    shown(page, ticket)
    page.keyboard.press("f")
    page.wait_for_selector("text=All done")
    referral = desk.service.run(desk.service.wiring.review_queue.find(ticket))
    assert referral
    assert (referral.verdict, referral.answer) == ("fail", None)


def test_the_page_works_without_javascript(desk: Desk, browser: Browser) -> None:
    """The keys are an extra: every button is a form."""
    first, second = desk.refer("one"), desk.refer("two")
    page = sign_in(desk, browser.new_context(java_script_enabled=False))

    shown(page, first)
    page.get_by_label("wrong source").check(force=True)
    page.get_by_label("Corrected answer").fill("Three days.")
    page.get_by_role("button", name="Fail").click()
    shown(page, second)
    page.get_by_role("button", name="Undo").click()
    shown(page, first)
    assert page.get_by_label("wrong source").is_checked()


def test_no_stored_text_runs_or_loads_anything(desk: Desk, browser: Browser) -> None:
    """Each payload is in the question, the draft, the title and text of a source, a tag and the note."""
    assert len(PAYLOADS) >= 60
    context = browser.new_context()
    page = sign_in(desk, context)
    requests, violations = list[str](), list[str]()
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: violations.append(message.text))
    page.on("dialog", lambda dialog: violations.append(dialog.message))
    for payload in PAYLOADS:
        draft = Draft(SourcedAnswer(text=payload, sources=[Source(title=payload, quote=payload + payload)]), 0.1)
        ticket = desk.refer(payload, draft)
        answer = SourcedAnswer(text=payload).model_dump_json()
        # Answered and undone, so that the page shows the tag and the note.
        assessment = Assessment(tags=(payload[:40],), note=payload)
        desk.service.run(desk.service.wiring.reviews.answer(ticket, answer, "ann", assessment))
        desk.service.run(desk.service.wiring.reviews.undo(ticket, "ann"))
        requests.clear()
        page.goto(desk.url)

        assert page.locator("#verdict").get_attribute("action") == f"/review/{ticket}"
        assert page.locator(".question .text").text_content() == payload
        assert page.locator("section:has(#draft-title) .text").text_content() == payload
        assert page.locator(".sources b").text_content() == payload
        assert page.locator(".sources q").text_content() == payload + payload
        assert page.get_by_label("Note").input_value() == payload
        assert (
            page.locator(".tag").filter(has=page.locator(":checked")).first.locator("span").text_content()
            == payload[:40]
        )
        assert page.locator("img, iframe, object, embed, svg, math, video, audio, base, link").count() == 0
        assert page.evaluate("document.scripts.length + document.styleSheets.length") == 2
        assert (page.evaluate("window.ran"), requests, violations) == (None, [desk.url], [])
        page.keyboard.press("p")
        page.wait_for_selector("text=All done")


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_page_is_accessible(desk: Desk, browser: Browser, width: int, scheme: Literal["light", "dark"]) -> None:
    """axe-core finds no violation on any page, and nothing is wider than the window."""
    # Without the policy, because axe-core is a script that the test adds to the page.
    window = ViewportSize(width=width, height=844)
    context = browser.new_context(bypass_csp=True, viewport=window, color_scheme=scheme)
    page, axe = context.new_page(), driver()

    def check() -> None:
        assert axe.run(page).response["violations"] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width

    page.goto(desk.url)
    check()
    page = sign_in(desk, context)
    check()  # the queue is empty
    first = desk.refer()
    desk.refer("one", draft=None)
    page.goto(desk.url)
    page.get_by_label("incomplete").check(force=True)
    page.evaluate("document.getElementById('help').open = true")
    check()
    page.evaluate("document.getElementById('answer').value = ''")
    page.get_by_role("button", name="Fail").click()
    page.wait_for_selector("[role=alert]")
    check()
    page.goto(desk.url)
    page.keyboard.press("p")
    page.wait_for_selector("text=Passed")
    check()
    page.evaluate(f"document.getElementById('verdict').action = '/review/{first}'")
    page.get_by_role("button", name="Defer").click()
    page.wait_for_selector("text=cannot be changed")
    check()
    page.goto(f"{desk.url}/status")  # nothing has happened yet
    check()
    fill_status_page(desk)
    page.goto(f"{desk.url}/status")
    page.get_by_text("Numbers").first.click()
    assert page.locator("svg.plot").first.locator("rect").count() > 1
    check()
    page.get_by_role("link", name="What to do").click()
    page.wait_for_selector("text=The cause is fixed")
    check()
