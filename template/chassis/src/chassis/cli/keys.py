"""`chassis keys`: who may call the service."""

from collections.abc import Awaitable, Callable
from typing import Annotated

import typer
from rich.table import Table

from chassis.cli.terminal import AsJson, plain_console, print_json
from chassis.config.project import find_project, load_settings
from chassis.store.credentials import ApiKeys
from chassis.store.opening import run_with_database

app = typer.Typer(help="Create, list and revoke API keys.", no_args_is_help=True)


@app.command()
def create(
    caller: Annotated[str, typer.Argument(help="Who will use the key; budgets and logs use this name.")],
    reviewer: Annotated[bool, typer.Option("--reviewer", help="A key to sign in at /review instead.")] = False,
) -> None:
    """Create an API key and show it, this once."""
    typer.echo(_with_keys(lambda keys: keys.create(caller, "reviewer" if reviewer else "caller")))


@app.command(name="list")
def list_keys(as_json: AsJson = False) -> None:
    """List all keys, without the keys themselves."""
    keys = _with_keys(lambda keys: keys.list_keys())
    if as_json:
        print_json({"keys": keys})
        return
    table = Table("id", "caller", "role", "created (UTC)", "revoked (UTC)")
    for key in keys:
        table.add_row(
            key.id,
            key.caller,
            key.role,
            f"{key.created_at:%Y-%m-%d %H:%M}",
            f"{key.revoked_at:%Y-%m-%d %H:%M}" if key.revoked_at else "",
        )
    plain_console().print(table)


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(metavar="ID", help="As `chassis keys list` shows it.")]) -> None:
    """Revoke a key with immediate effect."""
    if not _with_keys(lambda keys: keys.revoke(key_id)):
        typer.echo(f"There is no active key {key_id!r}; `uv run chassis keys list` lists all keys", err=True)
        raise typer.Exit(1)
    typer.echo(f"The key {key_id} is revoked.")


def _with_keys[T](act: Callable[[ApiKeys], Awaitable[T]]) -> T:
    project = find_project()
    production = load_settings(project.root).production
    return run_with_database(project, lambda database: act(ApiKeys(database, production=production)))
