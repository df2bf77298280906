"""Adoption by an existing repository: records which of its files stay, and finds the lines that they lack."""

import json
import re
import shlex
import subprocess
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, cast

from chassis.errors import ConfigError
from chassis_tools.governance.derived_files import DERIVED_FILES, is_hand_written
from chassis_tools.updates.copier import AnswersFile, load_answers_file
from chassis_tools.updates.git import git, git_list, ignored_files
from chassis_tools.updates.path_ownership import CHASSIS_FOLDER, find_drift
from chassis_tools.updates.precedence import Overlap, find_overlaps
from chassis_tools.updates.python_settings import (
    EVALUATION,
    IMPORT_FOLDERS,
    PYPROJECT,
    RUNTIME,
    TEAM_FOLDERS,
    check_python,
    clashing_requirements,
    has_own_lint_rules,
    missing_settings,
    other_pytest_file,
    read_toml,
    toml_list,
)
from chassis_tools.updates.template_repository import cloned_template

CODE_SUFFIXES = (".py", ".pyi", ".ipynb")
"""The files that ruff checks."""
TASKS = "chassis/tasks.mk"
MAKEFILES = ("GNUmakefile", "makefile", "Makefile")
"""In the order in which make looks for them; it reads the first one that exists."""
MAKE_TARGETS = re.compile(r"^(\w[\w ./-]*?)\s*:(?!:*=)", re.MULTILINE)
MAKE_INCLUDES = re.compile(r"^[ ]*[-s]?include[ \t]+([^#\n]+)", re.MULTILINE)
MAKE_SPECIALS = re.compile(r"^(?:export\s+)?(\.ONESHELL|\.RECIPEPREFIX)\b", re.MULTILINE)
"""Settings of a Makefile that would change how the targets of the chassis run."""
HOOKS = ".pre-commit-config.yaml"
LOCK_FILE = "uv.lock"
ZIZMOR_FILE = ".github/zizmor.yml"
WORKFLOW = re.compile(r"\.github/workflows/[^/]+\.ya?ml")
TEST_FILE = re.compile(r"(^|/)(test_[^/]*|[^/]*_test)\.py$")
PYTEST_TABLE = re.compile(r"\n\[tool\.pytest\.ini_options\]\n(?:[^\[\n].*\n)+")
MOVED_FROM_POETRY = ("name", "version", "description", "authors", "readme", "extras")
IGNORED = {".env": ".env", "var/": "var/state.db", ".venv/": ".venv/bin", "__pycache__/": "src/__pycache__/task.pyc"}
"""Entries that `.gitignore` needs, each with a path that it must cover: secrets, state, packages, bytecode."""


@dataclass(frozen=True, slots=True)
class MissingLines:
    """Lines that a file of the team has to contain.

    Args:
        file: The file to add them to.
        lines: The lines.
    """

    file: str
    lines: str


@dataclass(frozen=True, slots=True)
class AdoptionResult:
    """How far an adoption has come.

    Args:
        kept_paths: Chassis paths where the team had a file first, which stays.
        clashes: What has to change before anything can be installed.
        overlaps: Files that change the effect of others.
        missing: What is left to write.
        next_command: The command that installs everything and runs the checks.
    """

    kept_paths: tuple[str, ...]
    clashes: tuple[Overlap, ...]
    overlaps: tuple[Overlap, ...]
    missing: tuple[MissingLines, ...]
    next_command: str


def adopt_chassis(root: Path) -> AdoptionResult:
    """Record which files stay the team's, and return what is missing. No file that is tracked by git is changed.

    Raises:
        ConfigError: Copier has not run, the repository has no commit, the template cannot be reached, a file cannot be
            read, or the project's requirements and those of the chassis cannot be met together.
    """
    answers_file = load_answers_file(root)
    existing = _committed_paths(root)
    check_python(root, read_toml(root, PYPROJECT))
    kept_paths, generated = _compare(root, answers_file)
    _record_kept_paths(root, answers_file, kept_paths)
    code = _existing_code(root, existing)
    if PYPROJECT not in existing:
        _adapt_new_settings(root, code, existing)
    missing = (
        *missing_lines(root, answers_file.answers, code, kept_paths),
        *_known_findings(root, existing),
        *_hidden_files(root, generated),
    )
    clashes = tuple(_clashes(root))
    # Last, because it needs the package index, and what is missing would make it fail for a known reason.
    if not (missing or clashes or (root / LOCK_FILE).exists()):
        _check_resolution(root)
    overlaps = tuple(find_overlaps(root, existing, kept_paths, answers_file.forge))
    return AdoptionResult(kept_paths, clashes, overlaps, missing, _next_command(root, answers_file.answers))


def missing_lines(
    root: Path, answers: Mapping[str, Any], code: Collection[str], kept_paths: Collection[str]
) -> Iterator[MissingLines]:
    """Return what the files of the repository at `root` lack to work with the chassis.

    Args:
        root: The repository.
        answers: The answers that Copier recorded.
        code: The paths of code that existed before.
        kept_paths: The chassis paths where the team's file stays.

    Raises:
        ConfigError: A file cannot be read.
    """
    for file, lines in missing_settings(root, answers, code).items():
        yield MissingLines(file, lines)
    for derived in DERIVED_FILES:
        if is_hand_written(root / derived.path) and not derived.keep_existing:
            yield MissingLines("ownership.toml", f"# the content of {derived.path}; then delete that file")
    if lines := "\n".join(_missing_make_lines(root)):
        yield MissingLines(_makefile(root), lines)
    if HOOKS in kept_paths and not _hooks_exclude_chassis(root / HOOKS):
        yield MissingLines(HOOKS, "exclude: ^chassis/  # at the top level, so that no hook changes the chassis")
    if entries := [entry for entry, path in IGNORED.items() if not _is_ignored(root, path)]:
        yield MissingLines(".gitignore", "\n".join(entries))


def _committed_paths(root: Path) -> set[str]:
    try:
        git(root, "rev-parse", "--verify", "HEAD")
    except ConfigError:
        remedy = "Commit the files that existed before you ran Copier (after `git init` if needed), then try again"
        raise ConfigError("git", "this repository has no commit", remedy) from None
    return set(git_list(root, "ls-tree", "-r", "--name-only", "HEAD"))


def _hidden_files(root: Path, generated: Collection[str]) -> Iterator[MissingLines]:
    """Name the rules of git that hide new files, because no commit would contain these files."""
    rules: dict[str, list[str]] = {}
    for path, rule in ignored_files(root, [path for path in generated if (root / path).is_file()]).items():
        rules.setdefault(rule, []).append(path)
    for rule, paths in rules.items():
        file, line, pattern = rule.split(":", 2)
        hidden = f"# line {line}, {pattern}, hides new files from git; narrow it, or run:"
        yield MissingLines(file, f"{hidden}\n# git add --force {shlex.join(paths)}")


def _compare(root: Path, answers_file: AnswersFile) -> tuple[tuple[str, ...], set[str]]:
    """Compare the repository with its release.

    Returns:
        The recorded kept paths and, outside `chassis/`, every chassis path where the repository differs; and every path
        of a repository that is generated with these answers.
    """
    with cloned_template(answers_file.source) as template:
        commit = template.commit_of(answers_file.version)
        if commit is None:
            problem = f"it has no release {answers_file.version}"
            raise ConfigError(answers_file.source, problem, "Run `copier copy` from a release")
        # Copier ran with `--skip '*'`, so where content differs from the release, the team had a file before.
        shipped = template.chassis_files(commit, forge=answers_file.forge)
        kept = set(find_drift(root, shipped).edited)
        if answers_file.answers.get("scope") == EVALUATION:
            kept |= {path for path in shipped if not (root / path).exists()}
        generated = template.generated_paths(commit, answers_file.answers)
    outside = {path for path in kept if not path.startswith(CHASSIS_FOLDER)}
    return tuple(sorted({*answers_file.kept_paths, *outside})), generated


def _record_kept_paths(root: Path, answers_file: AnswersFile, kept_paths: tuple[str, ...]) -> None:
    # Rewriting the one entry in place keeps the rest of the file as Copier wrote it.
    file = root / answers_file.path
    text, count = re.subn(
        r"^kept_paths:.*\n(?:[-\s].*\n)*",
        lambda _: f"kept_paths: {json.dumps(kept_paths)}\n",
        file.read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )
    if not count:
        raise ConfigError(answers_file.path, "the key kept_paths is missing", "Run `copier copy` from a newer release")
    file.write_text(text, encoding="utf-8")


def _existing_code(root: Path, existing: set[str]) -> list[str]:
    """Return the code that existed before, as the fewest folders and files that contain nothing new."""
    # If `src/old/a.py` existed and `src/new/b.py` is new, this is `src/old`, because `src` contains something new.
    new = set(git_list(root, "ls-files", "--cached", "--others", "--exclude-standard")) - existing
    folders_with_new_files = {folder for path in new for folder in PurePosixPath(path).parents}
    covering: set[str] = set()
    for path in existing:
        if path.endswith(CODE_SUFFIXES) and not path.startswith(CHASSIS_FOLDER):
            folders = reversed(PurePosixPath(path).parents[:-1])
            covering.add(next((str(folder) for folder in folders if folder not in folders_with_new_files), path))
    return sorted(covering)


def _adapt_new_settings(root: Path, code: list[str], existing: Collection[str]) -> None:
    """In a new `pyproject.toml`, exclude existing code from linting and type checking, and keep its tests running."""
    file = root / PYPROJECT
    text = file.read_text(encoding="utf-8")
    unlisted = "".join(f"{json.dumps(path)}, " for path in code if json.dumps(path) not in text)
    text = text.replace('extend-exclude = ["chassis"', f'extend-exclude = [{unlisted}"chassis"')
    typed = [path for path in code if path.partition("/")[0] in TEAM_FOLDERS]
    include = f"[tool.ty.src]\ninclude = {toml_list(TEAM_FOLDERS)}\n"
    if typed and f"{include}exclude" not in text:
        text = text.replace(include, f"{include}exclude = {toml_list(typed)}\n")
    if other_pytest_file(root):
        text = PYTEST_TABLE.sub("", text)
    elif "pythonpath" not in text:
        # Without the strict options, because existing tests may use markers that are not registered.
        testpaths = toml_list(["tests", *_test_paths(existing)])
        settings = f'testpaths = {testpaths}\npythonpath = {toml_list(IMPORT_FOLDERS)}\naddopts = ["-q"]\n'
        text = PYTEST_TABLE.sub(f"\n[tool.pytest.ini_options]\n{settings}", text)
    file.write_text(text, encoding="utf-8")


def _test_paths(existing: Collection[str]) -> list[str]:
    """Return the folders outside `tests` that hold tests, and the tests in the root."""
    tests = [PurePosixPath(path) for path in existing if TEST_FILE.search(path) and not path.startswith("tests/")]
    folders = {str(path.parent) if path.parent.name else str(path) for path in tests}
    return sorted(folder for folder in folders if not folders & {str(each) for each in PurePosixPath(folder).parents})


def _clashes(root: Path) -> Iterator[Overlap]:
    content = read_toml(root, PYPROJECT)
    for file, requirement, needed in clashing_requirements(root, content):
        effect = f"{requirement} excludes what the chassis needs, {needed}"
        yield Overlap(file, effect, "Allow a version that fits both")
    poetry = content.get("tool", {}).get("poetry", {})
    moved = [key for key in MOVED_FROM_POETRY if key in poetry]
    if set(poetry.get("dependencies", {})) - {RUNTIME}:
        moved.append("dependencies")
    if "project" in content and moved:
        effect = f"[tool.poetry] still has {', '.join(moved)}, which [project] has now"
        yield Overlap(PYPROJECT, effect, "Delete them there")


def _check_resolution(root: Path) -> None:
    """Check that versions exist which meet the requirements of the project and of the chassis.

    Raises:
        ConfigError: There are none, or the package index cannot be reached. The error has uv's explanation.
    """
    done = _run_uv(root, "lock", "--dry-run", "--quiet")
    if done.returncode:
        reason = " ".join(re.sub(r"[×╰─▶│]|^\s*error:", " ", done.stderr).split()).removesuffix(".")
        raise ConfigError(PYPROJECT, f"its requirements cannot be met: {reason}", "Loosen a requirement of yours")


def _known_findings(root: Path, existing: Collection[str]) -> Iterator[MissingLines]:
    """Return the settings with which zizmor, the linter of workflows, accepts those that existed before as they are."""
    workflows = sorted(path for path in existing if WORKFLOW.fullmatch(path) and (root / path).is_file())
    if not workflows:
        return
    version = re.search(r"^zizmor==\S+", (root / "chassis/tested.txt").read_text(encoding="utf-8"), re.MULTILINE)
    command = (version[0] if version else "zizmor", "--offline", "--quiet", "--format", "json-v1", *workflows)
    done = _run_uv(root, "tool", "run", "--quiet", *command)
    files: dict[str, set[str]] = {}
    for finding in json.loads(done.stdout) if done.stdout.startswith("[") else ():
        for location in finding["locations"]:
            path = location["symbolic"]["key"].get("Local", {}).get("verbatim_path", "")
            files.setdefault(finding["ident"], set()).add(PurePosixPath(path).name)
    if files:
        rules = (f"  {rule}: {{ignore: [{', '.join(sorted(names))}]}}" for rule, names in sorted(files.items()))
        yield MissingLines(ZIZMOR_FILE, "\n".join(("rules:", *rules)))


def _run_uv(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", "chassis/uv", *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)  # noqa: S603 - our own script


def _next_command(root: Path, answers: Mapping[str, Any]) -> str:
    if not has_own_lint_rules(root):
        return "make setup check"
    # The team's own lint rules apply to the new starter files as well, so these are fixed and formatted first.
    package = f"src/{str(answers['service_name']).replace('-', '_')}"
    new = " ".join(path for path in ("evals", package, "tests/test_task.py") if (root / path).exists())
    ruff = "sh chassis/uv run --frozen ruff"
    return f"make setup && {ruff} check --quiet --fix {new} && {ruff} format --quiet {new} && make check"


def _makefile(root: Path) -> str:
    # Compared with the listing, since on a file system that ignores case every one of the names would exist.
    names = {path.name for path in root.iterdir()}
    return next((name for name in MAKEFILES if name in names), MAKEFILES[-1])


def _missing_make_lines(root: Path) -> Iterator[str]:
    text = "\n".join(_make_texts(root, root / _makefile(root), set()))
    duplicates = _target_names(text) & _target_names(_read_ascii(root / TASKS))
    if duplicates:
        yield f"# rename your targets {', '.join(sorted(duplicates))}, because the chassis has targets of these names"
    if specials := sorted(set(MAKE_SPECIALS.findall(text))):
        yield f"# remove {', '.join(specials)}, because the targets of the chassis do not work with it"
    # `-include` counts too: make then ignores a missing file, but the chassis is there.
    if not re.search(rf"^-?include\s.*{re.escape(TASKS)}", text, re.MULTILINE):
        yield f"include {TASKS}  # as the last line, so that your first target remains the default"


def _make_texts(root: Path, makefile: Path, seen: set[Path]) -> Iterator[str]:
    """Yield the text of a Makefile and of the files that it includes, except that of the chassis."""
    if makefile in seen or makefile == root / TASKS:
        return
    seen.add(makefile)
    text = _read_ascii(makefile)
    yield text
    for pattern in (word for words in MAKE_INCLUDES.findall(text) for word in words.split()):
        # make finds them from the folder in which it runs; a name with a variable is not followed.
        files = root.glob(pattern) if not pattern.startswith(("/", "$", "~")) else ()
        for file in sorted(files):
            yield from _make_texts(root, file, seen)


def _target_names(makefile: str) -> set[str]:
    return {name for names in MAKE_TARGETS.findall(makefile) for name in names.split()}


def _read_ascii(file: Path) -> str:
    """Return a text of which only the ASCII part matters, whatever its encoding."""
    return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""


def _hooks_exclude_chassis(hooks: Path) -> bool:
    import yaml

    try:
        content: object = yaml.safe_load(_read_ascii(hooks))
    except yaml.YAMLError:
        return False
    return isinstance(content, dict) and "chassis" in str(cast("dict[str, Any]", content).get("exclude", ""))


def _is_ignored(root: Path, path: str) -> bool:
    try:
        return bool(git(root, "check-ignore", "--no-index", path))
    except ConfigError:
        return False
