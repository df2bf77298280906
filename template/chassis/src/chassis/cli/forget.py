"""`chassis forget`: removes a person from everything that this service keeps, and says what it cannot reach."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from chassis.config.constraints import load_constraints
from chassis.config.project import Project, find_project
from chassis.store.deletion import BLANKED, DataSubject, PersonalRows, caller_hash, erase, find_personal_rows
from chassis.store.opening import run_with_database

if TYPE_CHECKING:
    from chassis.telemetry.local_traces import StoredSpan


def forget(
    caller: Annotated[str | None, typer.Option(metavar="NAME", help="The caller, as in their API key")] = None,
    text: Annotated[
        list[str] | None, typer.Option(metavar="VALUE", help="What texts about the person contain, such as an email")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be removed")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before the removal")] = False,
) -> None:
    """Remove a person from the database, local traces and data sets, and list what cannot be reached from here."""
    project, subject = find_project(), DataSubject(caller, tuple(text or ()))
    found = run_with_database(project, lambda database: find_personal_rows(database, subject))
    if dry_run or not yes:
        planned = [*_in_database(found, "would be "), *_forget_files(project, subject, found.ids, dry_run=True)]
        typer.echo("\n".join(planned) or "There is nothing here about this person.")
        if planned and not dry_run:
            typer.confirm("Remove all of this? It cannot be undone.", abort=True)
    if not dry_run:  # with nothing to remove too: an earlier attempt may have left deleted bytes in the files
        run_with_database(project, lambda database: erase(database, found, subject))
        removed = [*_in_database(found, ""), *_forget_files(project, subject, found.ids, dry_run=False)]
        if removed or yes:
            typer.echo("\n".join(removed) or "There was nothing here about this person.")
            typer.echo("The database and its free pages no longer have any of this.")
    typer.echo("\nThis cannot be reached from here:")
    for line in _out_of_reach(project, subject):
        typer.echo(f"- {line}")


def _in_database(found: PersonalRows, would_be: str) -> Iterator[str]:
    """Yield what happens to how many rows of which table."""
    kept = dict.fromkeys(BLANKED, "emptied") | {"reservations": "kept without the caller"}
    for table, keys in found.keys.items():
        yield f"{table}: {len(keys)} {would_be}{kept.get(table, 'deleted')}"


def _forget_files(project: Project, subject: DataSubject, ids: frozenset[str], *, dry_run: bool) -> Iterator[str]:
    """Remove the person from files unless it is a dry run, and yield how many spans or lines it is in which file."""
    would_be = "would be " if dry_run else ""
    for place, count in _personal_files(project, subject, ids, dry_run=dry_run):
        yield f"{place}: {count} {would_be}removed"


def _personal_files(
    project: Project, subject: DataSubject, ids: frozenset[str], *, dry_run: bool
) -> Iterator[tuple[str, int]]:
    from chassis.telemetry.local_traces import CONTENT_FILE, TRACES_FILE, SpanStore, former_file

    removed, left = set[str](), set[str]()
    if (traces := project.root / "var" / TRACES_FILE).exists():
        store = SpanStore(traces)
        removed, left = store.forget(lambda span: _is_personal_span(span, subject, ids), dry_run=dry_run)
        store.shutdown()
        if removed:
            yield f"traces in var/{TRACES_FILE}", len(removed)

    def is_personal_exchange(exchange: Mapping[str, Any], line: str) -> bool:
        # Without a span it could be anyone's, so of a caller it is removed too.
        trace = exchange.get("trace_id")
        return trace in removed or (subject.caller is not None and trace not in left) or subject.is_in(line)

    content = project.root / "var" / CONTENT_FILE
    files = [content, former_file(content)]
    yield from _forget_lines(project.root, files, is_personal_exchange, dry_run=dry_run)
    yield from _forget_cases(project.root, subject, ids, dry_run=dry_run)


def _is_personal_span(span: "StoredSpan", subject: DataSubject, ids: frozenset[str]) -> bool:
    from chassis.telemetry import names

    is_own = subject.caller is not None and span.attributes.get(names.CALLER) == subject.caller
    return is_own or span.attributes.get(names.CALL_ID) in ids or subject.is_in(json.dumps(dict(span.attributes)))


def _forget_cases(root: Path, subject: DataSubject, ids: frozenset[str], *, dry_run: bool) -> Iterator[tuple[str, int]]:
    """Remove the person's cases, and what runs and recordings of them contain. The image has none of these."""
    cases = set[str]()
    hashed = caller_hash(subject.caller) if subject.caller is not None else None

    def is_personal_case(case: Mapping[str, Any], line: str) -> bool:
        source: Any = case.get("source")
        is_callers = (
            hashed is not None and isinstance(source, dict) and {"caller_hash": hashed}.items() <= source.items()
        )
        is_own = case.get("id") in ids or is_callers
        if is_own or subject.is_in(line):
            cases.add(str(case.get("id")))
            return True
        return False

    def is_of_personal_case(record: Mapping[str, Any], line: str) -> bool:
        return record.get("case") in cases or subject.is_in(line)

    sets = sorted((root / "evals/cases").glob("*.jsonl"))
    yield from _forget_lines(root, sets, is_personal_case, dry_run=dry_run)
    others = [file for folder in ("evals", "var/evals") for file in sorted((root / folder).rglob("*.jsonl"))]
    others = [file for file in others if file not in sets]
    yield from _forget_lines(root, others, is_of_personal_case, dry_run=dry_run)
    for report in sorted((root / "var/evals").glob("*.*")):
        if cases or subject.is_in(report.read_text(encoding="utf-8", errors="replace")):
            if not dry_run:
                report.unlink()
            yield report.relative_to(root).as_posix(), 1


def _forget_lines(
    root: Path, files: Sequence[Path], is_personal: Callable[[Mapping[str, Any], str], bool], *, dry_run: bool
) -> Iterator[tuple[str, int]]:
    """Remove lines of JSON from files, and yield how many from which; a line that is no JSON is searched as text."""
    for file in files:
        if not file.is_file():
            continue
        lines = file.read_text(encoding="utf-8", errors="surrogateescape").split("\n")
        kept = [line for line in lines if not line or not is_personal(_json_object(line), line)]
        if len(kept) == len(lines):
            continue
        if not dry_run:
            with file.open("r+", encoding="utf-8", errors="surrogateescape", newline="\n") as rewritten:
                rewritten.write("\n".join(kept))  # in place, so that the former bytes are overwritten
                rewritten.truncate()
        yield file.relative_to(root).as_posix(), len(lines) - len(kept)


def _json_object(line: str) -> Mapping[str, Any]:
    try:
        value: Any = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def _out_of_reach(project: Project, subject: DataSubject) -> Iterator[str]:
    from chassis.telemetry.setup import otlp_endpoint

    yield "backups and copies of the database, and what its disk or its PostgreSQL server keeps of old pages"
    yield "log lines that have left the process: they name callers and tickets, and quote no text"
    if endpoint := otlp_endpoint("traces"):
        yield f"traces at {endpoint}: they name callers, and quote no text"
    yield "answers that callers have fetched, and notifications that were sent, which name tickets only"
    if (project.root / "evals/cases").is_dir():
        yield "former commits of evals/, other clones, and documents: search them with `git log -S` and `git grep`"
    if subject.caller is None:
        yield "texts that do not contain this value: search for each name and number of the person"
    else:
        yield "texts of other callers about this person: search for their names and numbers with --text"
    for name, destination in load_constraints(project.root).destinations.items():
        days = destination.retention_days
        kept = "an unknown time" if days is None else f"{days} days" if days else "no time, by contract"
        yield f"the destination {name}, which keeps requests for {kept}"
