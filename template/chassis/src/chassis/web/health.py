"""The routes that orchestrators and monitoring use: liveness, readiness, metrics. They need no API key.

None of them asks a model, because an orchestrator should not restart the service when a vendor is down.
"""

import asyncio

import structlog
from fastapi import APIRouter, Request, Response

from chassis.errors import CallError
from chassis.store.database import Database, check_writable
from chassis.web.problems import NotReady
from chassis.web.schemas import CALL_ID_HEADERS, ReadyBody, StatusBody, problem_responses
from chassis.wiring import Wiring

DATABASE_TIMEOUT_SECONDS = 2.0
log = structlog.get_logger()


def health_router(wiring: Wiring) -> APIRouter:
    """Return the three routes, without the metrics if these have a port of their own."""
    router = APIRouter(tags=["Health and metrics"])
    database_check = DatabaseCheck(wiring.database)

    @router.get(
        "/healthz",
        summary="Liveness probe",
        responses={200: {"headers": CALL_ID_HEADERS}, **problem_responses(CallError)},
    )
    async def healthz() -> StatusBody:
        return StatusBody(status="alive")

    @router.get(
        "/readyz",
        summary="Readiness probe",
        responses={200: {"headers": CALL_ID_HEADERS}, **problem_responses(CallError, NotReady)},
    )
    async def readyz(request: Request) -> ReadyBody:
        if request.app.state.draining:
            raise NotReady("The service is shutting down")
        await database_check.run()
        if wiring.service.guard is None:
            return ReadyBody(status="ready", models="none")
        return ReadyBody(status="ready", models="off" if await wiring.kill_switch.is_off() else "on")

    if wiring.settings.metrics_port is not None:
        return router  # they are served on a port of their own

    @router.get(
        "/metrics",
        summary="Metrics for Prometheus",
        response_class=Response,
        responses={
            200: {
                "description": "Metrics in the text format of Prometheus",
                "headers": CALL_ID_HEADERS,
                "content": {"text/plain": {"schema": {"type": "string"}}},
            },
            **problem_responses(CallError),
        },
    )
    async def metrics() -> Response:
        page, media_type = wiring.telemetry.metrics_page()
        return Response(page, headers={"Content-Type": media_type})

    return router


class DatabaseCheck:
    """Checks that the database can be written. Requests at the same time share one check, because they need no key."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._running: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Check the database.

        Raises:
            NotReady: It cannot be written, or not within two seconds.
        """
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(check_writable(self._database))
        try:
            async with asyncio.timeout(DATABASE_TIMEOUT_SECONDS):
                await asyncio.shield(self._running)
        except Exception as error:
            log.warning("database.unreachable", error=type(error).__name__)
            raise NotReady("The database is unavailable") from error
