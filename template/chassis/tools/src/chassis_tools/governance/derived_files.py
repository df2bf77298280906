"""Generates the derived files, such as CODEOWNERS, and finds those that are out of date.

To add one: write a function from `Decisions` to its text in a module of this folder, add an entry to `DERIVED_FILES`,
and list its path as `derived` in `chassis/paths.txt`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from chassis.clock import now
from chassis.config.project import Forge
from chassis.errors import ConfigError
from chassis_tools.governance.file_contents import (
    DAY_PLACEHOLDER,
    Decisions,
    alertmanager_config,
    catalog_info,
    github_codeowners,
    gitlab_codeowners,
    objective_rules,
    scrape_targets,
    security_insights,
    security_policy,
)

SYNC_COMMAND = "uv run chassis sync"
OPERATIONS = "ops/"
"""The folder of what only a running service needs."""
MARKER = f"by `{SYNC_COMMAND}`"
"""Part of the first line of every derived file; a file without it is hand-written."""


@dataclass(frozen=True, slots=True)
class DerivedFile:
    """One derived file.

    Args:
        path: Its path from the root of the repository.
        sources: The files that it is generated from.
        body: Returns everything below the first line, or None if the decisions do not say enough for it.
        forge: The only forge that reads it, or None if it is needed on every forge.
        keep_existing: Whether a hand-written file at this path is left alone, because it may say more than the
            decisions do.
    """

    path: str
    sources: tuple[str, ...]
    body: Callable[[Decisions], str | None]
    forge: Forge | None = None
    keep_existing: bool = False

    def content(self, decisions: Decisions) -> str | None:
        """Return the whole file, or None if there should be none.

        Raises:
            ConfigError: A decision cannot be expressed in this file's format.
        """
        project = decisions.project
        needed = self.forge in {None, project.forge} and (project.serves or not self.path.startswith(OPERATIONS))
        body = self.body(decisions) if needed else None
        if body is None:
            return None
        sources = " and ".join(self.sources)
        comment = f"Generated {MARKER} from {sources}. Do not edit; change the source and run the command again."
        return (f"<!-- {comment} -->\n" if self.path.endswith(".md") else f"# {comment}\n") + body


DERIVED_FILES = (
    DerivedFile(".github/CODEOWNERS", ("ownership.toml",), github_codeowners, forge="github"),
    DerivedFile(".gitlab/CODEOWNERS", ("ownership.toml",), gitlab_codeowners, forge="gitlab"),
    DerivedFile("catalog-info.yaml", ("ownership.toml", "pyproject.toml"), catalog_info),
    DerivedFile("SECURITY.md", ("ownership.toml",), security_policy, keep_existing=True),
    DerivedFile("security-insights.yml", ("ownership.toml", "pyproject.toml"), security_insights, keep_existing=True),
    DerivedFile("ops/alertmanager.yaml", ("ownership.toml",), alertmanager_config),
    DerivedFile("ops/objectives.yaml", ("constraints.toml",), objective_rules),
    DerivedFile("ops/targets.yaml", ("pyproject.toml",), scrape_targets),
)


@dataclass(frozen=True, slots=True)
class OutOfDateFile:
    """A derived file whose content does not follow from the decisions.

    Args:
        path: Its path from the root of the repository.
        problem: `missing`, `out of date`, or `no longer needed` if another forge was chosen or a source lacks a key.
        content: What the file should contain; None if it should not exist.
    """

    path: str
    problem: str
    content: bytes | None


def out_of_date_files(decisions: Decisions) -> list[OutOfDateFile]:
    """Compare the derived files with the decisions, in the order of `DERIVED_FILES`.

    Raises:
        ConfigError: A decision cannot be expressed in a file's format.
    """
    outdated: list[OutOfDateFile] = []
    for derived in DERIVED_FILES:
        file = decisions.project.root / derived.path
        content = derived.content(decisions)
        if derived.keep_existing and is_hand_written(file):
            continue
        # Compared as bytes: changed line endings count as a difference too.
        actual = _read(file)
        expected = None if content is None else _with_day(content.encode(), actual)
        if actual != expected:
            problem = "missing" if actual is None else "no longer needed" if expected is None else "out of date"
            outdated.append(OutOfDateFile(derived.path, problem, expected))
    return outdated


def write_derived_files(decisions: Decisions) -> list[OutOfDateFile]:
    """Write or delete every derived file that is out of date, and return what was.

    Raises:
        ConfigError: One of these files is hand-written and would be lost. Nothing has been written then.
    """
    root, outdated = decisions.project.root, out_of_date_files(decisions)
    # All files are checked before the first one is written, so that an error leaves nothing half done.
    for file in outdated:
        _refuse_hand_written(root, file.path)
    for file in outdated:
        path = root / file.path
        if file.content is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_symlink():
                path.unlink()  # not written through, because the file that it leads to is the team's
            path.write_bytes(file.content)
    return outdated


def is_hand_written(file: Path) -> bool:
    """Return whether the file exists and was not written by `chassis sync`."""
    content = _read(file)
    return content is not None and MARKER.encode() not in content.partition(b"\n")[0]


def _refuse_hand_written(root: Path, path: str) -> None:
    if is_hand_written(root / path):
        raise ConfigError(
            path,
            f"`{SYNC_COMMAND}` did not write this file and would overwrite it",
            "Move its content to ownership.toml, then delete the file",
        )


def _with_day(content: bytes, actual: bytes | None) -> bytes:
    """Fill in the day of the last change: the one in the actual file if nothing else differs, otherwise today."""
    placeholder = DAY_PLACEHOLDER.encode()
    unchanged = {content.replace(placeholder, day) for day in re.findall(rb"\d{4}-\d\d-\d\d", actual or b"")}
    return actual if actual in unchanged else content.replace(placeholder, str(now().date()).encode())


def _read(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() else None
