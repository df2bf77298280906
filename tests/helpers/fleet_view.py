"""Look at a repository as the fleet's command does."""

from datetime import date
from pathlib import Path

from chassis_tools.updates.template_repository import TemplateRepository

from fleet.facts import Facts
from fleet.repositories import Place
from fleet.survey import visit

TODAY = date(2026, 12, 1)


def seen(repository: Path, template: Path, today: date = TODAY) -> Facts:
    """Look at a repository."""
    return visit(Place(repository), TemplateRepository(template / ".git"), today)
