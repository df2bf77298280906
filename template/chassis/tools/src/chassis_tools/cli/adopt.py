"""`chassis adopt`: after Copier has come to a repository that was there before."""

from pathlib import Path

import typer


def adopt() -> None:
    """Note which files stay yours where Copier came to a repository of your own, and show what is left to write."""
    from chassis_tools.updates.adopt import adopt as run

    found = run(Path.cwd())
    for path in found.kept:
        typer.echo(f"{path} stays yours; no update touches it")
    for each in found.missing:
        typer.echo(f"\n{each.file} is yours to change. Add:\n")
        typer.echo("\n".join(f"    {line}".rstrip() for line in each.lines.splitlines()))
    typer.echo(f"\nThen: {found.proof}" if found.missing else f"Nothing is left to write. Next: {found.proof}")
