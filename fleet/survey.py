"""Look at many repositories at once, in as many processes as there are cores."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import date

from chassis_tools.updates.template_repository import TemplateRepository

from fleet.facts import Facts
from fleet.look import look
from fleet.repositories import Place


def visit(place: Place, template: TemplateRepository, today: date) -> Facts:
    """Return what is known of one repository, after it was fetched if it must be."""
    # Otherwise git answers for the repository around a broken one, if there is one around it.
    os.environ["GIT_CEILING_DIRECTORIES"] = str(place.path.resolve().parent)
    return look(place.path, template, today, place.fetched())


def survey(places: Sequence[Place], template: TemplateRepository, today: date) -> Iterator[Facts]:
    """Yield what is known of each repository, as soon as it is known."""
    with ProcessPoolExecutor(max_workers=min(os.cpu_count() or 1, len(places) or 1)) as pool:
        for done in as_completed([pool.submit(visit, place, template, today) for place in places]):
            yield done.result()
