"""The composition root: the only place where a service is put together from its parts."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
from pydantic_ai.models import Model

from chassis.call_log import CallLog
from chassis.clock import repeated
from chassis.config.confidence import load_confidence
from chassis.config.constraints import Constraints, load_constraints
from chassis.config.ownership import Team, load_ownership
from chassis.config.project import Project, Settings, find_project, load_settings
from chassis.contract import Task
from chassis.gauges import REFRESH_SECONDS, GaugeSources, refresh_gauges
from chassis.guard.candidate import Candidate
from chassis.guard.circuit_breaker import CircuitBreaker
from chassis.guard.concurrency import ConcurrencyLimit
from chassis.guard.egress import VendorModel
from chassis.guard.pipeline import Guard
from chassis.guard.vendors import REQUIRED_VARIABLES, connect
from chassis.money.ledger import Ledger
from chassis.money.prices import Price, find_price
from chassis.notifier import Notifier
from chassis.privacy.policy import check_recognizers
from chassis.quality.drift import DriftWatch, running_versions
from chassis.service import Service
from chassis.store.call_history import CallHistory
from chassis.store.credentials import ApiKeys
from chassis.store.database import Database
from chassis.store.deletion import Retention
from chassis.store.feedback import FeedbackBox
from chassis.store.kill_switch import KillSwitch
from chassis.store.opening import open_database
from chassis.store.outbox import Outbox
from chassis.store.quality_history import DailyCounts, DriftAlarms
from chassis.store.reply_cache import ReplyCache
from chassis.store.review_queue import ReviewQueue
from chassis.store.reviews import Reviews
from chassis.telemetry.instruments import Instruments
from chassis.telemetry.setup import Identity, Telemetry, start_telemetry

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """A service and its parts, usable until the context of `wire` ends."""

    project: Project
    settings: Settings
    constraints: Constraints
    task: Task[Any, Any]
    database: Database
    api_keys: ApiKeys
    ledger: Ledger
    kill_switch: KillSwitch
    review_queue: ReviewQueue
    reviews: Reviews
    call_history: CallHistory
    feedback: FeedbackBox
    notifier: Notifier
    retention: Retention
    drift_watch: DriftWatch
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
    """Put a service together, and close its parts when the context ends.

    Args:
        project: The team's repository. Default: the one that contains the working directory.
        task: Default: the one that `pyproject.toml` names.
        constraints: Default: those in `constraints.toml`.
        settings: Default: those in the environment.
        models: Models by their names in the constraints. Default: those of the vendors.
        owner: Default: the team that `ownership.toml` makes accountable.

    Raises:
        ConfigError: A file, an environment variable or the task is invalid.
    """
    project = project or find_project()
    settings = settings or load_settings(project.root)
    constraints = constraints or load_constraints(project.root)
    owner = owner or load_ownership(project.root).owner
    calibration = load_confidence(project.root)
    task = task or project.load_task()
    check_recognizers(constraints, task.recognizers)
    # Also of models without an API key: an unknown price should not come to light only once the key is set.
    prices = {config.name: find_price(config) for config in constraints.models}
    if models is None:
        models = _connect_models(constraints, settings)
    # The parts are closed in reverse order, so that each still has what it needs: the ledger its database, for example.
    async with AsyncExitStack() as open_parts:
        for model in models.values():
            if isinstance(model, VendorModel):
                open_parts.push_async_callback(model.close)
        identity = Identity(project.name, project.version, settings.env, owner.handle)
        telemetry = start_telemetry(identity, project.root / "var")
        open_parts.callback(telemetry.shutdown)
        instruments = telemetry.instruments
        database = await open_database(settings.database_url, project.root)
        open_parts.push_async_callback(database.close)
        ledger = Ledger(database)
        open_parts.push_async_callback(ledger.close)
        kill_switch = KillSwitch(database, instruments, held_off=settings.models_off)
        candidates = _candidates(constraints, models, prices, instruments)
        guard = None
        if candidates:
            guard = Guard(
                candidates=candidates,
                constraints=constraints,
                ledger=ledger,
                reply_cache=ReplyCache(database, constraints.cache.ttl_seconds),
                kill_switch=kill_switch,
                instruments=instruments,
                recognizers=task.recognizers,
            )
        review_queue = ReviewQueue(database, constraints.review.due_hours)
        daily_counts = DailyCounts(running_versions(project, constraints))
        await open_parts.enter_async_context(daily_counts.saved_to(database))
        call_history = CallHistory(
            database,
            keep_answers=constraints.retention.calls_days > 0,
            sample_share=constraints.review.sample_share,
        )
        open_parts.push_async_callback(call_history.close)
        feedback = FeedbackBox(
            database,
            call_history,
            review_queue,
            instruments,
            refer_negative=constraints.review.negative_feedback,
        )
        call_log = CallLog(constraints.latency.p95_seconds, instruments, daily_counts, call_history)
        notifier = Notifier(
            project.name,
            owner,
            constraints.callbacks,
            settings,
            Outbox(database),
            review_queue,
            DriftAlarms(database),
            instruments,
        )
        gauges = GaugeSources(database, ledger, review_queue, kill_switch)
        refresh = partial(refresh_gauges, gauges, constraints, instruments)
        async with repeated("gauges", REFRESH_SECONDS, refresh):
            yield Wiring(
                project=project,
                settings=settings,
                constraints=constraints,
                task=task,
                database=database,
                api_keys=ApiKeys(database, production=settings.production),
                ledger=ledger,
                kill_switch=kill_switch,
                review_queue=review_queue,
                reviews=Reviews(database, constraints.review.second_share),
                call_history=call_history,
                feedback=feedback,
                notifier=notifier,
                retention=Retention(database, constraints.retention, instruments),
                drift_watch=DriftWatch(database, task.name),
                service=Service(task, constraints, guard, review_queue, call_log, calibration),
                telemetry=telemetry,
                owner=owner,
            )


def _connect_models(constraints: Constraints, settings: Settings) -> dict[str, Model]:
    """Return the models that can be asked, by name, and log those that cannot."""
    connected: dict[str, Model] = {}
    for config in constraints.models:
        model = connect(config, settings, timeout=constraints.latency.deadline_seconds)
        if model is None:
            reason = f"{REQUIRED_VARIABLES[config.provider]} is not set"
            log.warning("model.unavailable", model=config.name, reason=reason)
        else:
            connected[config.name] = model
    return connected


def _candidates(
    constraints: Constraints, models: Mapping[str, Model], prices: Mapping[str, Price], instruments: Instruments
) -> tuple[Candidate, ...]:
    """Return the chain: the models that can be asked, in the order of the constraints."""
    limits = constraints.limits
    hosts = {config.host for config in constraints.models}
    host_breakers = {host: CircuitBreaker(f"host:{host}", instruments) for host in hosts}
    return tuple(
        Candidate(
            config=config,
            model=models[config.name],
            price=prices[config.name],
            breaker=CircuitBreaker(f"model:{config.name}", instruments),
            host_breaker=host_breakers[config.host],
            concurrency=ConcurrencyLimit(limits.concurrent_requests_per_model, limits.queued_requests_per_model),
            retries=limits.retries_per_model,
        )
        for config in constraints.models
        if config.name in models
    )
