"""Fits the confidence of drafts to the share of them that is right, and says when the fit is out of date."""

import math
from collections.abc import Mapping, Sequence

from chassis.config.confidence import CALIBRATE, ConfidenceCalibration, ConfidenceCurve, log_odds
from chassis.config.constraints import Constraints
from chassis_tools.evals.cases import Dataset
from chassis_tools.evals.identity import json_hash, model_identity

ENOUGH, MIN_ANSWERS = 100, 20
"""Answers for a curve to be good to about 5 points, and those without which none is fitted."""
BINS = 10
MAX_STEPS = 50
PRECISION = 1e-9

type Pairs = Sequence[tuple[float, bool]]
"""The confidence of each answer, from 0 to 1, and whether it is right."""


def fit_curve(pairs: Pairs) -> ConfidenceCurve:
    """Return the curve of the greatest likelihood, by Newton's method.

    Source: Platt (1999). As there, an answer counts as almost right or almost wrong, so that a curve exists even where
    all are right. With 100 answers this was closer than isotonic regression, which follows chance.
    """
    odds = [log_odds(confidence) for confidence, _ in pairs]
    right = sum(is_right for _, is_right in pairs)
    wrong = len(pairs) - right
    targets = [(right + 1) / (right + 2) if is_right else 1 / (wrong + 2) for _, is_right in pairs]
    intercept, slope = math.log((right + 1) / (wrong + 1)), 0.0
    for _ in range(MAX_STEPS):
        shares = [1 / (1 + math.exp(-intercept - slope * each)) for each in odds]
        gaps = [target - share for target, share in zip(targets, shares, strict=True)]
        weights = [share * (1 - share) for share in shares]
        tilt = sum(weight * each for weight, each in zip(weights, odds, strict=True))
        # The ridge keeps the equations solvable where all confidences are the same.
        spread = sum(weight * each**2 for weight, each in zip(weights, odds, strict=True)) + PRECISION
        level, rise = sum(gaps), sum(gap * each for gap, each in zip(gaps, odds, strict=True))
        determinant = sum(weights) * spread - tilt**2
        steps = (spread * level - tilt * rise) / determinant, (sum(weights) * rise - tilt * level) / determinant
        intercept, slope = intercept + steps[0], slope + steps[1]
        if max(map(abs, steps)) < PRECISION:
            break
    if slope < 0:  # the confidence says nothing, so every answer gets the share of all
        intercept, slope = math.log((right + 1) / (wrong + 1)), 0.0
    return ConfidenceCurve(
        intercept=round(intercept, 6),
        slope=round(slope, 6),
        answers=len(pairs),
        right=right,
        error_before=0,
        error_after=0,
    )


def fit_and_measure(pairs: Pairs) -> ConfidenceCurve:
    """Return the curve of all answers, with its error on each half of them after a fit to the other half."""
    halves = pairs[::2], pairs[1::2]
    curves = fit_curve(halves[1]), fit_curve(halves[0])
    held_out = [
        (curve.share_right(confidence), is_right)
        for curve, half in zip(curves, halves, strict=True)
        for confidence, is_right in half
    ]
    errors = {"error_before": calibration_error(pairs), "error_after": calibration_error(held_out)}
    return fit_curve(pairs).model_copy(update={name: round(error, 3) for name, error in errors.items()})


def calibration_error(pairs: Pairs) -> float:
    """Return the expected calibration error with bins of equally many answers (Naeini et al. 2015)."""
    by_confidence: dict[float, list[bool]] = {}
    for confidence, is_right in pairs:
        by_confidence.setdefault(confidence, []).append(is_right)
    # Answers of the same confidence count with their mean: a bin that ends among them must not depend on their order.
    ranked = [(each, sum(right) / len(right)) for each, right in sorted(by_confidence.items()) for _ in right]
    size = max(1, len(ranked) // BINS)
    bins = [ranked[start : start + size] for start in range(0, len(ranked), size)]
    return sum(abs(sum(confidence - share for confidence, share in each)) for each in bins) / len(ranked)


def confidence_data(
    datasets: Sequence[Dataset],
    names: Sequence[str],
    constraints: Constraints,
    *,
    code: str,
    documents: str,
    search: str,
) -> dict[str, str]:
    """Return the hashes of what a calibration rests on.

    Args:
        datasets: All files of `evals/cases/`.
        names: Those that the suite names.
        constraints: `constraints.toml`, which has the models.
        code: The hash of the team's code and the prompts in it.
        documents: The hash of the documents.
        search: The hash of the search of the chassis. An update may compute another confidence.
    """
    cases = [line for dataset in datasets if dataset.name in names for _, line in dataset.lines]
    models = [model_identity(config) for config in constraints.models]
    hashes = {"code": code, "documents": documents, "search": search}
    return {"cases": json_hash(cases), "models": json_hash(models), **hashes}


def confidence_problem(calibration: ConfidenceCalibration, data: Mapping[str, str]) -> str | None:
    """Return why the confidence cannot be relied on, as a sentence without a period, or None if it can.

    Args:
        calibration: What `confidence.json` says.
        data: What `confidence_data` returns now.
    """
    if not calibration.curves:
        return f"the confidence is not calibrated; run `{CALIBRATE} SUITE`"
    if changed := [name for name, mark in data.items() if calibration.data.get(name) != mark]:
        return f"the {' and the '.join(changed)} changed since the confidence was calibrated"
    few = [f"{curve.answers} answers of {name}" for name, curve in calibration.curves.items() if curve.answers < ENOUGH]
    return f"the confidence was calibrated on only {' and '.join(few)}, fewer than {ENOUGH}" if few else None
