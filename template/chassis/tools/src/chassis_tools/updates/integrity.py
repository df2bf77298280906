"""Compares the chassis with the release that it came from (`chassis verify`), so that an edit of it is never green.

Only the release is compared, not newer ones, and no file of the template is read: git's ids of the files suffice. They
are remembered in `.git/`, where no commit can put them, so that a second comparison needs no network.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from chassis.errors import ConfigError
from chassis_tools.updates.copier import AnswersFile, load_answers_file
from chassis_tools.updates.git import git
from chassis_tools.updates.path_ownership import CHASSIS_FOLDER, Drift, ShippedFile, find_drift
from chassis_tools.updates.template_repository import cloned_template

REMEMBERED_FILE = "chassis-release.json"


@dataclass(frozen=True, slots=True)
class ReleaseComparison:
    """The chassis files of a repository beside those of its release.

    Args:
        source: Where the template is, as the answers file names it.
        version: The release.
        files: How many files were compared.
        kept: Chassis paths that the answers file exempts, because the team keeps a file of its own there.
        drift: How the files differ.
    """

    source: str
    version: str
    files: int
    kept: tuple[str, ...]
    drift: Drift


def compare_with_release(root: Path, *, use_remembered: bool = True) -> ReleaseComparison:
    """Compare the repository at `root` with its release.

    Args:
        root: The repository.
        use_remembered: Whether to remember the ids, and to use those that an earlier comparison remembered. Otherwise
            nothing is written.

    Raises:
        ConfigError: They cannot be compared: the answers file does not name a release, or the template cannot be
            reached or does not have it.
    """
    answers_file = load_answers_file(root)
    shipped = _remembered(root, answers_file) if use_remembered else _shipped(answers_file)
    # The answers file belongs to the repository, so it cannot exempt the chassis itself.
    kept = tuple(path for path in answers_file.kept_paths if not path.startswith(CHASSIS_FOLDER) and path in shipped)
    compared = {path: file for path, file in shipped.items() if path not in kept}
    return ReleaseComparison(answers_file.source, answers_file.version, len(compared), kept, find_drift(root, compared))


def _shipped(answers_file: AnswersFile) -> Mapping[str, ShippedFile]:
    with cloned_template(answers_file.source) as template:
        commit = template.commit_of(answers_file.version)
        if commit is None:
            problem = f"it has no release {answers_file.version}, which {answers_file.path} names"
            raise ConfigError(answers_file.source, problem, "Generate the project from a release, or update it to one")
        # Those of every forge: a file of the other forge is either absent or compared.
        return template.chassis_files(commit)


def _remembered(root: Path, answers_file: AnswersFile) -> Mapping[str, ShippedFile]:
    """Return the remembered ids if they are of this release; otherwise ask the template, and remember its answer."""
    file = root / git(root, "rev-parse", "--git-path", REMEMBERED_FILE).strip()
    key = [answers_file.source, answers_file.version]
    with suppress(OSError, TypeError, ValueError):
        remembered_key, shipped = json.loads(file.read_text(encoding="utf-8"))
        if remembered_key == key:
            return {path: ShippedFile(*each) for path, each in shipped.items()}
    shipped = _shipped(answers_file)
    file.write_text(json.dumps([key, shipped]), encoding="utf-8")
    return shipped
