"""Evaluation: does the service answer well enough? `evaluation.py` shows it from start to finish."""

from chassis_tools.evals.cases import Case
from chassis_tools.evals.records import CaseOutcome, Refused, Trial
from chassis_tools.evals.scoring import Score

__all__ = ["Case", "CaseOutcome", "Refused", "Score", "Trial"]
