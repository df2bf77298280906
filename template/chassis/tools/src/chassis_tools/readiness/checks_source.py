"""Checks of the team's code, and of the files beside it: container, packages, secrets, alerts and documentation."""

import ast
import re

from chassis.privacy.finder import hide_secrets
from chassis_tools.readiness.check import (
    Check,
    CheckUnknown,
    Family,
    PartialEvidence,
    Repository,
    require,
    summarize,
)
from chassis_tools.readiness.placeholders import DESCRIPTIONS, is_example_address
from chassis_tools.readiness.source_scan import scan_repository
from chassis_tools.updates.git import git_list, git_succeeds
from chassis_tools.updates.status import compare_with_release

ENV_FILE = re.compile(r"(^|/)\.env(\.(?!example$|sample$|template$)[^/]+)?$")
"""A file with the values of environment variables, other than an example of one."""
EXECUTES_TEXT, PRINTS, UNREADABLE = ("S102", "S307", "S602", "S605"), "T201", "E902"
SELECTED = (*EXECUTES_TEXT, PRINTS, UNREADABLE)
"""Ruff's rules of all checks together, because starting it twice takes longer than one more rule."""


class CodeCheck(Check):
    """A check of `src/` and `tests/`."""

    family = Family.CODE
    file = "pyproject.toml"


class HasTests(CodeCheck, id="TST101", level="experiment"):
    """There are tests.

    `tests/` contains at least one function whose name begins with `test_`.
    """

    remedy = "Write a test in tests/"

    def check(self, repository: Repository) -> str:
        files = sorted((repository.root / "tests").rglob("*.py"))
        count = sum(_count_tests(repository, str(file.relative_to(repository.root))) for file in files)
        return require(count, "tests/ contains no test", f"{count} tests")


def _count_tests(repository: Repository, path: str) -> int:
    tree = ast.parse(repository.text(path), path)
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return sum(function.name.startswith("test_") for function in functions)


class NoWayPastGuard(CodeCheck, id="SEC101", level="experiment"):
    """No way past the guard is found in the code.

    Every file of the team that git does not ignore is read, with the modules that it imports from the repository. None
    uses the SDK of a vendor or a library around one, names a vendor's host, key or model, starts a program (curl), or
    takes the place of the chassis. What is computed, decoded, installed or compiled cannot be read: its file and line
    are named, and the check is `unknown`. Where a network client leads is not seen: each is named below the results,
    and at run time the guard's own HTTP client and the network policy hold. A request past the guard is not redacted,
    charged or logged.
    """

    remedy = "Use the model that the task is given"

    def check(self, repository: Repository) -> PartialEvidence:
        result = scan_repository(repository.root)
        require(not result.findings, summarize(result.findings), "")
        if result.unseen:
            raise CheckUnknown(f"cannot be read: {summarize(result.unseen)}")
        return PartialEvidence(f"{result.files} files read", tuple(f"where {place} leads" for place in result.clients))


class NoDynamicExecution(CodeCheck, id="SEC102", level="standard"):
    """No text is executed as code or as a shell command.

    Ruff finds no `eval`, `exec` or shell in `src/` (S102, S307, S602, S605), with or without `noqa`. Text from a
    model or a caller that reaches one of these is executed as a program.
    """

    remedy = "Remove the call"

    def check(self, repository: Repository) -> str:
        return _without_findings(repository, *EXECUTES_TEXT)


class NoPrint(CodeCheck, id="OBS101", level="standard"):
    """The code logs instead of printing.

    Ruff finds no `print` in `src/` (T201), with or without `noqa`. Printed text has no call id, cannot be searched,
    and may contain what callers have sent.
    """

    remedy = "Use structlog instead of print"

    def check(self, repository: Repository) -> str:
        return _without_findings(repository, PRINTS)


def _without_findings(repository: Repository, *rules: str) -> str:
    findings = repository.lint(
        "ruff",
        "check",
        "src",
        "--isolated",  # without the settings of the team
        "--ignore-noqa",
        "--no-respect-gitignore",
        "--config=exclude = []",  # not even folders such as `build`, which are excluded by default
        "--target-version=py314",  # the newest syntax, of which older code is a part
        f"--select={','.join(SELECTED)}",
        "--output-format=json",
        "--exit-zero",
        "--no-cache",
        reads="src",
    )
    places: list[str] = []
    for finding in findings:
        place = f"{finding['filename']}:{finding['location']['row']}: {finding['message']}"
        if finding["code"] not in (*EXECUTES_TEXT, PRINTS):
            raise CheckUnknown(place)
        if finding["code"] in rules:
            places.append(place)
    return require(not places, summarize(places), f"no finding of {', '.join(rules)}")


class RepositoryCheck(Check):
    """A check of files at the root of the repository."""

    family = Family.REPOSITORY


class DependenciesLocked(RepositoryCheck, id="DLV101", level="experiment"):
    """Dependencies are locked.

    `uv.lock` exists and names packages, so that every machine installs the same versions.
    """

    remedy = "Run `make setup`, then commit uv.lock"
    file = "uv.lock"

    def check(self, repository: Repository) -> str:
        count = repository.text("uv.lock").count("[[package]]")
        return require(count, "uv.lock names no package", f"{count} packages are locked")


class ChassisUnchanged(RepositoryCheck, id="DLV106", level="standard"):
    """The chassis is that of its release.

    No file of the chassis differs from the release that `.copier-answers.yml` names. The template's repository is
    asked, so the check is `unknown` without access to it. An edited guard may no longer redact, reserve or log.
    """

    remedy = (
        "Let this machine reach the template; restore an edited file as it was before the edit (`git log FILE`), or "
        "propose the change to the template"
    )
    file = ".copier-answers.yml"

    def check(self, repository: Repository) -> str:
        # Without what was remembered: code of the team may have run since, and could have written it.
        comparison = compare_with_release(repository.root, use_remembered=False)
        drift, kept = comparison.drift, ", ".join(comparison.kept)
        evidence = f"{comparison.files} files equal release {comparison.version} of {comparison.source}"
        return require(
            not drift,
            f"differs from release {comparison.version}: {summarize([*drift.edited, *drift.missing, *drift.added])}",
            f"{evidence}; yours instead: {kept}" if kept else evidence,
        )


class ContainerIsNotRoot(RepositoryCheck, id="SEC103", level="standard"):
    """The image does not run as root.

    The last `USER` in the last stage of the `Dockerfile` is a number other than 0. Kubernetes cannot verify that a user
    with a name is not root.
    """

    remedy = "End the Dockerfile with a numeric USER"
    file = "Dockerfile"

    def check(self, repository: Repository) -> str:
        last_stage = re.split(r"^FROM ", repository.text("Dockerfile"), flags=re.MULTILINE)[-1]
        users = re.findall(r"^USER +(\S+)", last_stage, re.MULTILINE)
        user = users[-1] if users else "root"
        evidence = f"the image runs as {user}"
        return require(re.fullmatch(r"[1-9]\d*(:\d+)?", user), evidence, evidence)


class BaseImagesPinned(RepositoryCheck, id="SEC104", level="standard"):
    """Base images are pinned by digest.

    Every image that the `Dockerfile` names, in an `ARG` or in a `FROM`, has a digest. A tag can point to another image
    tomorrow; a digest names the image that was tested.
    """

    remedy = "Add @sha256:… to each image"
    file = "Dockerfile"

    def check(self, repository: Repository) -> str:
        dockerfile = repository.text("Dockerfile")
        stages = {"scratch", *re.findall(r"^FROM .+ AS +(\S+)", dockerfile, re.MULTILINE)}
        sources = re.findall(r"^FROM +(?:--\S+ +)*([^$\s]+)", dockerfile, re.MULTILINE)
        images = re.findall(r"^ARG +\w+=(\S+/\S+:\S+)", dockerfile, re.MULTILINE)
        images += [source for source in sources if source not in stages]
        if not images:
            raise CheckUnknown("the Dockerfile names no image")
        unpinned = [image for image in images if "@sha256:" not in image]
        return require(not unpinned, f"no digest: {', '.join(unpinned)}", f"{len(images)} images, all by digest")


class EnvFileIgnored(RepositoryCheck, id="SEC105", level="experiment"):
    """The file .env is ignored by Git.

    `.gitignore` excludes `.env`, and git tracks neither it nor another such file, for example `.env.production`.
    They hold the API keys of the models.
    """

    remedy = "Add the lines .env* and !.env.example to .gitignore; if a key was ever committed, revoke it"
    file = ".gitignore"

    def check(self, repository: Repository) -> str:
        tracked = [path for path in git_list(repository.root, "ls-files") if ENV_FILE.search(path)]
        require(not tracked, f"git tracks {', '.join(tracked)}", "")
        ignored = git_succeeds(repository.root, "check-ignore", "--quiet", "--no-index", ".env")
        return require(ignored, ".gitignore does not exclude .env", "ignored, and not tracked")


class EnvExampleHasNoKey(RepositoryCheck, id="SEC106", level="experiment"):
    """The file .env.example contains no secret.

    No variable in `.env.example` whose name ends in KEY, TOKEN, SECRET or PASSWORD has a value, and no line looks like
    a secret. That file is committed, so everyone who can read the repository could read the secret.
    """

    remedy = "Remove the value, and revoke the key"
    file = ".env.example"

    def check(self, repository: Repository) -> str:
        lines = repository.text(".env.example").splitlines()
        keys = [match[1] for line in lines if (match := re.match(r"#? *(\w*(?:KEY|TOKEN|SECRET|PASSWORD))=\S", line))]
        values = ((number, line) for number, line in enumerate(lines, 1) if not line.startswith("#"))
        others = [f"line {number}" for number, line in values if hide_secrets(line) != line]
        found = [*keys, *others]
        return require(not found, f".env.example has a value for {', '.join(found)}", ".env.example has no secrets")


class AlertsHaveRunbooks(RepositoryCheck, id="OBS102", level="standard"):
    """Every alert has a runbook.

    Every alert in `ops/alerts.yaml` links to a section that exists. It tells the person on call what to do.
    """

    remedy = "Write the section that the alert links to"
    file = "ops/alerts.yaml"

    def check(self, repository: Repository) -> str:
        alerts = re.findall(r"^ *- alert: *(\S+)", repository.text("ops/alerts.yaml"), re.MULTILINE)
        links = re.findall(r"\brunbook(?:_url)?: *(\S+)", repository.text("ops/alerts.yaml"))
        anchors = {page: _anchors(repository, page) for page in {link.partition("#")[0] for link in links}}
        missing = sorted({link for link in links if link.partition("#")[2] not in anchors[link.partition("#")[0]]})
        if len(links) < len(alerts):
            missing.append(f"{len(alerts)} alerts have only {len(links)} links")
        return require(alerts and not missing, f"missing: {', '.join(missing)}", f"{len(alerts)} alerts with a runbook")


def _anchors(repository: Repository, page: str) -> set[str]:
    """Return the anchors that a forge makes from the headings of a page, and the empty one; none if it is missing."""
    if not (repository.root / page).is_file():
        return set()
    headings = re.findall(r"^#+ (.+)$", repository.text(page), re.MULTILINE)
    return {"", *(re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings)}


class ProjectDescribed(RepositoryCheck, id="DOC101", level="standard"):
    """The project has a description of its own.

    `project.description` in `pyproject.toml` says what the service does, and is not the template's example. The catalog
    and the sign-off pages show it to people who do not know the service.
    """

    remedy = "Write project.description in pyproject.toml"
    file = "pyproject.toml"

    def check(self, repository: Repository) -> str:
        description = repository.project.description
        require(description, "project.description is empty", "")
        return require(description not in DESCRIPTIONS, "it is still the template's example", description)


class ReadmeNamesContact(RepositoryCheck, id="DOC102", level="standard"):
    """The README names the contact.

    `README.md` contains the email address of the team that is accountable for the system.
    """

    remedy = "Write the address of your team in ownership.toml, and name it in README.md"
    file = "README.md"

    def check(self, repository: Repository) -> str:
        address = repository.ownership.contact
        require(not is_example_address(address), f"{address} is an example", "")
        named = address in repository.text("README.md")
        return require(named, f"README.md does not contain {address}", f"README.md contains {address}")
