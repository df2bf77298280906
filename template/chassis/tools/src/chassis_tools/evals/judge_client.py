"""Asks a judge whether an answer has its failure, and reads PASS or FAIL out of the reply."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.exceptions import AgentRunError

from chassis.config.constraints import load_constraints
from chassis.config.project import Project
from chassis.contract import Answered
from chassis.errors import CallError, ConfigError
from chassis.guard.model import GuardedModel
from chassis.guard.pipeline import Guard
from chassis.guard.vendors import REQUIRED_VARIABLES
from chassis_tools.evals.cases import Case
from chassis_tools.evals.environment import EvalEnvironment, open_environment
from chassis_tools.evals.judges import FILE, PROMPT, Calibration, Label, judge_hash, load_labels
from chassis_tools.evals.plan import Plan
from chassis_tools.evals.recordings import NotRecorded
from chassis_tools.evals.records import NOT_RECORDED, CaseOutcome, Trial, is_not_recorded
from chassis_tools.evals.scoring import Evaluator, JudgeFailed, Score
from chassis_tools.evals.statistics import Agreement
from chassis_tools.evals.suites import Suite, load_suites

VERDICTS = {"PASS": 1.0, "FAIL": 0.0}


@dataclass(frozen=True, slots=True)
class JudgeClient(Evaluator):
    """A judge as an evaluator. It scores answers only: a referral contains nothing that could have the failure.

    Args:
        environment: The run whose budget pays for it.
        guard: The pipeline to its model alone, or None if the model cannot be asked here.
    """

    is_judge: ClassVar[bool] = True

    environment: EvalEnvironment
    guard: Guard | None

    async def evaluate(self, case: Case[Any], outcome: CaseOutcome[Any], trial: Trial) -> Score | None:
        """Return the score of an answer; see `ask`."""
        del trial  # a judge reads the answer alone
        if not isinstance(outcome, Answered):
            return None
        return await self.ask(_as_text(case.input), _as_text(outcome.value))

    async def ask(self, question: str, answer: str) -> Score:
        """Return 1 for PASS and 0 for FAIL, with the judge's reason.

        Raises:
            JudgeFailed: The judge could not be asked, or answered neither PASS nor FAIL.
        """
        if self.guard is None:
            raise JudgeFailed("NoModel")
        call = self.environment.new_call()
        failure = self.environment.plan.judges[self.name].failure
        agent = Agent(GuardedModel(self.guard, call), instructions=PROMPT.format(failure=failure))
        try:
            reply = await agent.run(f"<question>\n{question}\n</question>\n\n<answer>\n{answer}\n</answer>")
        except (AgentRunError, CallError, NotRecorded) as error:
            name = NOT_RECORDED if is_not_recorded(call.attempts) else type(error).__name__
            raise JudgeFailed(name, cost=call.cost) from error
        reason, _, last_line = reply.output.strip().rpartition("\n")
        verdict = last_line.strip(" .*").upper()
        if verdict not in VERDICTS:
            raise JudgeFailed("NeitherPassNorFail", reply.output, call.cost)
        return Score(VERDICTS[verdict], reason.strip(), call.cost)


def make_judge(name: str, environment: EvalEnvironment, *, required: bool) -> JudgeClient:
    """Return a judge; one that is not required may be one that cannot be asked, and fails on every answer.

    Raises:
        ConfigError: The judge is required, and its model cannot be asked here.
    """
    plan, guard = environment.plan, environment.service.guard
    model = plan.judges[name].model
    candidates = tuple(each for each in guard.candidates if each.config.name == model) if guard else ()
    if guard and candidates:
        guard = replace(guard, candidates=candidates)
    elif required:
        config = next(each for each in plan.constraints.models if each.name == model)
        remedy = f", or run `chassis evals record {plan.name}`" if environment.mode == "replay" else ""
        where, problem = f"{FILE}: judges.{name}.model", f"the model {model!r} cannot be asked here"
        raise ConfigError(where, problem, f"Set {REQUIRED_VARIABLES[config.provider]}{remedy}")
    else:
        guard = None
    return JudgeClient(name, plan.judge_hashes[name], environment, guard)


async def calibrate(project: Project, name: str) -> Calibration:
    """Ask a judge about every labeled answer, and return how often it agrees with people.

    Raises:
        ConfigError: There is no such judge, it has no labels, or its model cannot be asked here.
    """
    judges, constraints = load_suites(project.root).judges, load_constraints(project.root)
    if name not in judges:
        choices = ", ".join(judges) or "none"
        raise ConfigError(FILE, f"there is no judge {name!r}", f"Choose from: {choices}")
    labels = load_labels(project.root, name)
    plan = Plan(
        project=project,
        name=f"judge-{name}",
        # Not validated, because it has no cases: only the judge is asked.
        suite=Suite.model_construct(kind="live", cases=(), evaluators=(name,), rules=()),
        constraints=constraints,
        judges=judges,
        judge_hashes={name: judge_hash(name, judges[name], constraints)},
    )
    async with open_environment(plan, "live") as environment:
        return await _calibrate(make_judge(name, environment, required=True), labels)


async def _calibrate(judge: JudgeClient, labels: Sequence[Label]) -> Calibration:
    judged, agreed, errors = {True: 0, False: 0}, {True: 0, False: 0}, 0
    for label in labels:
        try:
            score = await judge.ask(label.question, label.answer)
        except JudgeFailed:
            errors += 1
            continue
        judged[label.good] += 1
        agreed[label.good] += bool(score.value) is label.good
    agreement = Agreement(judged[True], agreed[True], judged[False], agreed[False])
    return Calibration(judge.name, judge.hash, agreement, errors)


def _as_text(value: BaseModel) -> str:
    """Return a question or an answer the way its class prints it, or as JSON."""
    prints_itself = type(value).__str__ is not BaseModel.__str__
    return str(value) if prints_itself else value.model_dump_json()
