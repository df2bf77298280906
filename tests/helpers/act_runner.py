"""Runs the workflows of a generated repository with act: without container or network, with stubs for the actions."""

import json
import os
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from answer_sets import ROOT
from generated_project import git
from shell import Shell

STUBS = Path(__file__).parents[1] / "workflows/stubs"
PINS: dict[str, Any] = tomllib.loads((ROOT / "pins.toml").read_text(encoding="utf-8"))
BUILT_IN = "actions/checkout"
"""The only action that act implements itself; every other one needs a stub."""
REPOSITORY = "acme/acme-help"


@dataclass(frozen=True, slots=True)
class Forge:
    """A repository and its simulated forge, which records every request.

    Args:
        shell: Runs commands in the repository.
        scratch: A folder for artifacts, recorded requests and prepared responses.
    """

    shell: Shell
    scratch: Path

    def run_workflow(self, workflow: str, event: str, **payload: Any) -> subprocess.CompletedProcess[str]:
        """Commit all changes and run one workflow as if an event had happened."""
        git(self.shell.folder, "add", "--all")
        git(self.shell.folder, "commit", "--quiet", "--allow-empty", "--no-verify", "--message", "As it is")
        event_file = self.scratch / "event.json"
        event_file.write_text(json.dumps({"repository": {"full_name": REPOSITORY}, **payload}), encoding="utf-8")
        files = ("--workflows", f".github/workflows/{workflow}", "--eventpath", str(event_file))
        platform = ("--platform", f"{PINS['runners']['ubuntu']}=-self-hosted", "--secret", "GITHUB_TOKEN=none")
        return self.shell.try_run("act", event, *files, *platform, *_stubs())

    def requests(self) -> list[str]:
        """Return the requests to the forge, in order."""
        calls = self.scratch / "requests"
        return calls.read_text(encoding="utf-8").splitlines() if calls.exists() else []

    def last_body(self) -> str:
        """Return the text of the last issue, comment or pull request."""
        return (self.scratch / "body").read_text(encoding="utf-8")

    def respond_to_searches(self, response: str) -> None:
        """Set the response to every search."""
        (self.scratch / "search-response").write_text(response, encoding="utf-8")


def forge(project: Shell, scratch: Path) -> Forge:
    """Return the simulated forge of a project, without any requests yet."""
    path = f"{STUBS / 'bin'}{os.pathsep}{project.environment['PATH']}"
    shell = project.with_variables(
        PATH=path, CALLS=str(scratch), ARTIFACTS=str(scratch / "artifacts"), HOME=str(scratch)
    )
    return Forge(shell, scratch)


def restore(project: Shell, revision: str) -> None:
    """Reset a project to a commit."""
    git(project.folder, "reset", "--quiet", "--hard", revision)


def _stubs() -> list[str]:
    options: list[str] = []
    for name, pin in PINS["actions"].items():
        own_stub = STUBS / name.rpartition("/")[2]
        stub = own_stub if own_stub.exists() else STUBS / "action"
        if name != BUILT_IN:
            options += ["--local-repository", f"{name}@{pin['commit']}={stub}"]
    return options
