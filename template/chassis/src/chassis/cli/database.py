"""The database for commands that need nothing else of the service: no task, no model, no key."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from chassis.config.project import Project
from chassis.config.settings import load_settings
from chassis.store.database import Database
from chassis.store.opening import open_database
from chassis.telemetry.logs import configure_logs


@asynccontextmanager
async def open_project_database(project: Project) -> AsyncGenerator[Database]:
    """Open the project's database, and close it again.

    Raises:
        ConfigError: `DATABASE_URL` is wrong, or the database it names cannot be opened.
    """
    settings = load_settings(project.root)
    configure_logs(production=settings.chassis_env == "production")
    database = await open_database(settings.database_url, project.root)
    try:
        yield database
    finally:
        await database.close()
