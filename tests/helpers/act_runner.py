"""Runs workflows of a generated repository on this machine: no container, no network, and stubs for foreign actions."""

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
"""The one action that act itself knows; any other without a stub stops the run."""
REPOSITORY = "acme/acme-help"


@dataclass(frozen=True, slots=True)
class Forge:
    """A repository, and what its forge is asked.

    Args:
        shell: Where the repository is.
        scratch: Holds artifacts, and the calls of the forge's command line with what it answers.
    """

    shell: Shell
    scratch: Path

    def runs(self, workflow: str, event: str, **payload: Any) -> subprocess.CompletedProcess[str]:
        """Commit all there is and run one workflow as if something had happened."""
        git(self.shell.folder, "add", "--all")
        git(self.shell.folder, "commit", "--quiet", "--allow-empty", "--no-verify", "--message", "As it is")
        happened = self.scratch / "event.json"
        happened.write_text(json.dumps({"repository": {"full_name": REPOSITORY}, **payload}), encoding="utf-8")
        files = ("--workflows", f".github/workflows/{workflow}", "--eventpath", str(happened))
        where = ("--platform", f"{PINS['runners']['ubuntu']}=-self-hosted", "--secret", "GITHUB_TOKEN=none")
        return self.shell.tries("act", event, *files, *where, *_stubs())

    def asked(self) -> list[str]:
        """Return what the forge was asked, in order."""
        calls = self.scratch / "asked"
        return calls.read_text(encoding="utf-8").splitlines() if calls.exists() else []

    def told(self) -> str:
        """Return the last text that the forge was given."""
        return (self.scratch / "body").read_text(encoding="utf-8")

    def knows(self, answer: str) -> None:
        """Let the forge answer every search so."""
        (self.scratch / "known").write_text(answer, encoding="utf-8")


def forge(project: Shell, scratch: Path) -> Forge:
    """Return the forge of a project, about which nothing was ever asked."""
    path = f"{STUBS / 'bin'}{os.pathsep}{project.environment['PATH']}"
    shell = project.knowing(PATH=path, CALLS=str(scratch), ARTIFACTS=str(scratch / "artifacts"), HOME=str(scratch))
    return Forge(shell, scratch)


def restore(project: Shell, revision: str) -> None:
    """Put a project back to what it was."""
    git(project.folder, "reset", "--quiet", "--hard", revision)


def _stubs() -> list[str]:
    options: list[str] = []
    for name, pin in PINS["actions"].items():
        own = STUBS / name.rpartition("/")[2]
        stub = own if own.exists() else STUBS / "action"
        if name != BUILT_IN:
            options += ["--local-repository", f"{name}@{pin['commit']}={stub}"]
    return options
