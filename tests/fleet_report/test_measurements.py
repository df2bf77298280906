"""The measured success of services: read from Prometheus, shown in every format, and honest where there is none."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from rich.console import Console

from fleet.__main__ import fleet_json, parse_arguments
from fleet.measurements import OBSERVATIONS, VALUE, Measurement, PrometheusError, read_measurements
from fleet.render import fleet_page, fleet_table
from fleet.status import ServiceStatus, SuccessStatus

TODAY = date(2026, 12, 1)


@contextmanager
def server(body: str, status: int = 200) -> Generator[str]:
    """Serve one reply to every request, and return the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Reply."""
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in the base class
            """Stay silent."""

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{running.server_port}/"
    finally:
        running.shutdown()
        running.server_close()


def sample(name: str, job: str, metric: str, value: str) -> dict[str, Any]:
    """Return a sample as Prometheus writes it."""
    return {"metric": {"__name__": name, "job": job, "chassis_success_metric": metric}, "value": [1.7, value]}


def reply(*samples: dict[str, Any]) -> str:
    """Return the reply to a query."""
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": samples}})


def test_each_service_has_its_measurement() -> None:
    """By job and metric; a value whose observations are not known counts as of none."""
    samples = (
        sample(VALUE, "acme-help", "answered_without_person", "0.61"),
        sample(OBSERVATIONS, "acme-help", "answered_without_person", "412"),
        sample(VALUE, "billing", "p95_seconds", "2.378"),
        sample(OBSERVATIONS, "other", "p95_seconds", "3"),
    )
    with server(reply(*samples)) as url:
        assert read_measurements(url) == {
            ("acme-help", "answered_without_person"): Measurement(0.61, 412),
            ("billing", "p95_seconds"): Measurement(2.378, 0),
        }
    with server(reply()) as url:
        assert read_measurements(url) == {}


@pytest.mark.parametrize(
    ("body", "status", "problem"),
    [
        ("<html>", 200, "cannot be read"),
        ("{}", 200, "does not answer as Prometheus does"),
        ("[]", 200, "does not answer as Prometheus does"),
        ('{"data": {"result": [{"metric": null, "value": [1, "2"]}]}}', 200, "does not answer as Prometheus does"),
        ('{"data": {"result": [{"metric": [], "value": [1, "2"]}]}}', 200, "does not answer as Prometheus does"),
        ('{"data": {"result": ["metric"]}}', 200, "does not answer as Prometheus does"),
        ('{"data": {"result": [{"metric": {}}]}}', 200, "does not answer as Prometheus does"),
        (reply(sample(VALUE, "a", "b", "many")), 200, "cannot be read"),
        (reply(), 503, "503"),
    ],
)
def test_what_is_not_prometheus_is_named(
    body: str, status: int, problem: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the address; the command ends with exit code 2."""
    with server(body, status) as url:
        with pytest.raises(PrometheusError, match=problem):
            read_measurements(url)
        monkeypatch.setattr("sys.argv", ["fleet", ".", "--prometheus", url])
        with pytest.raises(SystemExit) as ended:
            parse_arguments()
    assert ended.value.code == 2
    assert url in capsys.readouterr().err


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf"])
def test_a_value_that_is_no_number_is_not_measured(value: str) -> None:
    """Prometheus writes NaN for a share of nothing."""
    with server(reply(sample(VALUE, "a", "b", value), sample(OBSERVATIONS, "a", "b", value))) as url:
        assert read_measurements(url) == {}
    with server(reply(sample(VALUE, "a", "b", "0.5"), sample(OBSERVATIONS, "a", "b", value))) as url:
        assert read_measurements(url) == {("a", "b"): Measurement(0.5, 0)}


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "file://prometheus", "ftp://a.example", "prometheus:9090", "data:,x"]
)
def test_what_is_no_address_of_a_server_is_named(url: str) -> None:
    """No file of this machine is read."""
    with pytest.raises(PrometheusError, match="is not an address of a server"):
        read_measurements(url)


def test_a_server_that_is_down_is_named() -> None:
    """As every address that nothing listens on."""
    with server("") as url:
        pass
    with pytest.raises(PrometheusError, match=f"Prometheus at {url} cannot be read: .*refused"):
        read_measurements(url)


FLEET = {
    "good": SuccessStatus("answered_without_person", 0.6, 0.3, 0.62, 412, target_reached=True, stop_rule_reached=False),
    "missed": SuccessStatus("p95_seconds", 2, 8, 3.4, 900, target_reached=False, stop_rule_reached=False),
    "stopped": SuccessStatus("positive_feedback", 0.6, 0.3, 0.2, 80, target_reached=False, stop_rule_reached=True),
    "unknown": SuccessStatus("cost_per_answer_usd", 0.01, 0.05, None, 0, target_reached=False, stop_rule_reached=False),
}
SHOWN = {
    "good": "62% of 60%",
    "missed": "3.4 s of 2 s",
    "stopped": "20% of 60%",
    "unknown": "not measured of $0.01",
}


def test_the_measured_success_is_in_every_format() -> None:
    """In the table, on the page and in the JSON; a stop rule that is reached is a concern."""
    fleet = [ServiceStatus(name, f"/{name}", success=success) for name, success in FLEET.items()]
    assert [status.concerns for status in fleet] == [(), (), ("stop rule reached",), ()]

    console = Console(width=200)
    with console.capture() as capture:
        console.print(fleet_table(fleet))
    table, page = capture.get(), fleet_page(fleet, TODAY)
    for name, text in SHOWN.items():
        value, _, target = text.partition(" of ")
        assert any(name in line and text in line for line in table.splitlines())
        assert f">{value}</span>" in page
        assert f"of {target}</small>" in page
    assert "1 stop rule reached" in table
    values = [each["success"]["value"] for each in json.loads(fleet_json(fleet, TODAY))["repositories"]]
    assert values == [0.62, 3.4, 0.2, None]
