"""The small language model of a project, running beside it."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace

from shell import Shell, require_program

LISTENS = "is listening on http://127.0.0.1:"
INSTALLED = f"{LISTENS}|cannot listen there"
"""It has started, or found that somebody else uses its port on this machine."""


@contextmanager
def local_model(project: Shell, no_network: tuple[str, ...]) -> Generator[Shell]:
    """Return the project beside its model without a network; only what installed the model has had one."""
    require_program("curl")
    with project.start("make", "local-model") as first:
        first.wait_for(INSTALLED)
    cut_off = replace(project, prefix=no_network)
    with cut_off.start("make", "local-model") as model:
        model.wait_for(LISTENS)
        yield cut_off
