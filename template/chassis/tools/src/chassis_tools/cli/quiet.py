"""Keeps a screen free for what a command has to say."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def log_in(folder: Path) -> Generator[None]:
    """Keep hundreds of log lines off the screen, but keep them."""
    from chassis.telemetry.logs import configure_logs

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log.jsonl").open("a", encoding="utf-8") as log:
        configure_logs(production=True, stream=log)
        try:
            yield
        finally:
            configure_logs(production=False)
