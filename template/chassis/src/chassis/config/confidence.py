"""Reads `confidence.json`: how often drafts of each confidence were right in the team's own cases."""

import math
from dataclasses import replace
from pathlib import Path

from pydantic import Field, ValidationError

from chassis.config.toml_file import Section, check_regular, config_error_from
from chassis.contract import Draft

CONFIDENCE_FILE = "confidence.json"
CALIBRATE = "chassis evals calibrate-confidence"
"""The command that writes the file."""
CLIPPED = 0.001
"""A confidence closer than this to 0 or 1 counts as this close, because its log-odds would be infinite."""


class ConfidenceCurve(Section):
    """The share of right answers by confidence: a logistic curve over the log-odds of the confidence.

    It never falls, so a draft that was more confident than another stays so.

    Source:
        Platt (1999), Probabilistic Outputs for Support Vector Machines.
    """

    intercept: float
    slope: float = Field(ge=0)
    answers: int = Field(gt=0)
    """The number of answers that it was fitted to."""
    right: int = Field(ge=0)
    """How many of them were right."""
    error_before: float
    """The calibration error of the confidence as the task gave it, from 0 to 1."""
    error_after: float
    """The same of the curve, measured on answers that it was not fitted to."""

    def share_right(self, confidence: float) -> float:
        """Return the share of right answers at a confidence. At 0 it is 0: such a draft says that it is no answer."""
        return 1 / (1 + math.exp(-self.intercept - self.slope * log_odds(confidence))) if confidence else 0.0


class ConfidenceCalibration(Section):
    """The whole of `confidence.json`. Without the file, no confidence is calibrated."""

    suite: str = ""
    """The suite that was asked."""
    cases: tuple[str, ...] = ()
    """Its files of `evals/cases/`, without `.jsonl`."""
    evaluator: str = ""
    """The grader that decided which answers are right."""
    data: dict[str, str] = Field(default_factory=dict)
    """The hashes of what was asked: the cases, the code, the documents, the search of the chassis and the models."""
    curves: dict[str, ConfidenceCurve] = Field(default_factory=dict)
    """By what answered: the name of a model, `baseline`, or `task`."""

    def calibrated[A](self, draft: Draft[A], answered_by: str) -> Draft[A]:
        """Return a draft with the share of right answers as its confidence, if that was measured."""
        curve = self.curves.get(answered_by)
        return replace(draft, confidence=curve.share_right(draft.confidence)) if curve else draft


def log_odds(confidence: float) -> float:
    """Return log(p / (1 - p)) of a confidence."""
    clipped = min(max(confidence, CLIPPED), 1 - CLIPPED)
    return math.log(clipped / (1 - clipped))


def load_confidence(root: Path) -> ConfidenceCalibration:
    """Return the calibration of the project at `root`, which is empty without a file.

    Raises:
        ConfigError: The file does not fit.
    """
    file = root / CONFIDENCE_FILE
    if not file.exists():
        return ConfidenceCalibration()
    check_regular(file)
    try:
        return ConfidenceCalibration.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise config_error_from(f"{CONFIDENCE_FILE} (written by `{CALIBRATE}`)", error) from None
