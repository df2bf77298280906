"""What several commands share: the use of the project's database."""

import asyncio
from collections.abc import Awaitable, Callable

from chassis.config.project import Project, load_settings
from chassis.store.database import Database
from chassis.store.opening import open_database
from chassis.telemetry.logs import configure_logs


def run_with_database[T](project: Project, work: Callable[[Database], Awaitable[T]]) -> T:
    """Open the project's database, return the result of `work`, and close the database again.

    Nothing else of the service is needed for that: no task, no model, no API key.

    Raises:
        ConfigError: `CHASSIS_DATABASE_URL` is invalid, or the database cannot be opened.
    """

    async def run() -> T:
        settings = load_settings(project.root)
        configure_logs(production=settings.production)
        database = await open_database(settings.database_url, project.root)
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())
