"""What a run measured: its code, documents, constraints, models and cases, so that only like runs are mixed.

Short hashes tell whether one of them changed between two runs; git tells the commit, and what differs from another.
"""

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import cast

from pydantic import TypeAdapter

from chassis.config.confidence import ConfidenceCalibration
from chassis.config.constraints import Constraints, ModelConfig
from chassis.errors import ConfigError
from chassis_tools.evals.jsonl import explained_writes

HASH_LENGTH = 12
"""In hexadecimal digits: 48 bits are plenty for the few versions of one project."""
NOT_WRITTEN = re.compile(r"\.|(__pycache__|node_modules|.*\.egg-info)\Z")
"""Names of what is hidden, or derived by tools."""
NOT_READ_FOLDERS = frozenset({"build", "dist", "docs", "evals", "ops", "signoffs", "src", "tests", "var"})
"""Folders of a project that hold no documents of the service; `src` counts as code."""


def json_hash(value: object) -> str:
    """Return the hash of a JSON value, in which sets and dates may stand too; the order of keys does not matter."""
    # ASCII is not enforced, so that the hash of a text is that of its bytes in UTF-8.
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
    other = NOT_READ_FOLDERS | {"chassis"}
    folders = [path for path in root.glob("*/") if path.name not in other and not NOT_WRITTEN.match(path.name)]
    return files_hash(root, (file for folder in (*folders, root / "chassis/handbook") for file in _files_in(folder)))


def search_hash(root: Path) -> str:
    """Return the hash of the search of the chassis of the project at `root`, which computes confidences."""
    return files_hash(root, _files_in(root / "chassis/src/chassis/search"))


def files_hash(base: Path, files: Iterable[Path]) -> str:
    """Return the hash of files by their path below `base` and their content."""
    # With `/` on every system, so that Windows computes the same.
    paths = {os.path.relpath(file, base).replace(os.sep, "/"): file for file in files}
    return json_hash({path: hashlib.sha256(file.read_bytes()).hexdigest() for path, file in paths.items()})


def without_package(root: Path, statements: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield statements without the name of the package in `src`, by which each service is called differently.

    Args:
        root: The root of the project.
        statements: The module of each, and its text, which may be the name of a module.
    """
    packages = [file.parent.name for file in (root / "src").glob("*/__init__.py")]
    # Of two packages the names matter: a grader may use either.
    own = re.compile(rf"\A{packages[0]}(?=[.:]|\Z)" if len(packages) == 1 else r"(?!)")
    for module, text in statements:
        yield own.sub("", module), own.sub("", text)


def _files_in(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder that people write: nothing hidden, nothing that tools derive."""
    for parent, folders, names in os.walk(folder):
        folders[:] = (name for name in folders if not NOT_WRITTEN.match(name))  # it goes on in what stays here
        yield from filter(Path.is_file, (Path(parent, name) for name in names if not NOT_WRITTEN.match(name)))


IDENTITY = "run.json"
"""The file of a run that holds its identity."""
HISTORY = "history.jsonl"
"""The file of the accepted run with one line for each run that was ever accepted, the latest last."""
SUBJECTS = ("cases", "code", "documents", "constraints", "confidence", "models")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunIdentity:
    """What a run of one suite measured.

    Args:
        started: When the run started, UTC.
        commit: The commit that was checked out, with a `+` if files differed from it; empty outside of git.
        cases: Changes with the cases.
        code: Changes with the team's code and the prompts in it.
        documents: Changes with the other files that the service may read.
        constraints: Changes with `constraints.toml`.
        confidence: Changes with `confidence.json`.
        models: What `model_identity` says of each model that could answer, in the order of the chain.
        altered: The cases whose score in the accepted run is not the one that its answer gets.
    """

    started: str = ""
    commit: str = ""
    cases: str = ""
    code: str = ""
    documents: str = ""
    constraints: str = ""
    confidence: str = ""
    models: tuple[str, ...] = ()
    altered: tuple[str, ...] = ()

    def changes_since(self, other: "RunIdentity") -> list[str]:
        """Return what is not the same in another run, such as `documents`."""
        return [subject for subject in SUBJECTS if getattr(self, subject) != getattr(other, subject)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance(RunIdentity):
    """One line of the history: a run that was accepted, what it was like, and why it was accepted if it failed.

    Args:
        verdict: What the gate said.
        reason: Why a run that failed was accepted all the same.
        worse: The cases that got worse than in the accepted run before.
        rates: The mean score of each evaluator.
        mean_usd: The mean cost of an answer.
        p95_seconds: The 95th percentile of the latency.
    """

    verdict: str
    reason: str | None = None
    worse: tuple[str, ...] = ()
    rates: Mapping[str, float]
    mean_usd: float
    p95_seconds: float

    @property
    def identity(self) -> RunIdentity:
        """Return what the run measured."""
        return RunIdentity(**{each.name: getattr(self, each.name) for each in fields(RunIdentity)})


def model_identity(config: ModelConfig) -> str:
    """Return what makes a model's replies its own: the vendor, the model's id there, and the address."""
    address = f" at {config.base_url}" if config.base_url else ""
    return f"{config.name}: {config.provider} {config.model}{address}"


def constraints_hash(constraints: Constraints) -> str:
    """Return the hash of the values in `constraints.toml`; comments and the order of keys do not matter."""
    # In Python's types: as JSON a set becomes a list, in an order that differs between two processes.
    return json_hash(constraints.model_dump())


def confidence_hash(calibration: ConfidenceCalibration) -> str:
    """Return the hash of the curves in `confidence.json`; empty without any."""
    curves = {name: [curve.intercept, curve.slope] for name, curve in calibration.curves.items()}
    return json_hash(curves) if curves else ""


def write_identity(folder: Path, identity: RunIdentity) -> None:
    """Write the identity of a run into its folder."""
    with explained_writes():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / IDENTITY).write_bytes(TypeAdapter(RunIdentity).dump_json(identity, indent=2) + b"\n")


EVIDENCE = ("evals", "constraints.toml")
"""The paths on which a verdict rests besides the service itself."""
ACCEPTED = "evals/accepted"
RULES = ("evals/suites.toml", "constraints.toml")
"""The files with the rules and their thresholds."""


def current_commit(root: Path) -> str:
    """Return the short hash of the commit that is checked out, and `+` if files differ; empty outside of git."""
    commit = _text(_run(root, "rev-parse", "--short=12", "HEAD"))
    return commit and commit + ("+" if _run(root, "status", "--porcelain", "--", ".") else "")


def check_out_accepted(root: Path, base: str, folder: Path) -> None:
    """Write the accepted runs and the rules of the commit `base` to `folder`, replacing it; a commit may have none.

    Raises:
        ConfigError: There is no such commit.
    """
    shutil.rmtree(folder, ignore_errors=True)
    with explained_writes():
        folder.mkdir(parents=True)
    if _run(root, "rev-parse", "--verify", "--quiet", f"{base}^{{commit}}") is None:
        remedy = "Name a branch or a commit that this clone has; in CI, check out with its history"
        raise ConfigError(f"--base {base}", "there is no such commit", remedy)
    paths = _text(_run(root, "ls-tree", "--name-only", base, ACCEPTED, *RULES)).splitlines()
    archive = _run(root, "archive", base, *paths) if paths else None
    if archive is not None:
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(folder, filter="data")


def edited_evidence(root: Path, base: str) -> tuple[str, ...]:
    """Return the files under `EVIDENCE` that differ from the commit `base`, each after `A`, `M` or `D`."""
    edited = _text(_run(root, "diff", "--name-status", "--no-renames", "--relative", base, "--", *EVIDENCE))
    # `git diff` does not show files that were never added, and new evidence counts as edited too.
    new = _text(_run(root, "ls-files", "--others", "--exclude-standard", "--", *EVIDENCE))
    lines = [line.replace("\t", " ") for line in edited.splitlines()]
    return (*lines, *(f"A {name}" for name in new.splitlines()))


def _run(root: Path, *arguments: str) -> bytes | None:
    """Return what git prints, or None if it is not installed or fails, as it does outside of a repository."""
    try:
        command = ["git", "-C", str(root), *arguments]
        done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603  the arguments are this module's
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None


def _text(output: bytes | None) -> str:
    return (output or b"").decode(errors="replace").strip()
