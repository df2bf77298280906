"""What the records of a run say, and the one verdict that the screen, the file and the exit code share."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import IntEnum
from pathlib import Path
from statistics import median

from chassis.evals.score import Record
from chassis.types import NanoUsd, in_usd


class Verdict(IntEnum):
    """The value is the exit code; 2 is kept for errors of configuration."""

    PASS = 0
    BELOW_FLOOR = 1
    NO_EVIDENCE = 3


@dataclass(frozen=True, slots=True)
class Share:
    """How many of the cases were right."""

    right: int
    cases: int

    @classmethod
    def of(cls, records: Iterable[Record]) -> "Share":
        """Count the records."""
        marks = [record.right for record in records]
        return cls(sum(marks), len(marks))

    @property
    def accuracy(self) -> float:
        """Return the share, 0 to 1; of no cases at all it is 0."""
        return self.right / self.cases if self.cases else 0.0


@dataclass(frozen=True, slots=True)
class Report:
    """A run, judged.

    Args:
        records: One for each case.
        floor: The accuracy that is asked for, `quality.accuracy_floor`.
    """

    records: Sequence[Record]
    floor: float

    @property
    def verdict(self) -> Verdict:
        """Return whether the service is good enough; without a single case nobody can know."""
        if not self.records:
            return Verdict.NO_EVIDENCE
        return Verdict.PASS if self.overall.accuracy >= self.floor else Verdict.BELOW_FLOOR

    @property
    def overall(self) -> Share:
        """Return the share over all cases."""
        return Share.of(self.records)

    @property
    def by_tag(self) -> dict[str, Share]:
        """Return the share of each tag; a case with two tags counts in both."""
        tags = sorted({tag for record in self.records for tag in record.tags})
        return {tag: Share.of(record for record in self.records if tag in record.tags) for tag in tags}

    @property
    def endings(self) -> dict[str, int]:
        """Return how many cases ended how: who answered, referred, or failed."""
        names = [record.ending for record in self.records]
        return {name: names.count(name) for name in sorted(set(names))}

    @property
    def wrong(self) -> list[Record]:
        """Return the cases that were not right."""
        return [record for record in self.records if not record.right]

    @property
    def cost(self) -> NanoUsd:
        """Return what the run cost."""
        return sum(record.cost for record in self.records)

    @property
    def seconds(self) -> tuple[float, float]:
        """Return the median and the longest time of a call."""
        times = [record.seconds for record in self.records]
        return (median(times), max(times)) if times else (0.0, 0.0)


def save(report: Report, folder: Path) -> Path:
    """Write the records, one JSON object a line, and the report that follows from them; return the report's path."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(asdict(record)) + "\n" for record in report.records)
    (folder / "records.jsonl").write_text("".join(lines), encoding="utf-8")
    path = folder / "report.json"
    path.write_text(json.dumps(_summary(report), indent=2) + "\n", encoding="utf-8")
    return path


def _summary(report: Report) -> dict[str, object]:
    typical, longest = report.seconds
    return {
        "verdict": report.verdict.name.lower(),
        "exit_code": report.verdict.value,
        "accuracy": report.overall.accuracy,
        "floor": report.floor,
        **asdict(report.overall),
        "by_tag": {tag: asdict(share) | {"accuracy": share.accuracy} for tag, share in report.by_tag.items()},
        "endings": report.endings,
        "cost_usd": in_usd(report.cost),
        "seconds": {"median": typical, "longest": longest},
        "wrong": [record.case for record in report.wrong],
    }
