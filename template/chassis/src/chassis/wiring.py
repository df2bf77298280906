"""The composition root: the only place that puts everything together. Defaults are real, and each can be replaced."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from pydantic_ai.models import Model

from chassis.call_log import CallLog
from chassis.config.constraints import Constraints, load_constraints
from chassis.config.ownership import Team, load_ownership
from chassis.config.project import Project, find_project
from chassis.config.settings import Settings, load_settings
from chassis.contract import Task
from chassis.gauges import GaugeSources, refreshed_gauges
from chassis.guard.candidate import Candidate
from chassis.guard.circuit_breaker import CircuitBreaker
from chassis.guard.egress import VendorModel
from chassis.guard.pipeline import Guard
from chassis.guard.vendors import REQUIRED_VARIABLES, connect
from chassis.limits import ConcurrencyLimit
from chassis.money.ledger import Ledger
from chassis.money.prices import find_price
from chassis.privacy.policy import check_recognizers
from chassis.service import Service
from chassis.store.api_keys import ApiKeys
from chassis.store.database import Database
from chassis.store.kill_switch import KillSwitch
from chassis.store.opening import open_database
from chassis.store.reply_cache import ReplyCache
from chassis.store.review_queue import ReviewQueue
from chassis.telemetry.setup import Identity, Telemetry, start_telemetry

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Wiring:
    """A service with all its parts, open until the context of `wire` is left."""

    project: Project
    settings: Settings
    constraints: Constraints
    task: Task[Any, Any]
    database: Database
    api_keys: ApiKeys
    ledger: Ledger
    kill_switch: KillSwitch
    review_queue: ReviewQueue
    service: Service[Any, Any]
    telemetry: Telemetry
    owner: Team


@asynccontextmanager
async def wire(
    project: Project | None = None,
    *,
    task: Task[Any, Any] | None = None,
    constraints: Constraints | None = None,
    settings: Settings | None = None,
    models: Mapping[str, Model] | None = None,
    owner: Team | None = None,
) -> AsyncGenerator[Wiring]:
    """Put the service together, and take it apart again.

    Args:
        project: The team's repository; found from the working directory if not given.
        task: Instead of the one that `pyproject.toml` names.
        constraints: Instead of `constraints.toml`.
        settings: Instead of the environment.
        models: Instead of the vendors, by the name in the constraints.
        owner: Instead of the team that `ownership.toml` makes accountable for the system.

    Raises:
        ConfigError: A file, a variable or the task says something that cannot be meant.
    """
    project = project or find_project()
    settings = settings or load_settings(project.root)
    constraints = constraints or load_constraints(project.root)
    owner = owner or load_ownership(project.root).owner
    task = task or project.load_task()
    check_recognizers(constraints, task.recognizers)
    links = _candidates(constraints, settings, models)
    async with AsyncExitStack() as open_parts:
        for link in links:
            if isinstance(link.model, VendorModel):
                open_parts.push_async_callback(link.model.close)
        whose = Identity(project.name, project.version, settings.chassis_env, owner.handle)
        telemetry = start_telemetry(whose, project.root / "var")
        open_parts.callback(telemetry.shutdown)
        database = await open_database(settings.database_url, project.root)
        open_parts.push_async_callback(database.close)
        ledger = Ledger(database)
        open_parts.push_async_callback(ledger.close)
        review_queue = ReviewQueue(database, constraints.review.due_hours)
        replies = ReplyCache(database, constraints.cache.ttl_seconds)
        switch = KillSwitch(database, held_off=settings.models_off)
        guard = Guard(links, constraints, ledger, replies, switch, task.recognizers) if links else None
        service = Service(task, constraints, guard, review_queue, CallLog(constraints.latency.p95_seconds))
        keys = ApiKeys(database, production=settings.chassis_env == "production")
        async with refreshed_gauges(GaugeSources(ledger, review_queue, switch), constraints, telemetry.instruments):
            yield Wiring(
                project,
                settings,
                constraints,
                task,
                database,
                keys,
                ledger,
                switch,
                review_queue,
                service,
                telemetry,
                owner,
            )


def _candidates(
    constraints: Constraints, settings: Settings, models: Mapping[str, Model] | None
) -> tuple[Candidate, ...]:
    """Return the models of the chain that can be asked; those that cannot are named in the log."""
    links: list[Candidate] = []
    limits = constraints.limits
    destinations = {name: CircuitBreaker(f"destination:{name}") for name in constraints.destinations}
    for rules in constraints.models:
        price = find_price(rules)
        if models is None:
            vendor = connect(rules, settings, timeout=constraints.latency.deadline_seconds)
        else:
            vendor = models.get(rules.name)
        if vendor is None:
            log.warning(
                "model.unavailable", model=rules.name, reason=f"{REQUIRED_VARIABLES[rules.provider]} is not set"
            )
        else:
            breaker = CircuitBreaker(f"model:{rules.name}")
            line = ConcurrencyLimit(limits.concurrent_requests_per_model, limits.queued_requests_per_model)
            destination = destinations[rules.destination]
            links.append(Candidate(rules, vendor, price, breaker, destination, line, limits.retries_per_model))
    return tuple(links)
