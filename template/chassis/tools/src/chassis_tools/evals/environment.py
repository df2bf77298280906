"""The service as an evaluation runs it: the real pipeline, but with a throw-away review queue and no reply cache."""

import importlib
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from pydantic import SecretStr
from pydantic_ai.models import Model

from chassis.call import Call
from chassis.clock import now
from chassis.config.confidence import ConfidenceCalibration
from chassis.config.constraints import Constraints
from chassis.config.project import Project, Settings, load_settings
from chassis.contract import Task
from chassis.errors import ConfigError
from chassis.guard.vendors import REQUIRED_VARIABLES, connect
from chassis.service import Service
from chassis.store.opening import open_database
from chassis.store.quality_history import DailyCounts
from chassis.store.review_queue import ReviewQueue
from chassis.telemetry.instruments import Instruments
from chassis.telemetry.logs import configure_logs
from chassis.wiring import wire
from chassis_tools.evals.identity import code_hash, model_identity
from chassis_tools.evals.plan import Plan
from chassis_tools.evals.recordings import Observation, ObservedModel, RecordedModel, Recording
from chassis_tools.evals.records import Variant
from chassis_tools.evals.suites import FILE, Suite

type Mode = Literal["replay", "live", "record"]
"""`replay` uses no network, no budget and not the service's database; `live` asks models; `record` keeps replies."""

API_KEYS = ("openai_api_key", "anthropic_api_key", "gemini_api_key", "openai_compatible_api_key")
UNREACHABLE_URL = "http://127.0.0.1:9/v1"


@dataclass(frozen=True, slots=True)
class EvalEnvironment:
    """What a run asks.

    Args:
        plan: The plan of the suite.
        mode: Where the replies of models come from.
        service: The service as callers get it, with a review queue that is thrown away.
        baseline: The same service without any model, or None if the service has no model anyway.
        instruments: Where spans go.
        caller: The caller of this run; each run has its own, so that the ledger limits what the run spends.
        code_hash: Changes with the team's code and the prompts in it.
    """

    plan: Plan
    mode: Mode
    service: Service[Any, Any]
    baseline: Service[Any, Any] | None
    instruments: Instruments
    caller: str
    code_hash: str

    @property
    def task(self) -> Task[Any, Any]:
        """Return the team's task."""
        return self.service.task

    def new_call(self) -> Call:
        """Begin a call of this run."""
        return self.service.new_call(self.caller)

    def uncalibrated(self) -> "EvalEnvironment":
        """Return an environment whose service leaves the confidence of a draft as it is."""
        plain = ConfidenceCalibration()
        baseline = self.baseline and replace(self.baseline, calibration=plain)
        return replace(self, service=replace(self.service, calibration=plain), baseline=baseline)

    def for_trial(self, variant: Variant) -> tuple[Service[Any, Any], Observation]:
        """Return what one trial asks, and where its models note what they do."""
        service = self.baseline if variant == "baseline" and self.baseline else self.service
        # Trials run concurrently, so the models of each make notes of their own.
        observed = Observation()
        if service.guard is None:
            return service, observed
        candidates = tuple(
            replace(candidate, model=ObservedModel(candidate.model, observed)) for candidate in service.guard.candidates
        )
        return replace(service, guard=replace(service.guard, candidates=candidates)), observed


@asynccontextmanager
async def open_environment(
    plan: Plan, mode: Mode, *, models: Mapping[str, Model] | None = None, recording: Recording | None = None
) -> AsyncGenerator[EvalEnvironment]:
    """Put the service together for one suite, and take it apart again.

    Args:
        plan: The plan of the suite.
        mode: Where the replies of models come from.
        models: Instead of the vendors' models, by the name in the constraints.
        recording: Instead of the suite's own; the caller then removes what was not needed.
    """
    project, settings = plan.project, load_settings(plan.project.root)
    constraints = _for_evaluation(plan.constraints, plan.suite)
    with TemporaryDirectory() as folder, _log_to_file(plan.folder.parent):
        if mode == "replay":
            settings = _offline(settings, Path(folder))
        is_shared = recording is not None
        if recording is None and mode != "live":
            recording = Recording.load(project.root, plan.name)
        if recording:
            models = _recorded_models(constraints, settings, recording, models, may_ask=mode == "record")
        database = await open_database("sqlite:///review.db", Path(folder))
        try:
            async with wire(project, constraints=constraints, settings=settings, models=models) as wiring:
                service = replace(
                    wiring.service,
                    review_queue=ReviewQueue(database, constraints.review.due_hours),
                    call_log=replace(wiring.service.call_log, daily_counts=DailyCounts(), history=None),
                )
                yield EvalEnvironment(
                    plan,
                    mode,
                    service,
                    baseline=replace(service, guard=None) if service.guard else None,
                    instruments=wiring.telemetry.instruments,
                    caller=f"evals-{now():%Y%m%dT%H%M%S}",
                    code_hash=task_code_hash(project),
                )
                if recording and mode == "record" and not is_shared:
                    recording.prune()
        finally:
            await database.close()


@contextmanager
def _log_to_file(folder: Path) -> Generator[None]:
    """Write the log to `log.jsonl` in a folder instead of the screen, where it would hide the report."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log.jsonl").open("a", encoding="utf-8") as log:
        configure_logs(production=True, stream=log)
        try:
            yield
        finally:
            configure_logs(production=False)


def _for_evaluation(constraints: Constraints, suite: Suite) -> Constraints:
    """Return the constraints without a cache, since every repeat is a new question, and with the run's own limits."""
    budget = constraints.cost.per_caller_day_usd if suite.budget_usd is None else suite.budget_usd
    concurrency = max(suite.max_concurrency, constraints.limits.concurrent_requests_per_model)
    return constraints.model_copy(
        update={
            "cache": constraints.cache.model_copy(update={"ttl_seconds": 0}),
            "cost": constraints.cost.model_copy(update={"per_caller_day_usd": budget}),
            "limits": constraints.limits.model_copy(update={"concurrent_requests_per_model": concurrency}),
        }
    )


def _offline(settings: Settings, folder: Path) -> Settings:
    """Return settings with which every model can be created and none reached, and with a temporary database."""
    return settings.model_copy(
        update={
            **dict.fromkeys(API_KEYS, SecretStr("recorded")),
            "local_model_url": UNREACHABLE_URL,
            "database_url": f"sqlite:///{folder / 'replay.db'}",
            "models_off": False,
        }
    )


def _recorded_models(
    constraints: Constraints,
    settings: Settings,
    recording: Recording,
    models: Mapping[str, Model] | None,
    *,
    may_ask: bool,
) -> dict[str, Model]:
    """Return the models with a recording in front: all that can be asked, or those of the recording's chain."""
    recorded: dict[str, Model] = {}
    for config in constraints.models if may_ask else recording.replayable(constraints.models):
        model = models.get(config.name) if models else connect(config, settings, constraints.latency.deadline_seconds)
        if model is not None:
            recorded[config.name] = RecordedModel(model, model_identity(config), recording, may_ask=may_ask)
    if may_ask:
        recording.note_unasked([config for config in constraints.models if config.name not in recorded])
    return recorded


def task_code_hash(project: Project) -> str:
    """Return the hash of the team's package, which holds its prompts."""
    package = importlib.import_module(project.task_path.partition(":")[0].partition(".")[0])
    origin = Path(package.__file__ or "")
    return code_hash(origin.parent if origin.name == "__init__.py" else origin)


def require_models(environment: EvalEnvironment) -> None:
    """Refuse a run that asks models where none can be asked: the baseline's answers would pass for theirs.

    Raises:
        ConfigError: The mode asks models, and none can be asked.
    """
    if environment.mode == "replay" or environment.service.guard is not None:
        return
    plan = environment.plan
    variables = " or ".join(dict.fromkeys(REQUIRED_VARIABLES[model.provider] for model in plan.constraints.models))
    remedy = f"Set {variables}" if variables else "Add a model to constraints.toml"
    where, problem = f"{FILE}: suites.{plan.name}", "the run asks models, and none can be asked here"
    raise ConfigError(where, problem, f"{remedy}, or run a replay suite")
