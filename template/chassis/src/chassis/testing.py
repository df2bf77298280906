"""Tools for a team's tests: scripted models, and a whole service around them in which everything else is real.

It is also a pytest plugin: while tests run, a request to a real model is an error, and tracebacks in the log do
not show local variables, which may be prompts and answers.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from pydantic_ai import models
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.usage import RequestUsage

from chassis.config.constraints import Constraints
from chassis.config.ownership import Team
from chassis.config.project import Project, Settings
from chassis.contract import Task
from chassis.wiring import Wiring, wire

type Reply = str | ModelResponse | BaseException | Callable[[list[ModelMessage], AgentInfo], Awaitable[ModelResponse]]

CONSTRAINTS: dict[str, Any] = {
    "risk": {"tier": "standard"},
    "success": {
        "metric": "answered_without_person",
        "target": 0.6,
        "stop_at": 0.3,
        "review_on": "2030-01-01",
        "stop_when": "Three complaints in a week",
    },
    "latency": {"deadline_seconds": 5, "p95_seconds": 5},
    "reliability": {"availability": 0.99, "without_fallback": 0.9},
    "quality": {"confidence_floor": 0.5, "accuracy_floor": 0.8, "max_regression": 0.05},
    "cost": {"mean_usd": 1, "per_request_usd": 1, "per_caller_day_usd": 10, "per_day_usd": 100, "per_month_usd": 1000},
    "limits": {
        "max_body_bytes": 10_000,
        "calls_per_minute": 10_000,
        "concurrent_calls": 8,
        "queued_calls": 8,
        "model_requests_per_call": 4,
        "concurrent_requests_per_model": 8,
        "queued_requests_per_model": 8,
        "retries_per_model": 1,
    },
    "cache": {"ttl_seconds": 0},
    "data": {"class": "internal", "refuse": ["card"]},
    "destinations": {"vendor": {"classes": ["internal"], "redact": ["email", "secret"]}},
    "models": [
        {
            "name": name,
            "provider": "openai",
            "model": name,
            "destination": "vendor",
            "max_output_tokens": 100,
            "input_usd_per_million": 10,
            "output_usd_per_million": 100,
        }
        for name in ("first", "second")
    ],
    "tools": {},
    "fallback": {
        "low_confidence": "baseline",
        "models_failed": "baseline",
        "budget_exhausted": "baseline",
        "database_down": "error",
    },
    "review": {"due_hours": 8, "sample_share": 0, "second_share": 0},
    "retention": {"referrals_days": 90, "audit_days": 365},
}
"""Valid constraints with two models. A test changes the keys that it is about."""
OWNER = Team(handle="@acme/ai", email="owner@example.com")
"""The owner of the services in tests."""


@pytest.fixture(autouse=True)
def _no_real_model_requests() -> Iterator[None]:
    """Make a forgotten test double an error instead of a bill."""
    with models.override_allow_model_requests(allow_model_requests=False):
        yield


@pytest.fixture(autouse=True)
def _tracebacks_without_values() -> None:
    """Configure structlog as it is by default, but with plain tracebacks.

    By default it prints all local variables of a traceback, which takes seconds.
    """
    if not structlog.is_configured():
        *processors, _ = structlog.get_config()["processors"]
        renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        structlog.configure(processors=[*processors, renderer])


class ScriptedModel(FunctionModel):
    """A model that gives prepared replies, one for each request. The last reply is repeated.

    Args:
        replies: Each is a text, a whole response, an error to raise, or a function that returns the response.
    """

    def __init__(self, *replies: Reply) -> None:
        super().__init__(self._reply, model_name="scripted")
        self._replies = list(replies)
        self.requests: list[list[ModelMessage]] = []
        """The messages of each request, oldest first."""

    async def _reply(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        self.requests.append(messages)
        reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        match reply:
            case BaseException():
                raise reply
            case str():
                usage = RequestUsage(input_tokens=10, output_tokens=max(5, len(reply) // 4))
                return ModelResponse([TextPart(reply)], usage=usage, finish_reason="stop")
            case ModelResponse():
                return reply
            case _:
                return await reply(messages, info)


def constraints_for_tests(**changes: dict[str, Any] | list[dict[str, Any]]) -> Constraints:
    """Return `CONSTRAINTS` with changes by section: a dict changes some keys, a list replaces the section."""
    merged = dict(CONSTRAINTS)
    for name, change in changes.items():
        merged[name] = {**merged.get(name, {}), **change} if isinstance(change, dict) else change
    return Constraints.model_validate(merged)


@asynccontextmanager
async def wire_for_tests(
    task: Task[Any, Any],
    root: Path,
    *scripted: models.Model,
    **changes: dict[str, Any] | list[dict[str, Any]],
) -> AsyncGenerator[Wiring]:
    """Put a service together in which only the models are test doubles.

    Args:
        task: The task of the service.
        root: An empty folder, where the service creates its database.
        scripted: Test doubles of the models `first` and `second`. Without any, the service has no model.
        changes: Changes of the constraints, as in `constraints_for_tests`.
    """
    async with wire(
        Project(root, "sample", "1.0.0", "sample.task:TASK"),
        task=task,
        constraints=constraints_for_tests(**changes),
        settings=Settings(database_url="sqlite:///service.db"),
        models=dict(zip(("first", "second"), scripted, strict=False)),  # fewer models than names are fine
        owner=OWNER,
    ) as wiring:
        yield wiring
