"""`chassis keys`: who may call the service."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from chassis.cli.database import open_project_database

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from chassis.store.api_keys import ApiKeys

app = typer.Typer(help="Issue, list and revoke the keys of callers.", no_args_is_help=True)


@app.command()
def create(caller: Annotated[str, typer.Argument(help="Who will use it; budgets and logs call them so.")]) -> None:
    """Issue a key and show it, this once."""
    typer.echo(_with_keys(lambda keys: keys.create(caller)))


@app.command(name="list")
def list_keys() -> None:
    """Show every key that was issued: for whom, when, and since when it opens nothing."""
    from rich.console import Console
    from rich.table import Table

    table = Table("id", "caller", "created (UTC)", "revoked (UTC)")
    for key in _with_keys(lambda keys: keys.list_keys()):
        table.add_row(
            key.id,
            key.caller,
            f"{key.created_at:%Y-%m-%d %H:%M}",
            f"{key.revoked_at:%Y-%m-%d %H:%M}" if key.revoked_at else "",
        )
    Console().print(table)


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(metavar="ID", help="As `chassis keys list` shows it.")]) -> None:
    """End a key at once."""
    if not _with_keys(lambda keys: keys.revoke(key_id)):
        typer.echo(f"No key {key_id!r} is in use; `uv run chassis keys list` shows those there are", err=True)
        raise typer.Exit(1)
    typer.echo(f"The key {key_id} opens nothing any more.")


def _with_keys[T](act: "Callable[[ApiKeys], Awaitable[T]]") -> T:
    from chassis.config.project import find_project
    from chassis.config.settings import load_settings
    from chassis.store.api_keys import ApiKeys

    project = find_project()
    production = load_settings(project.root).chassis_env == "production"

    async def run() -> T:
        async with open_project_database(project) as database:
            return await act(ApiKeys(database, production=production))

    return asyncio.run(run())
