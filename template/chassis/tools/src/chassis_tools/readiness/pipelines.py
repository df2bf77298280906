"""What the forge runs, read as YAML: on which events, with which grants, and which commands can stop a change."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import yaml

COMMIT, DIGEST = re.compile(r"@[0-9a-f]{40}$"), re.compile(r"@sha256:[0-9a-f]{64}$")
OURS = ("./", "$/")
"""How an action of the same repository begins."""

type Table = Mapping[str, Any]


class Unreadable(ValueError):
    """It is no pipeline; the text says why."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """One file that the forge runs.

    Args:
        path: Where it lies.
        each_change: Whether it runs on every pull or merge request, whatever that changes.
        grants_nothing: Whether jobs have no rights but those that they name.
        loose: The foreign actions and images that could change under their name.
        foreign: How many foreign actions and images it uses.
        commands: The lines that always run, and whose failure fails the run.
    """

    path: str
    each_change: bool
    grants_nothing: bool
    loose: tuple[str, ...]
    foreign: int
    commands: frozenset[str]


def of_github(path: str, text: str) -> Pipeline:
    """Read a workflow of GitHub.

    Raises:
        Unreadable: It is none.
    """
    content = _table(path, text)
    jobs = list(_tables(content.get("jobs")))
    if not jobs:
        raise Unreadable(f"{path} has no jobs")
    steps = [(job, step) for job in jobs for step in _tables(job.get("steps"))]
    named = (str(each.get("uses", "")) for each in (*jobs, *(step for _, step in steps)))
    uses = [name for name in named if name and not name.startswith(OURS)]
    asked = _part(_part(content, "on"), "pull_request")
    return Pipeline(
        path,
        each_change="pull_request" in (content.get("on") or ()) and not {"paths", "paths-ignore"} & set(asked),
        grants_nothing=content.get("permissions") == {},
        loose=tuple(sorted({name for name in uses if not COMMIT.search(name)})),
        foreign=len(uses),
        commands=frozenset(
            line for job, step in steps if _is_heard(job) and _is_heard(step) for line in _lines(step.get("run"))
        ),
    )


def _is_heard(part: Table) -> bool:
    """Tell whether a job or a step always runs, and fails what it is part of."""
    return part.get("continue-on-error", "false") == "false" and "if" not in part


def of_gitlab(files: Mapping[str, str]) -> list[Pipeline]:
    """Read a pipeline of GitLab, with the files that it includes from its own repository.

    Raises:
        Unreadable: One of them is no table.
    """
    contents = {path: _table(path, text) for path, text in files.items()}
    rules = [rule for content in contents.values() for rule in _tables(_part(content, "workflow").get("rules"))]
    each_change = any("merge_request_event" in str(rule.get("if")) for rule in rules)
    return [_of_gitlab(path, content, each_change=each_change) for path, content in contents.items()]


def _of_gitlab(path: str, content: Table, *, each_change: bool) -> Pipeline:
    jobs = [job for job in _tables(content) if "script" in job]
    named = (each.get("image") for each in (content, _part(content, "default"), *jobs))
    images = [str(cast("Table", image).get("name") if isinstance(image, dict) else image) for image in named if image]
    heard = (job for job in jobs if not {"allow_failure", "rules", "only", "except", "when"} & set(job))
    return Pipeline(
        path,
        each_change=each_change,
        grants_nothing=True,  # jobs there have no such grants
        loose=tuple(sorted({image for image in images if not DIGEST.search(image)})),
        foreign=len(images),
        commands=frozenset(line for job in heard for line in _lines(job["script"])),
    )


def _table(path: str, text: str) -> Table:
    try:
        content: object = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - it makes texts, lists and tables only
    except yaml.YAMLError as error:
        raise Unreadable(f"{path} is not YAML ({' '.join(str(error).split())})") from None
    if not isinstance(content, dict):
        raise Unreadable(f"{path} is no table")
    return cast("Table", content)


def _part(content: Table, key: str) -> Table:
    part: object = content.get(key)
    return cast("Table", part) if isinstance(part, dict) else {}


def _tables(parts: object) -> Iterator[Table]:
    """Yield the tables of a list, or of a table."""
    match parts:
        case dict():
            yield from _tables(list(cast("Table", parts).values()))
        case list():
            yield from (cast("Table", part) for part in cast("list[object]", parts) if isinstance(part, dict))
        case _:
            pass


def _lines(script: object) -> Iterator[str]:
    """Yield the lines of a text, or of a list of such, however deep: GitLab lets lists be written into lists."""
    match script:
        case str():
            yield from (line.strip() for line in script.splitlines())
        case list():
            for part in cast("list[object]", script):
                yield from _lines(part)
        case _:
            pass
