"""Show how all repositories that were made from this template stand."""

import argparse
import json
import sys
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path

from chassis_tools.updates.template_repository import TemplateRepository
from rich.console import Console
from rich.progress import track

from fleet.facts import CONCERNS, Facts
from fleet.page import page
from fleet.repositories import found, listed
from fleet.survey import survey
from fleet.table import drawn

ROOT = Path(__file__).parents[1]
WIDE = 120
"""Columns of a table that no terminal shows, such as in the log of a job."""


def main() -> None:
    """Look at every repository, print the table, and write what else was asked for."""
    options = parsed()
    places = [
        *found(options.folders),
        *listed(options.list or "", options.clones),
    ]
    if not places:
        sys.exit(
            "No repository was named; give a clone, a folder of clones, or --list with a file of paths and addresses"
        )
    looked = survey(places, TemplateRepository(git_dir(options.template)), options.today)
    watched = track(looked, "looking …", total=len(places), console=Console(stderr=True), transient=True)
    fleet = sorted(watched, key=worst_first)
    Console(width=None if sys.stdout.isatty() else WIDE).print(drawn(fleet))
    if options.json:
        options.json.write_text(as_json(fleet, options.today), encoding="utf-8")
    if options.html:
        options.html.write_text(page(fleet, options.today), encoding="utf-8")


def worst_first(facts: Facts) -> tuple[object, ...]:
    """Return what sorts a repository with a worse concern before others."""
    return (*(concern not in facts.concerns for concern in CONCERNS), facts.name, facts.path)


def as_json(fleet: list[Facts], today: date) -> str:
    """Return all facts as JSON."""
    rows = [asdict(facts) | {"concerns": facts.concerns} for facts in fleet]
    return json.dumps({"schema": 1, "today": today, "repositories": rows}, indent=2, default=str) + "\n"


def git_dir(clone: Path) -> Path:
    """Return where the commits of a clone are."""
    return clone / ".git" if (clone / ".git").is_dir() else clone


def parsed() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(prog="fleet", description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path, help="a clone, or a folder of clones")
    parser.add_argument("--list", type=text, metavar="FILE", help="a file with a path or an address a line")
    parser.add_argument("--clones", type=Path, default=ROOT / "build/fleet", help="where clones of addresses are kept")
    parser.add_argument(
        "--template", type=clone, default=ROOT, help="a clone of the template with its tags; default: this"
    )
    parser.add_argument("--json", type=output, metavar="FILE", help="write all facts there too")
    parser.add_argument("--html", type=output, metavar="FILE", help="write a page for people there too")
    today = datetime.now(UTC).date()
    parser.add_argument("--today", type=date.fromisoformat, default=today, metavar="DAY", help="judge dates as of then")
    return parser.parse_args()


def text(name: str) -> str:
    """Return what a file says, or refuse its name."""
    try:
        return Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{name} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise argparse.ArgumentTypeError(f"{name} is not UTF-8; save it as UTF-8") from None


def clone(name: str) -> Path:
    """Return the folder of a clone, or refuse its name."""
    path = Path(name)
    if not any((path / name).exists() for name in (".git", "HEAD")):
        raise argparse.ArgumentTypeError(f"{name} is no clone; name a clone of the template that has its tags")
    return path


def output(name: str) -> Path:
    """Return a file that can be written, or refuse its name before anybody waits."""
    path = Path(name)
    if not path.absolute().parent.is_dir() or path.is_dir():
        raise argparse.ArgumentTypeError(f"{name} cannot be written: its folder is missing, or it is one itself")
    return path


if __name__ == "__main__":
    main()
