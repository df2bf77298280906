"""The fleet as one page that needs nothing else: no server, no network, no script of somebody else's."""

from collections.abc import Sequence
from datetime import date
from importlib import resources

from jinja2 import Environment, StrictUndefined

from fleet.facts import Facts, tally


def page(fleet: Sequence[Facts], today: date) -> str:
    """Return the page."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    source = resources.files("fleet").joinpath("page.html.jinja").read_text(encoding="utf-8")
    newest = next((facts.newest for facts in fleet if facts.newest), None)
    return environment.from_string(source).render(fleet=fleet, today=today, newest=newest, tally=tally(fleet))
