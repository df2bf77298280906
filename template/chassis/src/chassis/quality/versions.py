"""What this process runs, as short digests that the daily counts keep. If quality changes, they show what else did."""

import hashlib
import importlib.util
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from chassis.config.constraints import CONSTRAINTS_FILE
from chassis.config.project import Project
from chassis.store.daily_counts import Measure

DIGITS = 8
TEXT_FILES = frozenset({".py", ".md", ".txt", ".j2", ".jinja", ".jinja2", ".toml", ".yaml", ".yml", ".json"})
MAX_BYTES = 1_000_000
"""A larger file is data, and is left out."""


def running_versions(project: Project) -> Mapping[Measure, str]:
    """Return the release, and digests of the team's code, its prompts and `constraints.toml`.

    Prompts are the files of the team's package whose path contains `prompt`.
    """
    files = dict(_package_files(project))
    return {
        "release": project.version,
        "code": _digest(file for path, file in files.items() if "prompt" not in path),
        "prompts": _digest(file for path, file in files.items() if "prompt" in path),
        "constraints": _digest([project.root / CONSTRAINTS_FILE]),
    }


def _package_files(project: Project) -> Iterator[tuple[str, Path]]:
    """Yield the text files of the package that contains the task, by their path in it."""
    spec = importlib.util.find_spec(project.task_path.partition(":")[0].partition(".")[0])
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for file in sorted(Path(folder).rglob("*")):
            if file.suffix in TEXT_FILES and file.is_file() and file.stat().st_size <= MAX_BYTES:
                yield file.relative_to(folder).as_posix(), file


def _digest(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        if file.is_file():
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:DIGITS]
