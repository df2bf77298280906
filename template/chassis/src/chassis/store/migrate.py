"""Brings the tables up to date: numbered SQL files, each applied once, in order."""

from importlib.resources import files

import structlog

from chassis.store.database import Connection

log = structlog.get_logger()


async def migrate(connection: Connection) -> None:
    """Apply what is missing. The connection is in a transaction that keeps every other replica from doing the same."""
    await connection.execute("CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY)")
    done = {row["name"] for row in await connection.fetch("SELECT name FROM migrations")}
    for script in sorted(files("chassis.store").joinpath("migrations").iterdir(), key=lambda file: file.name):
        if script.name.endswith(".sql") and script.name not in done:
            for statement in filter(str.strip, script.read_text(encoding="utf-8").split(";")):
                await connection.execute(statement)
            await connection.execute("INSERT INTO migrations (name) VALUES ($1)", script.name)
            log.debug("store.migrated", migration=script.name)
