"""Checks of the workflows of GitHub and the pipeline of GitLab: what they run, and whether that can stop a change."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import yaml

from chassis_tools.readiness.check import Check, CheckFailed, CheckUnknown, Family, Repository, require, summarize

# The variant in C is ten times as fast. Both make only strings, lists and dicts.
LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")
CHANGE_FILTERS = {"branches", "branches-ignore", "paths", "paths-ignore", "types"}
"""With one of these keys, GitHub skips a workflow for some changes."""
CONDITIONS = {"if", "needs", "shell", "strategy", "working-directory"}
"""With one of these keys, a job or a step of GitHub may be skipped, or may run something else than it says."""
GITLAB_CONDITIONS = {"allow_failure", "except", "extends", "inherit", "needs", "only", "parallel", "rules", "when"}
"""With one of these keys, a job of GitLab may be skipped, or may fail without failing the pipeline."""
TARGET = re.compile(r"make --file chassis/tasks\.mk(?: [a-z-]+)+")
"""A command that makes targets of the chassis. Without `--file` the Makefile of the team could replace any of them."""

type YamlMapping = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Workflow:
    """One file that the forge runs.

    Args:
        path: Its path in the repository.
        on_every_change: Whether it runs for every pull or merge request.
        targets: The targets of the chassis that always run, and whose failure fails the run.
        images: The container images of a GitLab pipeline; zizmor reads those of GitHub.
    """

    path: str
    on_every_change: bool
    targets: frozenset[str]
    images: tuple[str, ...] = ()


class CiCheck(Check):
    """A check of the files that the forge runs."""

    family = Family.CI
    file = ".github/workflows/check.yml"


class CiIsPinned(CiCheck, id="DLV102", level="standard"):
    """Actions and images in CI are pinned.

    On GitHub, zizmor finds no `unpinned-uses` and no `unpinned-images`. On GitLab, every image has a digest. A tag
    can be moved to other code at any time; a commit or a digest cannot.
    """

    remedy = "Pin each action to a commit and each image to a digest"

    def check(self, repository: Repository) -> str:
        if repository.project.forge == "github":
            return _without_findings(repository, "unpinned-uses", "unpinned-images")
        images = [image for workflow in load_workflows(repository) for image in workflow.images]
        unpinned = sorted({image for image in images if not DIGEST.search(image)})
        return require(not unpinned, f"no digest: {', '.join(unpinned)}", f"{len(images)} images, all by digest")


class WorkflowPermissionsMinimal(CiCheck, id="DLV103", level="standard"):
    """Workflows have minimal permissions.

    On GitHub, zizmor finds no `excessive-permissions`. GitLab has no such permissions, so the check passes there.
    Third-party code in a job can do whatever the token of the job permits.
    """

    remedy = "Write `permissions: {}` at the top of the workflow, and what a job needs in the job"

    def check(self, repository: Repository) -> str:
        if repository.project.forge == "github":
            return _without_findings(repository, "excessive-permissions")
        return "jobs of GitLab have no permissions of their own"


def _without_findings(repository: Repository, *audits: str) -> str:
    findings = repository.lint(
        "zizmor",
        ".github",
        "--offline",
        "--no-config",
        "--no-ignores",  # comments in a workflow hide nothing
        "--collect=all",  # neither does .gitignore
        "--strict-collection",
        "--persona=pedantic",  # the default overlooks images, and permissions that each job overrides
        "--format=json",
        "--no-exit-codes",
        "--no-progress",
        "--quiet",
        reads=".github",
    )
    places = [_place(finding) for finding in findings if finding["ident"] in audits]
    return require(not places, summarize(places), f"no finding of {', '.join(audits)}")


def _place(finding: Mapping[str, Any]) -> str:
    location = finding["locations"][0]
    path = location["symbolic"]["key"]["Local"]["verbatim_path"]
    return f"{path}:{location['concrete']['location']['start_point']['row'] + 1}: {finding['ident']}"


class EveryChangeChecked(CiCheck, id="DLV104", level="experiment"):
    """CI checks every change.

    A workflow runs `make --file chassis/tasks.mk check` for every pull or merge request, and fails if it fails. With
    `--file`, no line of the team's `Makefile` can replace the target. Whether the forge requires it before a merge is a
    setting of the repository, which no file shows.
    """

    remedy = "Run `make --file chassis/tasks.mk check` in CI for every pull or merge request"

    def check(self, repository: Repository) -> str:
        return _made_on_every_change(repository, "check")


class EveryChangeEvaluated(CiCheck, id="DLV105", level="standard"):
    """CI evaluates every change.

    A workflow runs `make --file chassis/tasks.mk evals` for every pull or merge request, and fails if it fails. With
    `--file`, no line of the team's `Makefile` can replace the target.
    """

    remedy = "Run `make --file chassis/tasks.mk evals` in CI for every pull or merge request"

    def check(self, repository: Repository) -> str:
        return _made_on_every_change(repository, "evals")


def _made_on_every_change(repository: Repository, target: str) -> str:
    workflows = load_workflows(repository)
    paths = [workflow.path for workflow in workflows if workflow.on_every_change and target in workflow.targets]
    return require(
        paths,
        f"no workflow runs `make --file chassis/tasks.mk {target}` for every change and fails with it",
        f"`make {target}` runs in {', '.join(paths)}",
    )


def load_workflows(repository: Repository) -> list[Workflow]:
    """Read the workflows of GitHub, or the pipeline of GitLab with the files that it includes from the repository.

    Raises:
        CheckFailed: There is none.
        CheckUnknown: A file cannot be read.
    """
    if repository.project.forge == "gitlab":
        return _gitlab_workflows(dict(_gitlab_files(repository)))
    files = sorted((repository.root / ".github/workflows").glob("*.y*ml"))
    if not files:
        raise CheckFailed("there is no workflow in .github/workflows")
    paths = [str(file.relative_to(repository.root)) for file in files]
    return [_github_workflow(path, _load_yaml(path, repository.text(path))) for path in paths]


def _github_workflow(path: str, content: YamlMapping) -> Workflow:
    jobs = list(_mappings(content.get("jobs")))
    if not jobs:
        raise CheckUnknown(f"{path} has no jobs")
    steps = [step for job in jobs if _can_fail_run(job) for step in _mappings(job.get("steps"))]
    triggers = content.get("on", ())
    filters = _mapping(_mapping(triggers).get("pull_request"))
    return Workflow(
        path,
        on_every_change="pull_request" in ([triggers] if isinstance(triggers, str) else triggers)
        and not CHANGE_FILTERS & set(filters),
        targets=_targets(step.get("run") for step in steps if _can_fail_run(step)),
    )


def _can_fail_run(part: YamlMapping) -> bool:
    """Tell whether a job or a step of GitHub always runs, and whether its failure fails the run."""
    return part.get("continue-on-error", "false") == "false" and not CONDITIONS & set(part)


def _gitlab_files(repository: Repository) -> Iterator[tuple[str, str]]:
    pipeline = repository.text(".gitlab-ci.yml")
    yield ".gitlab-ci.yml", pipeline
    for path in re.findall(r"^ *-? *local: *['\"]?/?([^'\"\s]+)", pipeline, re.MULTILINE):
        yield path, repository.text(path)


def _gitlab_workflows(files: Mapping[str, str]) -> list[Workflow]:
    contents = {path: _load_yaml(path, text) for path, text in files.items()}
    # Whichever file holds them, the rules of `workflow` decide for the whole pipeline.
    rules = [
        rule for content in contents.values() for rule in _mappings(_mapping(content.get("workflow")).get("rules"))
    ]
    on_every_change = any("merge_request_event" in str(rule.get("if")) for rule in rules)
    return [_gitlab_workflow(path, content, on_every_change=on_every_change) for path, content in contents.items()]


def _gitlab_workflow(path: str, content: YamlMapping, *, on_every_change: bool) -> Workflow:
    jobs = [job for job in _mappings(content) if "script" in job]
    images = [part.get("image") for part in (content, _mapping(content.get("default")), *jobs)]
    return Workflow(
        path,
        on_every_change,
        _targets(job["script"] for job in jobs if not GITLAB_CONDITIONS & set(job)),
        tuple(str(_mapping(image).get("name", image)) for image in images if image),
    )


@lru_cache(maxsize=100)  # two checks read each file, and all repositories of a fleet have the same ones
def _load_yaml(path: str, text: str) -> YamlMapping:
    try:
        content: object = yaml.load(text, Loader=LOADER)  # noqa: S506 - see LOADER
    except yaml.YAMLError as error:
        raise CheckUnknown(f"{path} is not YAML ({' '.join(str(error).split())})") from None
    if not isinstance(content, dict):
        raise CheckUnknown(f"{path} is not a mapping")
    return cast("YamlMapping", content)


def _mapping(part: object) -> YamlMapping:
    """Return a mapping as it is, and an empty one for anything else."""
    return cast("YamlMapping", part) if isinstance(part, dict) else {}


def _mappings(parts: object) -> Iterator[YamlMapping]:
    """Yield the mappings in a list or in a mapping."""
    match parts:
        case dict():
            yield from _mappings(list(cast("YamlMapping", parts).values()))
        case list():
            yield from (cast("YamlMapping", part) for part in cast("list[object]", parts) if isinstance(part, dict))
        case _:
            pass


def _targets(scripts: Iterable[object]) -> frozenset[str]:
    """Return the targets that the scripts make; a line with more than such a command could ignore its failure."""
    lines = (line for script in scripts for line in _lines(script) if TARGET.fullmatch(line))
    return frozenset(target for line in lines for target in line.split()[3:])


def _lines(script: object) -> Iterator[str]:
    """Yield the lines of a script; in GitLab it may be a list of lists of them."""
    match script:
        case str():
            yield from (line.strip() for line in script.splitlines())
        case list():
            for part in cast("list[object]", script):
                yield from _lines(part)
        case _:
            pass
