"""Compares models and prompts on one suite: what each costs, and how many answers are right."""

import importlib
import sys
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from pydantic_ai.models import Model

from chassis.config.project import Project
from chassis.errors import ConfigError
from chassis_tools.evals.case_scores import completed_trials, mean_score, records_of, scores_of
from chassis_tools.evals.environment import Mode, open_environment, require_models
from chassis_tools.evals.evaluation import make_evaluators, run, score
from chassis_tools.evals.jsonl import Progress
from chassis_tools.evals.plan import Plan
from chassis_tools.evals.recordings import Recording
from chassis_tools.evals.records import SuiteRun
from chassis_tools.evals.report.report import MATRIX, MATRIX_FILE, MatrixCell

BASELINE, CURRENT = "baseline", "current"
INTERVAL_ALPHA = 0.025


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """What is compared.

    Args:
        plan: The plan of the suite.
        evaluator: The evaluator that says what is right.
        models: Names of models in `constraints.toml`; each is asked alone. `BASELINE` asks none.
        prompts: Files, each in place of the module `module`; None for the module as it is.
        module: The module of prompts, such as `acme_help.prompts`.
        record: Whether models are asked for replies that are not recorded.
        doubles: Instead of the vendors' models, by the name in the constraints.
    """

    plan: Plan
    evaluator: str
    models: Sequence[str]
    prompts: Sequence[Path | None]
    module: str
    record: bool = False
    doubles: Mapping[str, Model] | None = None

    async def measure(self, progress: Progress) -> tuple[MatrixCell, ...]:
        """Ask every model with every prompt, and keep the result for the report.

        Raises:
            ConfigError: There is no such model, file or module, or no model can be asked.
        """
        root, suite = self.plan.project.root, self.plan.name
        recording = Recording.load(root, suite)
        more = Recording.load(root, f"{suite}.matrix")
        recording = replace(more, replies=recording.replies | more.replies)
        cells: list[MatrixCell] = []
        for prompt in self.prompts:
            with replaced_module(self.module, prompt):
                cells.extend([await self._cell(model, prompt, recording, progress) for model in self.models])
        if self.record:
            recording.prune()
        measured = mark_best(cells)
        folder = replace(self.plan, purpose="").folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MATRIX_FILE).write_bytes(MATRIX.dump_json(measured, indent=1) + b"\n")
        return measured

    async def _cell(self, model: str, prompt: Path | None, recording: Recording, progress: Progress) -> MatrixCell:
        chosen = [config for config in self.plan.constraints.models if config.name == model]
        if not chosen and model != BASELINE:
            names = ", ".join([*(config.name for config in self.plan.constraints.models), BASELINE])
            raise ConfigError("--model", f"there is no model {model!r}", f"Choose from: {names}")
        plan = replace(
            self.plan, constraints=self.plan.constraints.model_copy(update={"models": tuple(chosen)}), purpose="matrix"
        )
        mode: Mode = "record" if self.record and chosen else "replay"
        async with open_environment(plan, mode, models=self.doubles, recording=recording) as environment:
            require_models(environment)
            cases, evaluators, earlier = plan.cases(environment.task), make_evaluators(environment), SuiteRun()
            asked = await run(environment, cases, repeats=1, earlier=earlier, progress=progress)
            scored = await score(environment, cases, evaluators, asked, earlier=earlier, progress=progress)
        return self._summary(model, prompt, scored)

    def _summary(self, model: str, prompt: Path | None, scored: SuiteRun) -> MatrixCell:
        scores = scores_of(scored.records, self.evaluator)
        asked = {record.case for record in records_of(scored.records, self.evaluator)}
        trials = completed_trials(scored.records)
        # Without any recording the baseline answers alone, which says nothing of a model.
        is_asked = model == BASELINE or bool(scored.identity.models)
        name = prompt.name if prompt else CURRENT
        if not scores or not is_asked:
            return MatrixCell(model=model, prompt=name, cases=0, missing=len(asked))
        return MatrixCell(
            model=model,
            prompt=name,
            cases=len(scores),
            missing=len(asked) - len(scores),
            right=mean_score(scores, INTERVAL_ALPHA),
            usd=sum(trial.cost_usd for trial in trials) / len(trials),
            seconds=sum(trial.seconds for trial in trials) / len(trials),
        )


def mark_best(cells: Iterable[MatrixCell]) -> tuple[MatrixCell, ...]:
    """Mark the cells that no other beats in cost and quality at once: the Pareto front."""
    cells = tuple(cells)
    return tuple(replace(cell, is_best=not any(_beats(other, cell) for other in cells)) for cell in cells)


def _beats(one: MatrixCell, other: MatrixCell) -> bool:
    if other.missing or other.right is None:
        return True
    if one.missing or one.right is None:
        return False
    better, worse = (one.right.value, -one.usd), (other.right.value, -other.usd)
    return better != worse and better[0] >= worse[0] and better[1] >= worse[1]


def module_of_prompts(project: Project, name: str) -> str:
    """Return the dotted name of a module in the team's package."""
    return f"{project.task_path.partition(':')[0].partition('.')[0]}.{name}"


@contextmanager
def replaced_module(name: str, file: Path | None) -> Generator[None]:
    """Import the team's package afresh with a file in place of one of its modules, and put everything back.

    Raises:
        ConfigError: There is no such module or file.
    """
    if file is None:
        yield
        return
    package = name.partition(".")[0]
    before = {each: sys.modules.pop(each) for each in _loaded(package)}
    try:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            raise ConfigError("--module", f"there is no module {name!r}", "Name the module of your prompts") from None
        if not file.is_file():
            raise ConfigError("--prompts", f"there is no file {file}", "Name a file like your module of prompts")
        for each in _loaded(package):
            del sys.modules[each]
        parent = importlib.import_module(name.rpartition(".")[0])
        spec = spec_from_file_location(name, file)
        if spec is None or spec.loader is None:
            raise ConfigError("--prompts", f"{file} is not a Python file", "Name a file that ends in .py")
        module = module_from_spec(spec)
        sys.modules[name] = module
        setattr(parent, name.rpartition(".")[2], module)
        spec.loader.exec_module(module)
        yield
    finally:
        for each in _loaded(package):
            del sys.modules[each]
        sys.modules.update(before)


def _loaded(package: str) -> Iterator[str]:
    return iter([name for name in sys.modules if name.partition(".")[0] == package])
