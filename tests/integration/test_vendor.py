"""A vendor answers, or fails as vendors do: the caller has an answer in time, and no money stays held."""

import re
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from mock_vendor import USD_PER_MILLION, Vendor, vendor, write_constraints
from running_service import Service, serve
from shell import Shell, require_program

pytestmark = pytest.mark.slow

DEADLINE_SECONDS = 3
HANGING_SECONDS = 6
RETRY_AFTER_SECONDS = 60
QUESTIONS = iter(f"When does a day or a month begin, {count}?" for count in range(100))
"""Each is asked once, so that no reply comes from the cache."""


@pytest.fixture(scope="module")
def models_vendor(set_up_project: Shell) -> Generator[Vendor]:
    """Return a running vendor."""
    require_program("curl")
    with vendor(set_up_project) as running:
        yield running


@pytest.fixture
def asking(
    project: Shell, models_vendor: Vendor, template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Service]:
    """Return a service that asks the vendor first; a new one for each test, as a model that fails may rest for long."""
    scratch = tmp_path_factory.mktemp("other-answers")
    write_constraints(project.folder, template, scratch, models_vendor.address, DEADLINE_SECONDS)
    with serve(project.with_variables(OPENAI_COMPATIBLE_API_KEY="of-no-worth")) as service:
        yield service


def held(service: Service) -> set[str]:
    """Return the different amounts that `chassis budget` shows as held."""
    table = service.project.with_variables(COLUMNS="200").run(".venv/bin/chassis", "budget")
    amounts = [re.findall(r"\$[\d.]+", line) for line in table.splitlines() if line.startswith("│")]
    return {row[1] for row in amounts if row}


def test_an_answer(models_vendor: Vendor, asking: Service) -> None:
    """What the vendor says is the answer, under its name in the constraints, at its price."""
    models_vendor.will(type="reply", text="A day begins at midnight in UTC.")
    reply = asking.ask(next(QUESTIONS))
    body, [line] = reply.body, asking.logged("call.finished")
    assert (reply.status, body["answered_by"], body["degraded"], body["fallback_reason"]) == (200, "own", False, None)
    assert body["answer"]["text"] == "A day begins at midnight in UTC."
    tokens = line["input_tokens"] + line["output_tokens"]
    assert min(line["input_tokens"], line["output_tokens"]) > 0
    assert body["cost_usd"] == pytest.approx(tokens * USD_PER_MILLION / 1e6)
    assert held(asking) == {"$0.00"}


@pytest.mark.parametrize(
    "failure",
    [
        {"type": "fail", "status": 429, "retry_after": RETRY_AFTER_SECONDS},
        {"type": "fail", "status": 500},
        {"type": "fail", "status": 401},
        {"type": "delay", "seconds": HANGING_SECONDS},
    ],
    ids=["too many requests", "server error", "wrong key", "hangs"],
)
def test_a_failure(models_vendor: Vendor, asking: Service, failure: dict[str, Any]) -> None:
    """The baseline answers within the deadline and says why; the vendor was asked once and complains of nothing."""
    models_vendor.will(**failure)
    started = time.monotonic()
    body = asking.ask(next(QUESTIONS)).body
    *_, line = asking.logged("call.finished")
    assert time.monotonic() - started < RETRY_AFTER_SECONDS  # not the deadline, as a busy machine may need longer
    assert (body["answered_by"], body["degraded"], body["fallback_reason"]) == ("baseline", True, "models_failed")
    assert "UTC" in body["answer"]["text"]
    assert (line["call_id"], line["attempts"]) == (body["call_id"], 1)
    assert held(asking) == {"$0.00"}
    assert models_vendor.complaints() == []


def test_a_caller_who_hangs_up(models_vendor: Vendor, asking: Service) -> None:
    """Money that was held for a caller who no longer waits is settled all the same."""
    models_vendor.will(type="delay", seconds=HANGING_SECONDS)
    finished = len(asking.logged("call.finished"))
    hung_up = asking.project.try_run(
        *("curl", "--silent", "--max-time", "0.5", *asking.authorized(), f"{asking.address}/v1/help"),
        *("--json", f'{{"text": "{next(QUESTIONS)}"}}'),
    )
    assert hung_up.returncode == 28
    while len(asking.logged("call.finished")) == finished:
        time.sleep(0.05)
    assert held(asking) == {"$0.00"}
