"""What a check may look at: the files of one repository, each parsed once. Nothing of the team's is imported or run."""

import ast
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

from chassis.config.constraints import Constraints
from chassis.config.project import Project, find_project
from chassis.errors import ConfigError
from chassis_tools.evals.suites import Suite, load_suites
from chassis_tools.governance.decisions import Decisions, load_decisions
from chassis_tools.governance.signoff import load_signoffs
from chassis_tools.governance.signoff_status import Standing, standings
from chassis_tools.readiness.pipelines import Pipeline, Unreadable, of_github, of_gitlab


class Failed(Exception):
    """The repository does not do what a check asks; the text is the evidence."""


class Unknown(Exception):
    """It cannot be said whether it does; the text says why. That is never a pass."""


@dataclass(frozen=True)
class Evidence:
    """One repository on one day.

    Args:
        root: Its folder.
        today: The day.
    """

    root: Path
    today: date

    def text(self, path: str) -> str:
        """Return a file.

        Raises:
            Failed: It is not there.
            Unknown: It cannot be read as text.
        """
        try:
            return (self.root / path).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise Failed(f"there is no {path}") from None
        except (OSError, UnicodeDecodeError) as error:
            raise Unknown(f"{path} cannot be read ({error})") from None

    @cached_property
    def project(self) -> Project:
        """Return what `pyproject.toml` says.

        Raises:
            Unknown: It cannot be read.
        """
        try:
            return find_project(self.root)
        except (ConfigError, tomllib.TOMLDecodeError) as error:
            raise Unknown(str(error)) from None

    @cached_property
    def decisions(self) -> Decisions:
        """Return constraints and ownership.

        Raises:
            Unknown: One of them does not hold, which is the matter of another check.
        """
        try:
            return load_decisions(self.project)
        except ConfigError as error:
            raise Unknown(str(error)) from None

    @property
    def constraints(self) -> Constraints:
        """Return the constraints."""
        return self.decisions.constraints

    @cached_property
    def standings(self) -> dict[str, Standing]:
        """Return how each sign-off stands, by kind.

        Raises:
            Unknown: One of them cannot be read.
        """
        try:
            given = load_signoffs(self.root)
        except ConfigError as error:
            raise Unknown(str(error)) from None
        return {each.kind: each for each in standings(self.constraints, given, self.today)}

    @cached_property
    def suites(self) -> Mapping[str, Suite]:
        """Return the suites of the evaluation.

        Raises:
            Unknown: They cannot be read.
        """
        try:
            return load_suites(self.root).suites
        except ConfigError as error:
            raise Unknown(str(error)) from None

    @cached_property
    def code(self) -> dict[str, ast.Module]:
        """Return the team's own modules, parsed, by path.

        Raises:
            Unknown: One of them is no Python that this interpreter reads.
        """
        return dict(self._parsed("src"))

    @cached_property
    def tests(self) -> dict[str, ast.Module]:
        """Return the team's tests, parsed, by path."""
        return dict(self._parsed("tests"))

    @cached_property
    def pipelines(self) -> list[Pipeline]:
        """Return what the forge runs: GitHub's workflows, or GitLab's pipeline and what it includes from here.

        Raises:
            Failed: There is nothing.
            Unknown: One of the files cannot be read.
        """
        try:
            if self.project.forge == "gitlab":
                return of_gitlab(dict(self._included(".gitlab-ci.yml")))
            files = sorted((self.root / ".github/workflows").glob("*.y*ml"))
            paths = [str(file.relative_to(self.root)) for file in files]
            found = [of_github(path, self.text(path)) for path in paths]
        except Unreadable as error:
            raise Unknown(str(error)) from None
        if not found:
            raise Failed("there is no workflow in .github/workflows")
        return found

    def _included(self, pipeline: str) -> Iterator[tuple[str, str]]:
        text = self.text(pipeline)
        yield pipeline, text
        for path in re.findall(r"^ *-? *local: *['\"]?/?([^'\"\s]+)", text, re.MULTILINE):
            yield path, self.text(path)

    def _parsed(self, folder: str) -> Iterator[tuple[str, ast.Module]]:
        for file in sorted((self.root / folder).rglob("*.py")):
            path = str(file.relative_to(self.root))
            try:
                yield path, ast.parse(self.text(path))
            except (SyntaxError, ValueError) as error:
                raise Unknown(f"{path} cannot be parsed ({error})") from None


def load_table(evidence: Evidence, path: str) -> dict[str, Any]:
    """Return a TOML file.

    Raises:
        Failed: It is not there.
        Unknown: It is no TOML.
    """
    try:
        return tomllib.loads(evidence.text(path))
    except tomllib.TOMLDecodeError as error:
        raise Unknown(f"{path} is not TOML ({error})") from None
