"""The service as an evaluation asks it: the same walk, but no person is bothered and no reply is used twice."""

import importlib
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from pydantic import SecretStr
from pydantic_ai.models import Model

from chassis.clock import now
from chassis.config.constraints import Constraints, load_constraints
from chassis.config.project import Project
from chassis.config.settings import Settings, load_settings
from chassis.guard.pipeline import Guard
from chassis.guard.vendors import connect
from chassis.service import Service
from chassis.store.opening import open_database
from chassis.store.review_queue import ReviewQueue
from chassis.wiring import Wiring, wire
from chassis_tools.evals.jsonl import code_hash, json_hash
from chassis_tools.evals.recordings import RecordedModel, Recording
from chassis_tools.evals.suites import Suite

type Mode = Literal["replay", "live", "record"]

KEYS = ("openai_api_key", "anthropic_api_key", "gemini_api_key", "openai_compatible_api_key")
NOWHERE = "http://127.0.0.1:9/v1"


@dataclass(frozen=True, slots=True)
class EvalEnvironment:
    """Who can be asked.

    Args:
        wiring: The parts.
        service: The service as callers get it, without a real desk.
        baseline: The same service if no model could ever be asked, or None if that is what it is anyway.
        caller: Who asks; a caller of its own for each run, so that the ledger bounds what the run spends.
        model_hash: Changes with the models that can answer.
        prompts_hash: Changes with the code of the team, and the prompts in it.
    """

    wiring: Wiring
    service: Service[Any, Any]
    baseline: Service[Any, Any] | None
    caller: str
    model_hash: str
    prompts_hash: str

    @property
    def guard(self) -> Guard | None:
        """Return the walk to the models, for judges."""
        return self.service.guard


@asynccontextmanager
async def open_environment(
    project: Project, name: str, suite: Suite, mode: Mode, *, models: Mapping[str, Model] | None = None
) -> AsyncGenerator[EvalEnvironment]:
    """Put the service together for one suite.

    Args:
        project: Whose.
        name: The suite's name.
        suite: The suite.
        mode: `replay` touches no network, no budget and no database of the service; the others ask real models.
        models: Instead of the vendors, by the name in the constraints.
    """
    settings = load_settings(project.root)
    constraints = _for_evaluation(load_constraints(project.root), suite)
    tape = Recording.of(project.root, name)
    with TemporaryDirectory() as folder:
        if mode == "replay":
            settings = _offline(settings, Path(folder))
        if mode != "live":
            models = _taped(constraints, settings, tape, models, may_ask=mode == "record")
        database = await open_database("sqlite:///desk.db", Path(folder))
        try:
            async with wire(project, constraints=constraints, settings=settings, models=models) as wiring:
                review_queue = ReviewQueue(database, constraints.review.due_hours)
                service = replace(wiring.service, review_queue=review_queue)
                chain = service.guard.chain_id if service.guard else "baseline"
                yield EvalEnvironment(
                    wiring,
                    service,
                    replace(service, guard=None) if service.guard else None,
                    f"evals-{now():%Y%m%dT%H%M%S}",
                    json_hash(chain),
                    _code_hash(project),
                )
                if mode == "record":
                    tape.save()
        finally:
            await database.close()


def _for_evaluation(constraints: Constraints, suite: Suite) -> Constraints:
    """Return the constraints with the cache off, since each repeat is a new question, and the run's own ceilings."""
    spend = constraints.cost.per_caller_day_usd if suite.spend_usd is None else suite.spend_usd
    at_once = max(suite.at_once, constraints.limits.concurrent_requests_per_model)
    return constraints.model_copy(
        update={
            "cache": constraints.cache.model_copy(update={"ttl_seconds": 0}),
            "cost": constraints.cost.model_copy(update={"per_caller_day_usd": spend}),
            "limits": constraints.limits.model_copy(update={"concurrent_requests_per_model": at_once}),
        }
    )


def _offline(settings: Settings, folder: Path) -> Settings:
    """Return settings with which every model can be made and none reached, and a database that is thrown away."""
    keys = dict.fromkeys(KEYS, SecretStr("recorded"))
    return settings.model_copy(
        update={
            **keys,
            "local_model_url": NOWHERE,
            "database_url": f"sqlite:///{folder / 'replay.db'}",
            "models_off": False,
        }
    )


def _taped(
    constraints: Constraints, settings: Settings, tape: Recording, models: Mapping[str, Model] | None, *, may_ask: bool
) -> dict[str, Model]:
    """Return the models with a tape in front: those that can be asked, or those that are on it."""
    taped: dict[str, Model] = {}
    for rules in constraints.models:
        if not may_ask and rules.name not in tape.models:
            continue
        vendor = models.get(rules.name) if models else connect(rules, settings, constraints.latency.deadline_seconds)
        if vendor is not None:
            taped[rules.name] = RecordedModel(vendor, rules.name, tape, may_ask=may_ask)
    return taped


def _code_hash(project: Project) -> str:
    package = importlib.import_module(project.task_path.partition(":")[0].partition(".")[0])
    origin = Path(package.__file__ or "")
    return code_hash(origin.parent if origin.name == "__init__.py" else origin)
