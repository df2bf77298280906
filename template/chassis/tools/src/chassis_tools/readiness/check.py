"""What a check of the launch review is, and the repository that it reads.

The model is repo-review: a check is a small class that holds everything about it. repo-review itself is not used,
because it knows only pass, fail and skip: no levels, no `unknown`, no waivers that expire, no SARIF. Each file is read
when a check asks for it, and none of the team's code is run.
"""

import hashlib
import inspect
import json
import os
import shutil
import subprocess
import sysconfig
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from chassis.config.constraints import Constraints, RiskTier
from chassis.config.ownership import Ownership
from chassis.config.project import Project, find_project
from chassis.quality.success import SuccessMeasurement
from chassis_tools.evals.suites import Suite, load_suites
from chassis_tools.governance.file_contents import Decisions, load_decisions
from chassis_tools.governance.signoffs import SignOffStatus, load_signoffs, signoff_statuses

LINTER_TIMEOUT_SECONDS = 60


class CheckFailed(Exception):
    """A requirement is not met; the message is the evidence."""


class CheckUnknown(Exception):
    """It cannot be decided whether a requirement is met; the message says why."""


@dataclass(frozen=True, slots=True)
class PartialEvidence:
    """Evidence that a requirement is met, as far as the check can see.

    Args:
        text: What the check has read.
        unseen: What it cannot see, one phrase each.
    """

    text: str
    unseen: tuple[str, ...]


@dataclass(frozen=True)
class Repository:
    """One repository on one day. What reads a missing or invalid file raises `ConfigError`, unless it says otherwise.

    Args:
        root: Its folder.
        today: The date that dates in the repository are compared with.
        measured_success: The measured value of its success metric, if its database was read.
    """

    root: Path
    today: date
    measured_success: SuccessMeasurement | None = None

    def text(self, path: str) -> str:
        """Return the content of a file.

        Raises:
            CheckFailed: The file does not exist.
            CheckUnknown: The file is not UTF-8 text, or reading it would never end.
        """
        if (self.root / path).exists() and not (self.root / path).is_file():
            raise CheckUnknown(f"{path} is not a regular file")
        try:
            return (self.root / path).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise CheckFailed(f"{path} does not exist") from None
        except UnicodeDecodeError as error:
            raise CheckUnknown(f"{path} is not UTF-8 text ({error.reason})") from None

    @cached_property
    def project(self) -> Project:
        """Return the settings in `pyproject.toml`."""
        return find_project(self.root)

    @cached_property
    def decisions(self) -> Decisions:
        """Return `constraints.toml` and `ownership.toml`."""
        return load_decisions(self.project)

    @property
    def constraints(self) -> Constraints:
        """Return `constraints.toml`."""
        return self.decisions.constraints

    @property
    def ownership(self) -> Ownership:
        """Return `ownership.toml`."""
        return self.decisions.ownership

    @cached_property
    def signoffs(self) -> dict[str, SignOffStatus]:
        """Return the status of each sign-off, by kind."""
        return signoff_statuses(self.constraints, load_signoffs(self.root), self.today)

    @cached_property
    def suites(self) -> Mapping[str, Suite]:
        """Return the suites in `evals/suites.toml`, by name."""
        return load_suites(self.root).suites

    def lint(self, linter: str, *arguments: str, reads: str) -> list[dict[str, Any]]:
        """Run a linter in the repository and return its findings, whose paths begin at the root.

        It runs once for the same files, also of another repository: those of a fleet have the same workflows. Where
        something is no regular file, such as a link, it runs each time.

        Args:
            linter: The program.
            arguments: With them it must print JSON, change nothing, and exit with 0 even if it finds something.
            reads: The folder that they name.

        Raises:
            CheckUnknown: The linter is not installed, or it failed.
        """
        # `.venv/bin/chassis` also runs without the environment on PATH, so its own folder comes first.
        search_path = os.pathsep.join((sysconfig.get_path("scripts"), os.environ.get("PATH", "")))
        executable = shutil.which(linter, path=search_path)
        if executable is None:
            raise CheckUnknown(f"{linter} is not installed")
        command = (executable, *arguments)
        content = _content_hash(self.root / reads)
        if content is None:
            return self._run(linter, command)
        if (command, content) not in _FINDINGS:
            _FINDINGS[command, content] = self._run(linter, command)
        return _FINDINGS[command, content]

    def _run(self, linter: str, command: Sequence[str]) -> list[dict[str, Any]]:
        try:
            process = subprocess.run(  # noqa: S603 - only the checks choose the arguments
                command,
                cwd=self.root,
                capture_output=True,
                check=True,
                encoding="utf-8",
                timeout=LINTER_TIMEOUT_SECONDS,
            )
            findings: list[dict[str, Any]] = json.loads(process.stdout)
        except (subprocess.SubprocessError, ValueError) as error:
            output = " ".join(str(getattr(error, "stderr", None) or error).split())
            raise CheckUnknown(f"{linter} failed: {output}") from None
        return [
            finding | {"filename": os.path.relpath(finding["filename"], self.root)}
            if "filename" in finding
            else finding
            for finding in findings
        ]


_FINDINGS: dict[tuple[tuple[str, ...], str], list[dict[str, Any]]] = {}
"""What linters found, by their command and a hash of what they read."""


def _content_hash(folder: Path) -> str | None:
    """Return a hash of the paths and contents of all files in a folder, or None if one of them is no regular file."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            return None
        if path.is_file():
            name, content = os.path.relpath(path, folder), path.read_bytes()
            digest.update(f"{name}\0{len(content)}\0".encode(errors="surrogateescape") + content)
    return digest.hexdigest()


PAGE = "chassis/handbook/launch.md"
SHOWN_FINDINGS = 3


class CheckStatus(StrEnum):
    """The status of one check, from best to worst."""

    PASS = "pass"  # noqa: S105 - not a password
    WAIVED = "waived"
    UNKNOWN = "unknown"
    FAIL = "fail"


class Family(StrEnum):
    """A group of checks, in the order in which they are shown."""

    CONSTRAINTS = "Constraints"
    DATA = "Data"
    EVALUATION = "Evaluation"
    CODE = "Code"
    OWNERSHIP = "Ownership"
    SIGNOFFS = "Sign-offs"
    CI = "Continuous integration"
    REPOSITORY = "Repository"


class Check(ABC):
    """One requirement. The docstring of a subclass is its title and, after a blank line, its explanation.

    Args:
        id: Registers the class. Waivers and reports name the check by it, so it is never changed or reused.
        level: The lowest tier for which the check must pass.
    """

    id: ClassVar[str]
    level: ClassVar[RiskTier]
    family: ClassVar[Family]
    file: ClassVar[str]
    """The file to open if it does not pass."""
    remedy: ClassVar[str]
    """What to do then: an imperative without a period."""
    registered: ClassVar[list[type["Check"]]] = []

    def __init_subclass__(cls, *, id: str = "", level: RiskTier = "experiment") -> None:  # noqa: A002 - see the class
        super().__init_subclass__()
        if id:
            cls.id, cls.level = id, level
            Check.registered.append(cls)

    @property
    def title(self) -> str:
        """Return what is true when the check passes, without a period."""
        return (inspect.getdoc(self) or "").partition("\n\n")[0].removesuffix(".")

    @property
    def explanation(self) -> str:
        """Return what exactly is checked, and why."""
        return " ".join((inspect.getdoc(self) or "").partition("\n\n")[2].split())

    @property
    def link(self) -> str:
        """Return the page and the anchor that explain the check."""
        return f"{PAGE}#{self.id.lower()}"

    @abstractmethod
    def check(self, repository: Repository) -> str | PartialEvidence:
        """Return the evidence that the requirement is met.

        Raises:
            CheckFailed: It is not met.
            CheckUnknown: The repository does not say whether it is met. Any error about an unreadable or invalid file
                means the same: `ConfigError`, `OSError`, `SyntaxError` and `ValueError`.
        """


def require(condition: object, failure: str, evidence: str) -> str:
    """Return the evidence if a condition holds.

    Raises:
        CheckFailed: It does not hold; `failure` is the message.
    """
    if not condition:
        raise CheckFailed(failure)
    return evidence


def summarize(findings: Sequence[str]) -> str:
    """Return the first findings of a linter in one line, and how many more there are."""
    shown = "; ".join(findings[:SHOWN_FINDINGS])
    more = len(findings) - SHOWN_FINDINGS
    return f"{shown}; and {more} more" if more > 0 else shown
