"""Runs one suite: puts the service together, asks, scores, and leaves trials and records in the suite's folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic_ai.models import Model

from chassis.config.constraints import Constraints
from chassis.config.project import Project
from chassis.errors import ConfigError
from chassis.guard.vendors import REQUIRED_VARIABLES
from chassis_tools.evals.cases import load_cases
from chassis_tools.evals.environment import EvalEnvironment, Mode, open_environment
from chassis_tools.evals.graders import Evaluator, load_grader
from chassis_tools.evals.jsonl import JsonlWriter, Progress, read_jsonl, write_jsonl
from chassis_tools.evals.judge_client import judge_evaluator, make_judge, unavailable_judge
from chassis_tools.evals.judges import load_judges
from chassis_tools.evals.judging import RUNS
from chassis_tools.evals.records import JUDGEMENTS, RECORDS, TRIALS, Judgement
from chassis_tools.evals.run import earlier_trials, run, stamp_of, turns_of
from chassis_tools.evals.score import score
from chassis_tools.evals.suites import FILE, Suite


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be run.

    Args:
        project: Whose service.
        name: The suite's name.
        suite: The suite.
        mode: Whether models are asked, and whether their replies are recorded.
        resume: Whether to go on where an earlier run of the same stopped.
        repeats: How often each case is asked, in all.
        models: Instead of the vendors, by the name in the constraints.
    """

    project: Project
    name: str
    suite: Suite
    mode: Mode
    resume: bool = False
    repeats: int = 1
    models: Mapping[str, Model] | None = None

    @property
    def folder(self) -> Path:
        """Return where trials and records go."""
        return self.project.root / RUNS / self.name


async def run_suite(order: Order, progress: Progress) -> None:
    """Run one suite.

    Raises:
        ConfigError: A file says something that cannot be meant, the run to resume was about something else, or models
            are to be asked and none can be.
    """
    folder = order.folder
    judgements = read_jsonl(folder / JUDGEMENTS, Judgement, "Remove it") if order.resume else []
    docket = JsonlWriter(folder / JUDGEMENTS, judgements, progress)
    (folder / RECORDS).unlink(missing_ok=True)
    async with open_environment(order.project, order.name, order.suite, order.mode, models=order.models) as staged:
        if order.mode != "replay" and staged.guard is None:
            raise _nobody_to_ask(order.name, staged.wiring.service.constraints)
        task = staged.wiring.task
        cases = [
            case for case in load_cases(order.project.root, task, order.suite.cases) if case.split in order.suite.splits
        ]
        evaluators = [_evaluator(order, name, staged) for name in order.suite.evaluators]
        stamp = stamp_of(order.name, cases, staged)
        done = earlier_trials(folder, stamp) if order.resume else []
        turns = turns_of(staged, cases, order.repeats, done)
        progress.begin("answers", len(turns))
        trials = await run(staged, turns, stamp, order.suite.at_once, JsonlWriter(folder / TRIALS, done, progress))
        with docket:
            records = await score(trials, cases, evaluators, task, docket=docket, at_once=order.suite.at_once)
    write_jsonl(folder / RECORDS, records)


def _nobody_to_ask(name: str, constraints: Constraints) -> ConfigError:
    """Return the refusal to take the baseline's answers for a model's because a key is missing."""
    missing = " or ".join(dict.fromkeys(REQUIRED_VARIABLES[link.provider] for link in constraints.models))
    remedy = f"Set {missing}" if missing else "Add a model to constraints.toml"
    where, problem = f"{FILE}: suites.{name}", "it asks models, and none can be asked here"
    return ConfigError(where, problem, f"{remedy}, or run a suite that replays")


def _evaluator(order: Order, name: str, staged: EvalEnvironment) -> Evaluator:
    judges = load_judges(order.project.root)
    if name not in judges:
        return load_grader(order.project.root, name)
    remedy = f", or run `chassis evals record {order.name}`" if order.mode == "replay" else ""
    try:
        return judge_evaluator(make_judge(name, judges[name], staged, remedy))
    except ConfigError:
        if name in order.suite.deciding:
            raise
        return unavailable_judge(name, judges[name], staged.wiring.service.constraints)
