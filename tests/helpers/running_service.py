"""A generated service that runs, and curl to knock at its door."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from shell import Program, Shell


@dataclass(frozen=True, slots=True)
class Reply:
    """What curl got."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def body(self) -> Any:
        """The body, which must be JSON."""
        return json.loads(self.text)


@dataclass(frozen=True, slots=True)
class Service:
    """A service in production: its log is JSON, and its key was made on the command line.

    Args:
        project: Where its project is.
        program: Its process.
        address: Where it listens.
        key: Lets a caller in.
    """

    project: Shell
    program: Program
    address: str
    key: str

    def curl(self, path: str, *options: str) -> Reply:
        """Request one address of the service."""
        seen = '%{stderr}{"status": %{response_code}, "headers": %{header_json}}'
        limits = ("--silent", "--max-time", "60", "--write-out", seen)
        done = self.project.try_run("curl", *limits, *options, self.address + path)
        assert done.returncode == 0, f"curl exits with {done.returncode} for {path}:\n{self.program.output()}"
        facts = json.loads(done.stderr)
        headers = {name.lower(): value for name, [value, *_] in facts["headers"].items()}
        return Reply(facts["status"], headers, done.stdout)

    def ask(self, text: str, *options: str) -> Reply:
        """Ask the task a question, with the key."""
        return self.curl("/v1/help", *self.authorized(), "--json", json.dumps({"text": text}), *options)

    def authorized(self) -> tuple[str, str]:
        """Return the option of curl that shows the key."""
        return ("--header", f"Authorization: Bearer {self.key}")

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Return every log line of one event."""
        lines = [json.loads(line) for line in self.program.output().splitlines()]
        return [line for line in lines if line["event"] == event]


@contextmanager
def serve(project: Shell) -> Generator[Service]:
    """Serve a project on any free port, as long as the context lasts."""
    production = project.with_variables(CHASSIS_ENV="production")
    key = production.run(".venv/bin/chassis", "keys", "create", "tester").strip()
    with production.start(".venv/bin/chassis", "serve", "--port", "0") as program:
        address = program.wait_for(r'"event": "service.started".*"address": "([^"]+)"')
        yield Service(production, program, address, key)
