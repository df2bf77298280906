"""A real Prometheus watches a real service: the dashboard shows something, and who must be called is called."""

import json
import re
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from mock_vendor import Vendor, vendor, write_constraints
from prometheus_server import Prometheus, prometheus
from running_service import Service, serve
from shell import TIMEOUT_SECONDS, Shell, require_program

from fleet.measurements import read_measurements

pytestmark = pytest.mark.slow

QUESTIONS = iter(f"When does a day or a month begin, {count}?" for count in range(1000))
"""Each is asked once, so that no reply comes from the cache."""
UNKNOWN = "How tall is Mount Everest?"
DASHBOARD = "ops/dashboard.json"


@pytest.fixture(scope="module")
def models_vendor(set_up_project: Shell) -> Generator[Vendor]:
    """Return a running vendor."""
    require_program("curl")
    with vendor(set_up_project) as running:
        yield running


@pytest.fixture(scope="module")
def served(
    project: Shell, models_vendor: Vendor, template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Service]:
    """Return a service that asks the vendor first."""
    scratch = tmp_path_factory.mktemp("other-answers")
    write_constraints(project.folder, template, scratch, models_vendor.address, 5)
    with serve(project.with_variables(OPENAI_COMPATIBLE_API_KEY="of-no-worth")) as service:
        yield service


@pytest.fixture(scope="module")
def watching(served: Service, tmp_path_factory: pytest.TempPathFactory) -> Generator[Prometheus]:
    """Return a server that watches the service."""
    with prometheus(served, tmp_path_factory.mktemp("prometheus")) as running:
        yield running


@pytest.fixture(scope="module")
def eventful(served: Service, models_vendor: Vendor, watching: Prometheus) -> Prometheus:
    """Return that server after an hour of everything: answers, a vendor that breaks, a person, and the switch."""
    models_vendor.will(type="reply", text="A day begins at midnight in UTC.")
    for _ in range(3):
        assert served.ask(next(QUESTIONS)).status == 200
    for failing in range(30):
        models_vendor.will(type="fail", status=500)
        assert served.ask(next(QUESTIONS)).body["degraded"]
        if not failing:
            watching.sees("chassis_calls_degraded_total")
    assert served.ask(UNKNOWN).status == 202
    served.project.run(".venv/bin/chassis", "models", "off", "--reason", "a drill")
    time.sleep(1.5)
    assert served.ask(next(QUESTIONS)).body["fallback_reason"] == "models_off"
    return watching


def panels(project: Path) -> Generator[tuple[str, str, str]]:
    """Yield title, query and legend of everything on the dashboard, as Grafana would ask it."""
    for panel in json.loads((project / DASHBOARD).read_text(encoding="utf-8"))["panels"]:
        for target in panel.get("targets", []):
            query = target["expr"].replace("$job", "acme-help").replace("$__rate_interval", "5m")
            yield panel["title"], query, target["legendFormat"]


def silent(watching: Prometheus, shown: list[tuple[str, str, str]]) -> list[str]:
    """Return the queries without data, and those whose legend names a label that no series has."""
    return [query for _, query, legend in shown if not _speaks(watching.query(query), legend)]


def _speaks(series: list[dict[str, Any]], legend: str) -> bool:
    labels = re.findall(r"{{(\w+)}}", legend)
    return bool(series) and all(any(label in one["metric"] for one in series) for label in labels)


def test_every_panel_shows_something(eventful: Prometheus, project: Shell) -> None:
    """A query for a metric or a label that the service does not emit is an empty panel, and nobody notices."""
    shown = list(panels(project.folder))
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while quiet := silent(eventful, shown):
        assert time.monotonic() < deadline, quiet
        time.sleep(1)
    assert len(shown) > 20
    [query] = [query for _, query, legend in shown if legend == "{{chassis_outcome}}"]
    assert silent(eventful, [("", query.replace("chassis_calls", "chassis_answers"), "")])
    assert silent(eventful, [("", query, "{{chassis_result}}")])


def test_a_dead_model_calls_somebody(eventful: Prometheus) -> None:
    """Every caller had an answer, and it still does not look healthy; nor does what needs no call at all fire."""
    firing = eventful.waits_for("FallbackRateBurnsFast")
    assert {"ServiceDown", "DatabaseDown", "AvailabilityBurnsFast", "ObjectivesMissing", "BudgetUsedUp"}.isdisjoint(
        firing
    )
    assert "KillSwitchOn" in eventful.waits_for("KillSwitchOn")
    assert "CircuitBreakerOpen" in eventful.waits_for("CircuitBreakerOpen")


def test_the_fleet_report_reads_the_measured_success(eventful: Prometheus) -> None:
    """From the same server: the service exports it once a minute."""
    eventful.sees("chassis_success_observations > 30", within=150)

    measured = read_measurements(eventful.address)["acme-help", "answered_without_person"]

    assert 0 < measured.value < 1
    assert measured.observations > 30


def test_a_lost_database_calls_somebody(eventful: Prometheus, served: Service) -> None:
    """Its file disappears: the next look of the service at its gauges says so, and each request fails."""
    url = served.project.environment["CHASSIS_DATABASE_URL"]
    Path(url.removeprefix("sqlite:///")).unlink()
    for failing in range(40):
        assert served.ask(next(QUESTIONS)).status == 503
        if not failing:
            eventful.sees('http_server_request_duration_seconds_count{http_response_status_code="503"}')
    assert "DatabaseDown" in eventful.waits_for("DatabaseDown")
    assert "AvailabilityBurnsFast" in eventful.waits_for("AvailabilityBurnsFast")


def test_a_dead_service_calls_somebody(eventful: Prometheus, served: Service) -> None:
    """The last replica ends, and with it all that it could have said of itself."""
    served.program.stop()
    assert "ServiceDown" in eventful.waits_for("ServiceDown")
