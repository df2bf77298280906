"""What a run measured: its code, documents, constraints, models and cases, so that only like runs are mixed."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from pydantic import TypeAdapter

from chassis.config.confidence import ConfidenceCalibration
from chassis.config.constraints import Constraints, ModelConfig
from chassis_tools.evals.hashes import json_hash

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


def read_identity(folder: Path) -> RunIdentity | None:
    """Return the identity of the run in a folder, or None if it has none."""
    path = folder / IDENTITY
    return TypeAdapter(RunIdentity).validate_json(path.read_bytes()) if path.exists() else None


def write_identity(folder: Path, identity: RunIdentity) -> None:
    """Write the identity of a run into its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / IDENTITY).write_bytes(TypeAdapter(RunIdentity).dump_json(identity, indent=2) + b"\n")
