"""A real Prometheus server that scrapes a service and evaluates its rules, as fast as a test can wait for."""

import re
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import yaml
from running_service import Service
from shell import TIMEOUT_SECONDS, Program, free_port, require_program

QUICK = "1s"
"""How often it looks, and how long an alert has to last: minutes in production."""

TIMES = re.compile(r"^(\s+(?:for|scrape_interval|evaluation_interval)): \w+$", re.MULTILINE)

PLACES = {"alerts": "rules/", "objectives": "rules/", "targets": ""}
"""Where the settings expect each file of `ops/`, as compose.yaml mounts them."""


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running server."""

    program: Program
    address: str

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return what an expression is now: labels as `metric`, and a `value`.

        Raises:
            httpx2.HTTPStatusError: It is no PromQL.
        """
        reply = httpx2.get(f"{self.address}/api/v1/query", params={"query": expression})
        return reply.raise_for_status().json()["data"]["result"]

    def sees(self, expression: str, within: float = TIMEOUT_SECONDS) -> None:
        """Wait until an expression has a value. What a counter counted before it was first seen is in no rate.

        Raises:
            AssertionError: It has none in time.
        """
        deadline = time.monotonic() + within
        while not self.query(expression):
            assert time.monotonic() < deadline, f"{expression} has no value"
            time.sleep(0.2)

    def firing(self) -> set[str]:
        """Return the names of the alerts that fire."""
        alerts = httpx2.get(f"{self.address}/api/v1/alerts").json()["data"]["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    def waits_for(self, alert: str, within: float = TIMEOUT_SECONDS) -> set[str]:
        """Wait until an alert fires, and return all that do.

        Raises:
            AssertionError: It does not in time.
        """
        deadline = time.monotonic() + within
        while alert not in (firing := self.firing()):
            assert time.monotonic() < deadline, f"{alert} does not fire; {sorted(firing)} do"
            time.sleep(0.5)
        return firing


@contextmanager
def prometheus(service: Service, folder: Path) -> Generator[Prometheus]:
    """Run a server with the project's own settings and rules as long as the context lasts; only times are shortened."""
    require_program("prometheus")
    project = service.project.folder
    compose = yaml.safe_load((project / "compose.yaml").read_text(encoding="utf-8"))
    texts = {"prometheus": compose["configs"]["prometheus"]["content"]}
    texts |= {name: (project / f"ops/{name}.yaml").read_text(encoding="utf-8") for name in PLACES}
    (folder / "rules").mkdir()
    for name, text in texts.items():
        quick = TIMES.sub(rf"\1: {QUICK}", text).replace("service:8000", service.address.removeprefix("http://"))
        (folder / f"{PLACES.get(name, '')}{name}.yaml").write_text(quick, encoding="utf-8")
    listen = f"127.0.0.1:{free_port()}"
    settings = (f"--config.file={folder}/prometheus.yaml", f"--storage.tsdb.path={folder}/data")
    with service.project.start("prometheus", *settings, f"--web.listen-address={listen}") as program:
        program.wait_for("Server is ready to receive web requests")
        yield Prometheus(program, f"http://{listen}")
