"""What this process runs, as short digests that the daily counts keep. If quality changes, they show what else did."""

import hashlib
import importlib.util
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import cast

from chassis.config.constraints import Constraints
from chassis.config.project import Project
from chassis.store.daily_counts import Measure

DIGITS = 8
TEXT_FILES = frozenset({".py", ".md", ".txt", ".j2", ".jinja", ".jinja2", ".toml", ".yaml", ".yml", ".json"})
MAX_BYTES = 1_000_000
"""A larger file is data, and is left out."""


def running_versions(project: Project, constraints: Constraints) -> Mapping[Measure, str]:
    """Return the release, and digests of the team's code, its prompts and its constraints.

    Prompts are the files of the team's package whose path contains `prompt`.
    """
    files = dict(_package_files(project))
    return {
        "release": project.version,
        "code": _digest(file.read_bytes() for path, file in files.items() if "prompt" not in path),
        "prompts": _digest(file.read_bytes() for path, file in files.items() if "prompt" in path),
        "constraints": _digest([json.dumps(constraints.model_dump(), default=_plain, sort_keys=True).encode()]),
    }


def _package_files(project: Project) -> Iterator[tuple[str, Path]]:
    """Yield the text files of the package that contains the task, by their path in it."""
    spec = importlib.util.find_spec(project.task_path.partition(":")[0].partition(".")[0])
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for file in sorted(Path(folder).rglob("*")):
            if file.suffix in TEXT_FILES and file.is_file() and file.stat().st_size <= MAX_BYTES:
                yield file.relative_to(folder).as_posix(), file


def _plain(value: object) -> object:
    """Return what JSON can hold, and is the same in every process."""
    return sorted(map(str, cast("frozenset[object]", value))) if isinstance(value, frozenset) else str(value)


def _digest(contents: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for content in contents:
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()[:DIGITS]
