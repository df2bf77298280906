"""Reads Copier's answers file, wherever Copier was told to keep it, and runs `copier update`."""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from chassis.errors import ConfigError
from chassis_tools.updates.git import failure_reason, git_environment, git_list, object_format, run_program

ANSWERS_FILE = ".copier-answers.yml"
"""Where Copier keeps its record unless `--answers-file` names another file."""
SECOND_ANSWERS_FILE = ".copier-answers.chassis.yml"
"""What we propose where another template has the usual one."""
OUR_QUESTIONS = {"service_name", "owner_team", "data_class"}
"""Questions of every release. The record of another template does not have all of them."""
COPIER = "copier>=9.19,<10"
"""What uv installs if there is no `copier` on PATH; at least `_min_copier_version` of `copier.yml`."""
COPIER_TIMEOUT_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class AnswersFile:
    """Copier's record of a repository.

    Args:
        path: The file, from the root of the service.
        source: Where the template is: a folder or a URL, or Copier's short form `gh:owner/name`.
        version: The release as `git describe` names it: `1.2.0`, `1.2.0-3-gabc1234`, or a commit if nothing is tagged.
        answers: The recorded answers, by the name of the question.
    """

    path: str
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
    """Read the answers file of the service at `root`.

    Raises:
        ConfigError: It is missing, is not YAML, does not name the template and the release, or is of another template.
    """
    answers: Mapping[str, Any] | None = None
    path = ANSWERS_FILE
    for path in _answers_files(root):
        answers = _read_answers(root, path)
        if answers.keys() >= OUR_QUESTIONS:
            break
    if answers is None:
        raise ConfigError(ANSWERS_FILE, "the file is missing", "Restore it from git; without it Copier cannot update")
    source, version = answers.get("_src_path"), answers.get("_commit")
    if source is None or version is None:
        problem = "it does not name the template and its release (_src_path and _commit)"
        raise ConfigError(path, problem, "Generate the project from a git repository, not from a plain folder")
    if not answers.keys() >= OUR_QUESTIONS:
        problem = f"this is the record of another template, {source}"
        raise ConfigError(path, problem, f"Run `copier copy` again with --answers-file {SECOND_ANSWERS_FILE}")
    return AnswersFile(path, str(source), str(version), answers)


def run_copier_update(root: Path, answers_file: AnswersFile, release: str, kept_paths: Sequence[str]) -> None:
    """Update the service at `root`. No code of the template runs.

    Args:
        root: The folder of the service.
        answers_file: Its record.
        release: A tag or a commit of the template.
        kept_paths: The new answer to `kept_paths`; all other answers stay as they are.

    Raises:
        ConfigError: Copier cannot be found or installed, took too long, or failed.
    """
    installed = shutil.which("copier")
    copier = [installed] if installed else ["sh", "chassis/uv", "tool", "run", "--quiet", "--from", COPIER, "copier"]
    options = ["--defaults", "--quiet", "--answers-file", answers_file.path, "--vcs-ref", release]
    kept = ["--data", f"kept_paths={json.dumps(kept_paths)}"]
    done = run_program(
        [*copier, "update", *options, *kept, "."],
        root,
        name="copier update",
        timeout_seconds=COPIER_TIMEOUT_SECONDS,
        # Copier compares trees of the repository with those of repositories that it creates, in the same object format.
        environment=git_environment() | {"GIT_DEFAULT_HASH": object_format(root)},
    )
    if done.returncode != 0:
        raise ConfigError("copier update", failure_reason(done.stderr), "Nothing was changed; fix this, then try again")


def _answers_files(root: Path) -> Iterator[str]:
    """Yield the path of each record that Copier has left, the usual one first."""
    if (root / ANSWERS_FILE).exists():
        yield ANSWERS_FILE
    found = {str(file.relative_to(root)) for pattern in (".copier*", ".copier/*") for file in root.glob(pattern)}
    with suppress(ConfigError):  # nothing found, or not a repository
        found |= set(git_list(root, "grep", "--untracked", "--files-with-matches", "--extended-regexp", "^_src_path:"))
    for path in sorted(found - {ANSWERS_FILE}):
        if not path.startswith("chassis/") and (root / path).is_file():
            yield path


def _read_answers(root: Path, path: str) -> Mapping[str, Any]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the variant in C is ten times as fast
    try:
        content: object = yaml.load((root / path).read_text(encoding="utf-8"), Loader=loader)  # noqa: S506 - both are safe
    except (yaml.YAMLError, UnicodeDecodeError):
        raise ConfigError(path, "not valid YAML", "Restore it from git; only Copier edits it") from None
    return cast("dict[str, Any]", content) if isinstance(content, dict) else {}
