"""Short hashes that tell whether code, documents, cases or evaluators changed between two runs."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import cast

HASH_LENGTH = 12
"""In hexadecimal digits: 48 bits are plenty for the few versions of one project."""
DERIVED_FOLDERS = frozenset({"__pycache__", "node_modules"})
NOT_READ_FOLDERS = frozenset({"build", "dist", "docs", "evals", "ops", "signoffs", "src", "tests", "var"})
"""Folders of a project that hold no documents of the service; `src` counts as code."""


def json_hash(value: object) -> str:
    """Return the hash of a JSON value, in which sets and dates may stand too; the order of keys does not matter."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=_as_json)
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_LENGTH]


def _as_json(value: object) -> object:
    return sorted(cast("Iterable[object]", value), key=str) if isinstance(value, set | frozenset) else str(value)


def code_hash(code: Path) -> str:
    """Return the hash of a package with the prompts and other files in it, or of a single module."""
    return files_hash(code.parent, [code] if code.is_file() else _files_in(code))


def documents_hash(root: Path) -> str:
    """Return the hash of the files that the service of the project at `root` can read, its code excepted.

    They are those of every folder that is neither hidden nor one of `NOT_READ_FOLDERS`; of the chassis it is the
    handbook.
    """
    other = NOT_READ_FOLDERS | DERIVED_FOLDERS | {"chassis"}
    folders = [path for path in sorted(root.glob("*/")) if path.name not in other and not path.name.startswith(".")]
    return files_hash(root, (file for folder in (*folders, root / "chassis/handbook") for file in _files_in(folder)))


def files_hash(base: Path, files: Iterable[Path]) -> str:
    """Return the hash of files by their path below `base` and their content."""
    digests = {file.relative_to(base).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    return json_hash(digests)


def _files_in(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder that people write: nothing hidden, nothing that tools derive."""
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        derived = any(part in DERIVED_FOLDERS or part.startswith(".") or part.endswith(".egg-info") for part in parts)
        if path.is_file() and not derived:
            yield path
