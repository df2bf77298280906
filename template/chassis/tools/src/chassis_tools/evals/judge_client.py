"""Asks a judge, and reads PASS or FAIL out of what it says."""

from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.exceptions import AgentRunError

from chassis.config.constraints import Constraints
from chassis.contract import Answered
from chassis.errors import CallError, ConfigError
from chassis.guard.model import GuardedModel
from chassis.guard.pipeline import Guard
from chassis.guard.vendors import REQUIRED_VARIABLES
from chassis_tools.evals.cases import Case
from chassis_tools.evals.environment import EvalEnvironment
from chassis_tools.evals.graders import Evaluator, JudgeFailed, Score
from chassis_tools.evals.judges import FILE, PROMPT, Judge, judge_hash
from chassis_tools.evals.outcomes import CaseOutcome
from chassis_tools.evals.recordings import NotRecorded, Playback, playback

WORDS = {"PASS": 1.0, "FAIL": 0.0}


@dataclass(frozen=True, slots=True)
class JudgeClient:
    """A judge with the means to ask.

    Args:
        name: What suites and records call it.
        judge: What it looks for.
        guard: The walk to its model alone.
        stage: Whose budget it draws from.
    """

    name: str
    judge: Judge
    guard: Guard
    stage: EvalEnvironment

    @property
    def fingerprint(self) -> str:
        """Return what changes with the judge: its model, its failure, its prompt."""
        return judge_hash(self.name, self.judge, self.guard.constraints)

    async def ask(self, question: str, answer: str) -> Score:
        """Return 1 for PASS and 0 for FAIL, with the judge's reason.

        Raises:
            JudgeFailed: It could not be asked, or said neither.
        """
        replayed = Playback()
        mark = playback.set(replayed)
        call = self.stage.service.new_call(self.stage.caller)
        agent = Agent(GuardedModel(self.guard, call), instructions=PROMPT.format(failure=self.judge.failure))
        try:
            said = await agent.run(f"<question>\n{question}\n</question>\n\n<answer>\n{answer}\n</answer>")
        except (AgentRunError, CallError, NotRecorded) as error:
            name = "NotRecorded" if replayed.missing else type(error).__name__
            raise JudgeFailed(name, cost=call.cost) from error
        finally:
            playback.reset(mark)
        reason, _, last = said.output.strip().rpartition("\n")
        word = last.strip(" .*").upper()
        if word not in WORDS:
            raise JudgeFailed("NeitherPassNorFail", said.output, call.cost)
        return Score(WORDS[word], reason.strip(), call.cost)


def make_judge(name: str, judge: Judge, stage: EvalEnvironment, remedy: str = "") -> JudgeClient:
    """Return a judge that can be asked; `remedy` is what else than a key would help where it cannot.

    Raises:
        ConfigError: Its model is not in the constraints, or cannot be asked here.
    """
    links = tuple(link for link in stage.guard.candidates if link.config.name == judge.model) if stage.guard else ()
    if stage.guard is None or not links:
        keys = (
            REQUIRED_VARIABLES[rules.provider]
            for rules in stage.service.constraints.models
            if rules.name == judge.model
        )
        key = next(keys, "the key of one that constraints.toml has")
        where, problem = f"{FILE}: judges.{name}.model", f"the model {judge.model!r} cannot be asked here"
        raise ConfigError(where, problem, f"Set {key}{remedy}")
    return JudgeClient(name, judge, replace(stage.guard, candidates=links), stage)


def judge_evaluator(bench: JudgeClient) -> Evaluator:
    """Return a judge as an evaluator; it speaks of answers alone, because a referral says nothing that could fail."""

    async def mark(case: Case[Any], outcome: CaseOutcome[Any]) -> Score | None:
        if not isinstance(outcome, Answered):
            return None
        return await bench.ask(as_text(case.input), as_text(outcome.value))

    def applies(_: Case[Any], outcome: CaseOutcome[Any]) -> bool:
        return isinstance(outcome, Answered)

    return Evaluator(bench.name, bench.fingerprint, applies, mark, is_judge=True)


def unavailable_judge(name: str, judge: Judge, constraints: Constraints) -> Evaluator:
    """Return a judge that cannot be asked here, for rules that only advise: it errs on every answer."""

    async def mark(case: Case[Any], outcome: CaseOutcome[Any]) -> Score | None:
        del case
        if isinstance(outcome, Answered):
            raise JudgeFailed("NoModel")
        return None

    def applies(_: Case[Any], outcome: CaseOutcome[Any]) -> bool:
        return isinstance(outcome, Answered)

    return Evaluator(name, judge_hash(name, judge, constraints), applies, mark, is_judge=True)


def as_text(value: BaseModel) -> str:
    """Return a question or an answer as its author prints it, or as JSON."""
    prints_itself = type(value).__str__ is not BaseModel.__str__
    return str(value) if prints_itself else value.model_dump_json()
