"""Reads Copier's answers file (`.copier-answers.yml`) and runs `copier update`."""

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from chassis.errors import ConfigError
from chassis_tools.updates.git import last_line

ANSWERS_FILE = ".copier-answers.yml"
COPIER = "copier>=9.19,<10"
"""What uv installs if there is no `copier` on PATH; at least `_min_copier_version` of `copier.yml`."""
COPIER_TIMEOUT_SECONDS = 600


@dataclass(frozen=True, slots=True)
class AnswersFile:
    """The content of `.copier-answers.yml`.

    Args:
        source: Where the template is: a folder or a URL, or Copier's short form `gh:owner/name`.
        version: The release as `git describe` names it: `1.2.0`, `1.2.0-3-gabc1234`, or a commit if nothing is tagged.
        answers: The recorded answers, by the name of the question.
    """

    source: str
    version: str
    answers: Mapping[str, Any]

    @property
    def kept_paths(self) -> tuple[str, ...]:
        """Return the chassis paths where the team keeps a file of its own."""
        return tuple(self.answers.get("kept_paths") or ())

    @property
    def forge(self) -> str:
        """Return the forge; `github` if the repository was made by a release that did not ask."""
        return str(self.answers.get("forge", "github"))


def load_answers_file(root: Path) -> AnswersFile:
    """Read the answers file of the repository at `root`.

    Raises:
        ConfigError: It is missing, is not YAML, or does not name the template and the release.
    """
    import yaml

    try:
        content: object = yaml.safe_load((root / ANSWERS_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        remedy = "Restore it from git; without it Copier cannot update"
        raise ConfigError(ANSWERS_FILE, "the file is missing", remedy) from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise ConfigError(ANSWERS_FILE, "not valid YAML", "Restore it from git; only Copier edits it") from None
    answers = cast("dict[str, Any]", content) if isinstance(content, dict) else {}
    source, version = answers.get("_src_path"), answers.get("_commit")
    if source is None or version is None:
        problem = "it does not name the template and its release (_src_path and _commit)"
        raise ConfigError(ANSWERS_FILE, problem, "Generate the project from a git repository, not from a plain folder")
    return AnswersFile(str(source), str(version), answers)


def run_copier_update(root: Path, release: str, kept_paths: Sequence[str]) -> None:
    """Update the repository at `root`. No code of the template runs.

    Args:
        root: The repository.
        release: A tag or a commit of the template.
        kept_paths: The new answer to `kept_paths`; all other answers stay as they are.

    Raises:
        ConfigError: Copier cannot be found or installed, or it failed; the problem is Copier's last line.
    """
    installed = shutil.which("copier")
    copier = [installed] if installed else ["sh", "chassis/uv", "tool", "run", "--quiet", "--from", COPIER, "copier"]
    options = ["--defaults", "--quiet", "--vcs-ref", release, "--data", f"kept_paths={json.dumps(kept_paths)}"]
    try:
        done = subprocess.run(  # noqa: S603 - the release is a tag or a commit of the template
            [*copier, "update", *options, "."],
            cwd=root,
            capture_output=True,
            check=False,
            text=True,
            timeout=COPIER_TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise ConfigError(
            "copier update", f"no answer within {COPIER_TIMEOUT_SECONDS} seconds", "Try again later"
        ) from None
    if done.returncode != 0:
        raise ConfigError("copier update", last_line(done.stderr), "Nothing was changed; fix this, then try again")
