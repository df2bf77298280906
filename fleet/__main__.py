"""Show the state of all repositories that were generated from this template."""

import argparse
import json
import sys
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import track

from fleet.inspection import inspect_all
from fleet.measurements import Measurements, PrometheusError, read_measurements
from fleet.render import fleet_page, fleet_table
from fleet.repositories import sources_in, sources_listed
from fleet.status import CONCERNS, ServiceStatus
from fleet.template import RememberedTemplate

ROOT = Path(__file__).parents[1]
LOG_COLUMNS = 120
"""Width of the table where there is no terminal, such as in the log of a job."""


def main() -> None:
    """Inspect every repository, print the table, and write the other formats that were asked for."""
    arguments = parse_arguments()
    sources = [*sources_in(arguments.folders), *sources_listed(arguments.list or "", arguments.clones)]
    if not sources:
        sys.exit("No repository given; name a clone, a folder of clones, or --list with a file of paths and addresses")
    template = RememberedTemplate(git_dir(arguments.template))
    statuses = inspect_all(sources, template, arguments.today, arguments.prometheus)
    console = Console(stderr=True)
    tracked = track(statuses, "Inspecting …", total=len(sources), console=console, transient=True)
    fleet = sorted(tracked, key=urgency)
    Console(width=None if sys.stdout.isatty() else LOG_COLUMNS).print(fleet_table(fleet))
    if arguments.json:
        arguments.json.write_text(fleet_json(fleet, arguments.today), encoding="utf-8")
    if arguments.html:
        arguments.html.write_text(fleet_page(fleet, arguments.today), encoding="utf-8")


def urgency(status: ServiceStatus) -> tuple[object, ...]:
    """Return the sort key that puts repositories with the most urgent concern first."""
    return (*(concern not in status.concerns for concern in CONCERNS), status.name, status.path)


def fleet_json(fleet: list[ServiceStatus], today: date) -> str:
    """Return the status of every repository as JSON."""
    repositories = [asdict(status) | {"concerns": status.concerns} for status in fleet]
    content = {"schema": 1, "today": today, "repositories": repositories}
    return json.dumps(content, indent=2, default=str, allow_nan=False) + "\n"


def git_dir(clone: Path) -> Path:
    """Return the git directory of a clone, which for a bare one is the clone itself."""
    return clone / ".git" if (clone / ".git").is_dir() else clone


def parse_arguments() -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(prog="fleet", description=__doc__)
    parser.add_argument("folders", nargs="*", type=no_file, help="a clone, or a folder of clones")
    parser.add_argument("--list", type=file_text, metavar="FILE", help="a file with one path or address per line")
    parser.add_argument("--clones", type=Path, default=ROOT / "build/fleet", help="folder for clones of addresses")
    parser.add_argument(
        "--template", type=template_clone, default=ROOT, help="a clone of the template with its tags; default: this one"
    )
    parser.add_argument(
        "--prometheus",
        type=measurements_at,
        default={},
        metavar="URL",
        help="read the measured success from this Prometheus server",
    )
    parser.add_argument("--json", type=output_file, metavar="FILE", help="also write JSON to this file")
    parser.add_argument("--html", type=output_file, metavar="FILE", help="also write an HTML page to this file")
    today = datetime.now(UTC).date()
    parser.add_argument(
        "--today", type=date.fromisoformat, default=today, metavar="DAY", help="judge dates as of this day"
    )
    return parser.parse_args()


def no_file(name: str) -> Path:
    """Return the path of a folder, or reject a file; a folder that is missing is a row of the report."""
    if Path(name).is_file():
        raise argparse.ArgumentTypeError(f"{name} is a file; name a clone or a folder of clones, or use --list {name}")
    return Path(name)


def file_text(name: str) -> str:
    """Return the content of a text file, or reject the argument."""
    try:
        return Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{name} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise argparse.ArgumentTypeError(f"{name} is not UTF-8; save it as UTF-8") from None


def measurements_at(url: str) -> Measurements:
    """Return what services have measured, or reject the argument."""
    try:
        return read_measurements(url)
    except PrometheusError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def template_clone(name: str) -> Path:
    """Return the folder of a clone, or reject the argument."""
    path = Path(name)
    if not any((path / entry).exists() for entry in (".git", "HEAD")):
        raise argparse.ArgumentTypeError(f"{name} is not a clone; name a clone of the template that has its tags")
    return path


def output_file(name: str) -> Path:
    """Return a path that can be written, or reject the argument before the inspection starts."""
    path = Path(name)
    if not path.absolute().parent.is_dir() or path.is_dir():
        raise argparse.ArgumentTypeError(f"{name} cannot be written: its folder is missing, or it is a folder itself")
    return path


if __name__ == "__main__":
    main()
