"""The kill switch: what the service and its command show of it."""

import time
from pathlib import Path

import pytest
from chassis.store.kill_switch import REFRESH_SECONDS
from chassis.testing import ScriptedModel
from cli_runner import run
from live_server import serve_sample
from sample_repository import CONSTRAINTS


def test_probes_metrics_and_answers_show_the_kill_switch(tmp_path: Path) -> None:
    """While the models are off, the service stays ready, and the baseline answers as degraded."""
    with serve_sample(tmp_path, ScriptedModel("Four.")) as service:
        on = service.client.get("/readyz").json()
        service.run(service.wiring.kill_switch.turn_off("alice"))
        time.sleep(REFRESH_SECONDS)
        off, answer = service.client.get("/readyz").json(), service.ask("hello").json()
        page = service.client.get("/metrics").text

    assert (on, off) == ({"status": "ready", "models": "on"}, {"status": "ready", "models": "off"})
    assert (answer["answered_by"], answer["degraded"], answer["fallback_reason"]) == ("baseline", True, "models_off")
    assert [line.split()[-1] for line in page.splitlines() if line.startswith("chassis_kill_switch_on")] == ["1.0"]
    assert 'chassis_calls_degraded_total{chassis_answered_by="baseline",chassis_fallback_reason="models_off"' in page


def test_the_command_switches_models_off_and_on(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`chassis models` shows who switched the models off and why, or that the environment did."""
    (project / "constraints.toml").write_text(CONSTRAINTS)
    printed: list[str] = []
    for arguments in (("status",), ("off", "--by", "ann", "--reason", "bad words"), ("status",), ("on",), ("status",)):
        assert run("models", *arguments) == 0
        printed.append(capsys.readouterr().out.strip())
    monkeypatch.setenv("CHASSIS_MODELS_OFF", "1")
    run("models", "status")

    assert printed[0] == printed[3] == printed[4] == "The models are on."
    assert printed[1].startswith("The models are off. The baseline and people answer")
    assert printed[2].startswith("The models have been off since 20")
    assert printed[2].endswith("UTC, by ann: bad words")
    assert capsys.readouterr().out.strip() == "The models are off: CHASSIS_MODELS_OFF is set in this environment."
