"""Checks of how it is built, released and watched."""

import re

from chassis_tools.readiness.check import Check
from chassis_tools.readiness.evidence import Evidence, Unknown
from chassis_tools.readiness.promises import need


def locked(evidence: Evidence) -> str:
    """`uv.lock` is there and names packages. With it, every machine installs the same versions."""
    count = evidence.text("uv.lock").count("[[package]]")
    return need(count, "uv.lock names no package", f"{count} packages are locked")


def pinned(evidence: Evidence) -> str:
    """Every foreign action of a workflow is named by its commit, every image of a pipeline by its digest.

    A tag can be moved to other code at any time; these cannot.
    """
    loose = sorted({name for pipeline in evidence.pipelines for name in pipeline.loose})
    count = sum(pipeline.foreign for pipeline in evidence.pipelines)
    return need(not loose, f"not pinned: {', '.join(loose)}", f"{count} foreign parts, all pinned")


def granted(evidence: Evidence) -> str:
    """Every workflow on GitHub begins with `permissions: {}`.

    Each job then has only the rights that it asks for. GitLab has no such grants, so there it passes.
    """
    wide = [pipeline.path for pipeline in evidence.pipelines if not pipeline.grants_nothing]
    return need(not wide, f"no `permissions: {{}}` in {', '.join(wide)}", f"{len(evidence.pipelines)} files")


def checked(evidence: Evidence) -> str:
    """A workflow runs `make check` on every pull or merge request, where it cannot be skipped, and fails with it."""
    return _runs(evidence, "make check")


def gated(evidence: Evidence) -> str:
    """A workflow runs `make evals` on every pull or merge request, where it cannot be skipped, and fails with it."""
    return _runs(evidence, "make evals")


def _runs(evidence: Evidence, command: str) -> str:
    found = [each.path for each in evidence.pipelines if each.each_change and command in each.commands]
    return need(found, f"no workflow runs `{command}` on each change and fails with it", f"in {', '.join(found)}")


def nobody(evidence: Evidence) -> str:
    """The last `USER` of the `Dockerfile` is a number other than 0.

    A cluster can only tell from a number that the container does not run as root.
    """
    users = re.findall(r"^USER +(\S+)", evidence.text("Dockerfile"), re.MULTILINE)
    fine = users and re.fullmatch(r"[1-9]\d*(:\d+)?", users[-1])
    return need(fine, f"Dockerfile runs as {users[-1] if users else 'root'}", f"runs as {users[-1] if users else ''}")


def based(evidence: Evidence) -> str:
    """Every image that the `Dockerfile` names as `ARG` carries its digest.

    A tag can name another image tomorrow; a digest names the one that was tested.
    """
    images = re.findall(r"^ARG +\w+=(\S+/\S+:\S+)", evidence.text("Dockerfile"), re.MULTILINE)
    if not images:
        raise Unknown("Dockerfile names no image as ARG")
    loose = [image for image in images if "@sha256:" not in image]
    return need(not loose, f"no digest: {', '.join(loose)}", f"{len(images)} images, all by digest")


def ignored(evidence: Evidence) -> str:
    """`.gitignore` names `.env`, where the keys of the models are written."""
    lines = evidence.text(".gitignore").splitlines()
    return need(".env" in lines, ".gitignore does not name .env", ".env is ignored")


def empty(evidence: Evidence) -> str:
    """`.env.example` gives no `…_API_KEY` a value.

    That file is committed, so a key in it is known to everybody who can read the repository.
    """
    found = re.findall(r"^#? *(\w+_API_KEY)=\S", evidence.text(".env.example"), re.MULTILINE)
    return need(not found, f"a value for {', '.join(found)} in .env.example", ".env.example holds no key")


def explained(evidence: Evidence) -> str:
    """Every alert in `ops/alerts.yaml` names a page that exists.

    It tells whoever is called at night what to look at and what to do.
    """
    pages = set(re.findall(r"runbook(?:_url)?: *(\S+)", evidence.text("ops/alerts.yaml")))
    missing = sorted(page for page in pages if not (evidence.root / page).is_file())
    return need(pages and not missing, f"no page: {', '.join(missing) or 'none is named'}", f"{len(pages)} runbooks")


def recorded(evidence: Evidence) -> str:
    """`.copier-answers.yml` says from which release of the template the chassis is.

    Without it, no update can tell what has changed since.
    """
    found = re.search(r"^_commit: *(\S+)", evidence.text(".copier-answers.yml"), re.MULTILINE)
    return need(found, ".copier-answers.yml names no release", f"from {found[1] if found else ''}")


def described(evidence: Evidence) -> str:
    """`project.description` in `pyproject.toml` says what the service does.

    The catalog and the sign-off pages show it to people who have never heard of the service.
    """
    found = evidence.project.description
    return need(found, "project.description is empty in pyproject.toml", found)


def contact(evidence: Evidence) -> str:
    """`README.md` names the address of the team that is accountable for the system."""
    address = evidence.decisions.ownership.contact
    return need(
        address in evidence.text("README.md"), f"README.md does not name {address}", f"README.md names {address}"
    )


CI = ".github/workflows/check.yml"
CHECKS = (
    Check(
        "DLV101", "Dependencies are locked", "experiment", "Run `make setup`, then commit uv.lock", locked, "uv.lock"
    ),
    Check("DLV102", "What CI runs is pinned", "standard", "Write a commit or a digest behind each @", pinned, CI),
    Check(
        "DLV103",
        "Workflows have no grants at the top",
        "standard",
        "Write `permissions: {}` at the top of the workflow",
        granted,
        CI,
    ),
    Check("DLV104", "Each change is checked", "experiment", "Run `make check` in CI", checked, CI),
    Check("DLV105", "Each change is measured", "standard", "Run `make evals` in CI", gated, CI),
    Check(
        "DLV106",
        "The template's release is recorded",
        "experiment",
        "Bring back .copier-answers.yml as Copier wrote it",
        recorded,
        ".copier-answers.yml",
    ),
    Check(
        "SEC103",
        "The container does not run as root",
        "standard",
        "End the Dockerfile with a numeric USER",
        nobody,
        "Dockerfile",
    ),
    Check("SEC104", "Images are pinned by digest", "standard", "Add @sha256:… to each image", based, "Dockerfile"),
    Check("SEC105", "The file with the keys is ignored", "experiment", "Add .env to .gitignore", ignored, ".gitignore"),
    Check(
        "SEC106",
        "The example holds no key",
        "experiment",
        "Take the value out, and revoke the key",
        empty,
        ".env.example",
    ),
    Check(
        "OBS102",
        "Every alert has its runbook",
        "standard",
        "Write the page that the alert names",
        explained,
        "ops/alerts.yaml",
    ),
    Check(
        "DOC101",
        "It is said what the service does",
        "experiment",
        "Write project.description in pyproject.toml",
        described,
        "pyproject.toml",
    ),
    Check("DOC102", "The README says whom to ask", "standard", "Name the contact in README.md", contact, "README.md"),
)
