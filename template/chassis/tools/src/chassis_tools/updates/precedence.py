"""Finds files that take effect in place of each other although they have different paths, for an adoption."""

import json
import re
import shlex
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from chassis_tools.updates.git import git

COMPOSE_FILES = ("compose.yml", "docker-compose.yaml", "docker-compose.yml")
"""Names under which Compose looks for its file if there is no compose.yaml."""
COMPOSE_OVERRIDES = re.compile(r"(docker-)?compose\.override\.ya?ml")
OTHER_CODEOWNERS = ("CODEOWNERS", "docs/CODEOWNERS")
MAIN_BRANCHES = ("main", "master", "trunk", "develop")
"""The branches on which the workflows of the chassis run without a pull request."""
SHARED_VARIABLES = re.compile(
    r"^(?:export\s+)?((?:OPENAI|ANTHROPIC|GEMINI|OPENAI_COMPATIBLE)_API_KEY|OTEL_\w+|CHASSIS_\w+)\s*=", re.MULTILINE
)
"""The variables that the service reads, and that a program of the team may read as well."""
BUILD_INPUTS = (
    ".python-version",
    "chassis/pyproject.toml",
    "chassis/tools/pyproject.toml",
    "constraints.toml",
    "ownership.toml",
    "pyproject.toml",
    "uv.lock",
)
"""What the Dockerfile of the chassis copies."""
TAG_TRIGGER = re.compile(r"^\s+tags:|^on:.*\brelease\b|^\s+release:", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two files of which one takes effect in place of the other, or changes how it works.

    Args:
        file: The file of the team.
        effect: What happens now.
        remedy: What to do about it.
    """

    file: str
    effect: str
    remedy: str


def find_overlaps(root: Path, existing: Collection[str], kept_paths: Collection[str], forge: str) -> list[Overlap]:
    """Compare the files that existed before with those of the chassis, in the order in which a reader would meet them.

    Args:
        root: The repository.
        existing: The paths that existed before.
        kept_paths: The chassis paths where the team's file stays.
        forge: The platform that hosts the repository.
    """
    present = {path for path in existing if (root / path).is_file()}
    overlaps = [
        *_code_owners(present, forge),
        *_compose_files(present),
        *_packaging_files(root, present),
        *_docker_files(root, present, kept_paths),
        *_environment_files(root),
    ]
    if forge == "github":
        overlaps += [*_dependabot(present), *_default_branch(root), *_workflows(root, present)]
    return overlaps


def _code_owners(present: Collection[str], forge: str) -> Iterator[Overlap]:
    remedy = "Move the owners to ownership.toml, then delete this file"
    for path in OTHER_CODEOWNERS:
        if path in present and forge == "github":
            yield Overlap(path, "GitHub reads .github/CODEOWNERS instead, which `make setup` writes", remedy)
        elif path in present:
            yield Overlap(path, "GitLab reads it instead of .gitlab/CODEOWNERS, which `make setup` writes", remedy)


def _compose_files(present: Collection[str]) -> Iterator[Overlap]:
    for path in sorted(present):
        if path in COMPOSE_FILES and "compose.yaml" not in present:
            remedy = f"Type `docker compose --file {path} up` for yours"
            yield Overlap(path, "`docker compose` reads the new compose.yaml instead", remedy)
        elif COMPOSE_OVERRIDES.fullmatch(path) and "compose.yaml" not in present:
            remedy = "Rename it, and name both files with --file"
            yield Overlap(path, "`docker compose` merges it into the new compose.yaml", remedy)


def _packaging_files(root: Path, present: Collection[str]) -> Iterator[Overlap]:
    if "pyproject.toml" not in present:
        setup = next((path for path in ("setup.py", "setup.cfg") if _builds_a_package(root, path, present)), None)
        if setup:
            effect = "the new pyproject.toml says how the project is built, so that this is no longer used"
            yield Overlap(
                setup, effect, "Add what it requires with `sh chassis/uv add`; scripts go to [project.scripts]"
            )
    known = _names(_text(root / "pyproject.toml"))
    for path in sorted(present):
        if re.fullmatch(r"requirements[\w.-]*\.txt", path):
            missing = [name for name in _names(_text(root / path)) if name not in known]
            if missing:
                effect = f"pyproject.toml does not list what it does, such as {missing[0]}"
                remedy = f"After the set-up, type `sh chassis/uv add --requirements {path}`"
                yield Overlap(path, effect, remedy)
    if "Pipfile" in present:
        yield Overlap("Pipfile", "uv does not read it", "Add what it lists with `sh chassis/uv add`, then delete it")


def _builds_a_package(root: Path, path: str, present: Collection[str]) -> bool:
    return path in present and (
        path == "setup.py" or bool(re.search(r"^\[(metadata|options)\]", _text(root / path), re.MULTILINE))
    )


def _names(requirements: str) -> list[str]:
    """Return the normalized names in a requirements file, or in the strings of a TOML file."""
    found = re.findall(r"^\s*[\"']?([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?=[\[=<>~!;\"',@#]|$)", requirements, re.MULTILINE)
    found += re.findall(r"[\"']([A-Za-z0-9][A-Za-z0-9._-]*)[^\"']*[\"']", requirements)
    return [re.sub(r"[-_.]+", "-", name).lower() for name in found]


def _docker_files(root: Path, present: Collection[str], kept_paths: Collection[str]) -> Iterator[Overlap]:
    ignore_file = ".dockerignore"
    patterns = _ignore_patterns(_text(root / ignore_file))
    for path in sorted(present):
        name = PurePosixPath(path).name
        if not (fnmatch(name, "Dockerfile*") or fnmatch(name, "*.Dockerfile") or name == "Containerfile"):
            continue
        hidden = sorted(_hidden(_copied(_text(root / path), present), patterns))
        if hidden and ignore_file not in present:
            effect = f"the new .dockerignore hides {', '.join(hidden)} from it"
            yield Overlap(path, effect, "Delete these lines from .dockerignore, which then stays yours")
    serves = "compose.yaml" not in kept_paths
    if serves and "Dockerfile" in kept_paths and "chassis" not in _text(root / "Dockerfile"):
        effect = "the container workflow, compose.yaml and ops/ build and run it, but it does not start the service"
        yield Overlap(
            "Dockerfile",
            effect,
            "Move it to a folder of its own and run `copier copy` again, or adopt the evaluation only",
        )
    hidden_inputs = _hidden(BUILD_INPUTS, patterns)
    if hidden_inputs and ignore_file in present and "Dockerfile" not in present:
        effect = f"it hides files that the new Dockerfile copies, by {', '.join(sorted(hidden_inputs))}"
        yield Overlap(ignore_file, effect, "Except them with lines such as `!chassis/` and `!uv.lock`")


def _copied(dockerfile: str, present: Collection[str]) -> set[str]:
    """Return the files that the instructions COPY and ADD of a Dockerfile name."""
    copied: set[str] = set()
    # An instruction may go on over several lines.
    joined = re.sub(r"\\\s*\n", " ", dockerfile)
    for line in re.findall(r"^\s*(?:COPY|ADD)\s+(.+)$", joined, re.MULTILINE | re.IGNORECASE):
        flags = re.match(r"(?:--\S+\s+)*", line)
        rest = line[flags.end() :] if flags else line
        # Copied from another stage or image, not from the repository.
        if flags and "--from" in flags[0]:
            continue
        for source in _copy_sources(rest):
            prefix = source.removeprefix("./").rstrip("/") or "."
            copied |= {path for path in present if _is_below(path, prefix)}
    return copied


def _copy_sources(arguments: str) -> list[str]:
    try:
        words = [str(word) for word in json.loads(arguments)] if arguments.startswith("[") else shlex.split(arguments)
    except ValueError:
        return []
    # The last one is the destination.
    return words[:-1]


def _is_below(path: str, source: str) -> bool:
    return source == "." or any(fnmatch(str(each), source) for each in (path, *PurePosixPath(path).parents))


def _ignore_patterns(text: str) -> list[str]:
    return [line.strip().strip("/") for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _hidden(paths: Iterable[str], patterns: list[str]) -> set[str]:
    """Return the patterns of a `.dockerignore` that hide one of these paths; the last pattern that matches decides."""
    deciding: set[str] = set()
    for path in paths:
        matching = [pattern for pattern in patterns if _matches(path, pattern.removeprefix("!").strip("/"))]
        if matching and not matching[-1].startswith("!"):
            deciding.add(matching[-1])
    return deciding


def _matches(path: str, pattern: str) -> bool:
    # A pattern that matches a folder hides all that is in it.
    levels = [path, *map(str, PurePosixPath(path).parents)][: path.count("/") + 1]
    if pattern.startswith("**/"):
        return any(fnmatch(PurePosixPath(level).name, pattern.removeprefix("**/")) for level in levels)
    return any(level.count("/") == pattern.count("/") and fnmatch(level, pattern) for level in levels)


def _environment_files(root: Path) -> Iterator[Overlap]:
    for file in sorted(root.glob(".env*")):
        if file.is_file() and file.name != ".env.example" and (names := SHARED_VARIABLES.findall(_text(file))):
            effect = f"the service reads it too, and uses {', '.join(dict.fromkeys(names))}"
            if file.name == ".env":
                yield Overlap(".env", effect, "Set a variable in the environment to give the service another value")


def _dependabot(present: Collection[str]) -> Iterator[Overlap]:
    path = ".github/dependabot.yaml"
    if path in present:
        yield Overlap(path, "GitHub reads only one of it and the new .github/dependabot.yml", "Delete one of the two")


def _default_branch(root: Path) -> Iterator[Overlap]:
    head = git(root, "for-each-ref", "--format=%(symref:lstrip=3)", "refs/remotes/origin/HEAD").strip()
    branches = set(git(root, "for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads").split())
    # `origin/HEAD` is what the forge calls the default; without a remote, the local branches have to tell.
    if head and head not in MAIN_BRANCHES:
        branch = head
    elif head or branches & set(MAIN_BRANCHES):
        return
    else:
        branch = next(iter(sorted(branches)), "?")
    effect = f"after a merge, the workflows run on {', '.join(MAIN_BRANCHES)} only"
    yield Overlap(f"branch {branch}", effect, "Rename it to main (`git branch -m main`), or rely on pull requests")


def _workflows(root: Path, present: Collection[str]) -> Iterator[Overlap]:
    chassis = {file.name for file in (root / ".github/workflows").glob("*.yml")} - {
        PurePosixPath(p).name for p in present
    }
    for path in sorted(present):
        if not re.fullmatch(r"\.github/workflows/[^/]+\.ya?ml", path):
            continue
        name = PurePosixPath(path)
        if name.suffix == ".yaml" and f"{name.stem}.yml" in chassis:
            yield Overlap(path, f"the new {name.stem}.yml runs as well", "Delete yours if it does the same")
        if "release.yml" in chassis and TAG_TRIGGER.search(_text(root / path)):
            effect = "it runs for a release, and so does the new release.yml, for each tag that begins with v"
            yield Overlap(path, effect, "Make it start after that workflow (`workflow_run`), or tag yours otherwise")


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
