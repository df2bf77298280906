"""The human loop with real parts: a question that the service must decline, a person's answer, and its case."""

import base64
import json
from pathlib import Path

import pytest
from chassis.config.ownership import Team
from chassis.config.project import find_project
from chassis.wiring import wire
from cli_runner import run as chassis
from live_server import serve_live
from review_desk import Desk, chromium, sign_in
from sample_evaluation import GRADERS, run_and_accept, write_evaluation
from webhook_receiver import receiving

QUESTION, ANSWER = "why are refunds late?", "Because the bank needs five days."
BY_A_PERSON = GRADERS.replace("== case.expected", "== getattr(case.expected, 'get', lambda _: case.expected)('text')")
"""The graders of the sample, which also understand the answers of people."""


@pytest.mark.slow
def test_a_declined_question_becomes_a_case_that_fails_the_gate(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """202, webhook, review by keyboard alone, poll, callback, promoted case, red gate."""
    write_evaluation(project)
    (project / "evals/graders.py").write_text(BY_A_PERSON)
    run_and_accept(project, "answers", "attacks")
    monkeypatch.setenv("CHASSIS_WEBHOOK_SECRET", "whsec_" + base64.b64encode(b"a key of 24 random bytes").decode())
    with receiving() as team_hook, receiving() as orders, chromium() as browser:
        file = project / "constraints.toml"
        file.write_text(f'{file.read_text()}\n[callbacks]\norigins = ["{orders.address.removesuffix("/hook")}"]\n')
        team = Team(handle="@acme/ai", email="ai@example.com", notify=frozenset({"webhook"}), webhook=team_hook.address)
        with serve_live(lambda: wire(find_project(project), owner=team)) as service:
            key = {"Authorization": f"Bearer {service.key}"}
            declined = service.ask(QUESTION)
            assert declined.status_code == 202
            ticket, location = declined.json()["referral_id"], declined.headers["location"]
            receipt = service.client.put(f"{location}/callback", json={"url": orders.address}, headers=key)
            assert receipt.status_code == 200

            service.run(service.wiring.notifier.send_due())
            [(_, notification)] = team_hook.got
            assert json.loads(notification)["data"]["referral_id"] == ticket
            assert QUESTION not in notification
            assert service.client.get(location, headers=key).json()["status"] == "open"

            page = sign_in(Desk(service), browser.new_context())
            page.wait_for_selector(f"#verdict[action='/review/{ticket}']")
            page.keyboard.press("f")  # goes to the answer, because there is no correction yet
            page.wait_for_selector("#answer:focus")
            page.keyboard.press("Control+A")
            page.keyboard.type(ANSWER)
            page.keyboard.press("Control+Enter")
            page.wait_for_selector("text=All done")

            waiting = browser.new_context(extra_http_headers=key).new_page()
            waiting.goto(f"{service.client.base_url}{location}")
            assert waiting.get_by_text(ANSWER).is_visible()
            assert service.client.get(location, headers=key).json()["answer"] == {"text": ANSWER}
            service.run(service.wiring.notifier.send_due())
            [(_, callback)] = orders.got
            assert json.loads(callback)["data"]["answer"] == {"text": ANSWER}

    assert chassis("evals", "run", "answers") == 0
    assert chassis("cases", "promote", "--to", "start", ticket) == 0
    assert chassis("evals", "run", "answers") == 1
    assert f"must-pass right: 1 of 2 cases fail: {ticket}" in " ".join(capsys.readouterr().out.split())
