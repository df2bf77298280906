"""Inspects one repository as `make fleet` does."""

from datetime import date
from pathlib import Path

from chassis_tools.updates.template_repository import TemplateRepository

from fleet.inspection import inspect_source
from fleet.repositories import RepositorySource
from fleet.status import ServiceStatus

TODAY = date(2026, 12, 1)


def inspect(repository: Path, template: Path, today: date = TODAY) -> ServiceStatus:
    """Return the status of a repository."""
    (status,) = inspect_source(RepositorySource(repository), TemplateRepository(template / ".git"), today)
    return status
