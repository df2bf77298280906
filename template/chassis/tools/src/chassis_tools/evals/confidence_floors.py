"""Grades the answers of a suite at every confidence, and says what each `quality.confidence_floor` would do."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import product
from typing import Any

from chassis.config.confidence import ConfidenceCurve
from chassis.contract import Answered, FallbackReason, Referred
from chassis_tools.evals.confidence_fit import MIN_ANSWERS, fit_and_measure
from chassis_tools.evals.environment import open_environment
from chassis_tools.evals.evaluation import make_evaluators, run
from chassis_tools.evals.gate_result import ALPHA
from chassis_tools.evals.jsonl import Progress
from chassis_tools.evals.plan import Plan
from chassis_tools.evals.records import SuiteRun, outcome_from_json
from chassis_tools.evals.statistics import Interval, wilson

FLOORS = tuple(percent / 100 for percent in range(10, 95, 5))
SILENT = Progress(start=lambda _, __: None, advance=lambda: None)
REFERRED: Referred = Referred("", FallbackReason.LOW_CONFIDENCE, datetime.min)  # noqa: DTZ901  never shown to anyone


@dataclass(frozen=True, slots=True)
class GradedAnswer:
    """An answer that was given at any confidence.

    Args:
        answered_by: The name of a model, `baseline`, or `task`.
        confidence: How confident the service was.
        is_answerable: Whether a person need not answer: the grader does not accept a referral.
        is_right: Whether the grader accepts the answer.
    """

    answered_by: str
    confidence: float
    is_answerable: bool
    is_right: bool


@dataclass(frozen=True, slots=True)
class FloorEffect:
    """What callers would get at one floor, in numbers of cases."""

    floor: float
    right: int
    wrong: int
    made_up: int
    needless_referrals: int
    right_referrals: int

    @property
    def accuracy(self) -> Interval:
        """Return the share of right answers and right referrals, with bounds that hold in 95 % of such samples."""
        right = self.right + self.right_referrals
        return wilson(right, right + self.wrong + self.made_up + self.needless_referrals, ALPHA)


async def grade_answers(plan: Plan, evaluator: str, *, as_drafted: bool = False) -> list[GradedAnswer]:
    """Ask every case of a suite without a floor, and grade the answers. Models give those that were recorded.

    Args:
        plan: The plan of the suite.
        evaluator: The grader that decides.
        as_drafted: Whether to return each confidence as the task gave it, rather than calibrated, and the baseline's
            answers too where a model answers.

    Raises:
        ConfigError: A case or a grader does not fit.
    """
    quality = plan.constraints.quality.model_copy(update={"confidence_floor": 0.0})
    constraints = plan.constraints.model_copy(update={"quality": quality})
    plan = replace(plan, constraints=constraints, purpose="floors")
    async with open_environment(plan, "replay") as calibrated:
        environment = calibrated.uncalibrated() if as_drafted else calibrated
        cases = {case.id: case for case in plan.cases(environment.task)}
        [grader] = [each for each in make_evaluators(environment) if each.name == evaluator]
        asked = await run(environment, list(cases.values()), repeats=1, earlier=SuiteRun(), progress=SILENT)
        graded: list[GradedAnswer] = []
        for trial in asked.trials:
            outcome = outcome_from_json(trial.outcome, environment.task.gives) if trial.outcome else None
            if isinstance(outcome, Answered) and (as_drafted or trial.variant == "service"):
                answer: Answered[Any] = outcome
                score = await grader.evaluate(cases[trial.case], answer, trial)
                referred = await grader.evaluate(cases[trial.case], REFERRED, trial)
                if score and referred:
                    graded.append(
                        GradedAnswer(answer.answered_by, answer.confidence, referred.value < 1, score.value == 1)
                    )
        return graded


def fit_by_answerer(answers: Sequence[GradedAnswer]) -> dict[str, ConfidenceCurve]:
    """Return a curve for each model, and for the baseline, that gave enough answers."""
    by_name: dict[str, list[tuple[float, bool]]] = {}
    for answer in answers:
        if answer.confidence:  # 0 stays 0
            by_name.setdefault(answer.answered_by, []).append((answer.confidence, answer.is_right))
    return {name: fit_and_measure(pairs) for name, pairs in sorted(by_name.items()) if len(pairs) >= MIN_ANSWERS}


def floor_effects(answers: Sequence[GradedAnswer]) -> list[FloorEffect]:
    """Return what callers would get at each floor."""
    return [floor_effect(answers, floor) for floor in FLOORS]


def floor_effect(answers: Sequence[GradedAnswer], floor: float) -> FloorEffect:
    """Return what callers would get at one floor."""
    shown = [answer for answer in answers if answer.confidence >= floor]
    referred = [answer for answer in answers if answer.confidence < floor]
    return FloorEffect(
        floor,
        right=sum(answer.is_right for answer in shown),
        wrong=sum(answer.is_answerable and not answer.is_right for answer in shown),
        made_up=sum(not answer.is_answerable and not answer.is_right for answer in shown),
        needless_referrals=sum(answer.is_answerable for answer in referred),
        right_referrals=sum(not answer.is_answerable for answer in referred),
    )


def separation(answers: Sequence[GradedAnswer]) -> float | None:
    """Return how often an answerable question has a higher confidence than another one (AUROC); a tie counts half."""
    answerable = [answer.confidence for answer in answers if answer.is_answerable]
    others = [answer.confidence for answer in answers if not answer.is_answerable]
    if not answerable or not others:
        return None
    wins = sum((one > other) + (one == other) / 2 for one, other in product(answerable, others))
    return wins / (len(answerable) * len(others))
