"""What a release may not do to the paths of the one before."""

import re
from collections.abc import Iterator

import yaml
from chassis_tools.updates.drift import FOLDER
from chassis_tools.updates.git import git, names
from chassis_tools.updates.law import FILE, kind_of, read_law
from chassis_tools.updates.source import Template


def breaches(template: Template, old: str, new: str) -> Iterator[str]:
    """Return what breaks a promise between two releases of a template, a sentence each."""
    law, shipped = read_law(template.read(new, FILE)), template.chassis(new)
    excluded = yaml.safe_load(git(template.git_dir, "show", f"{new}:copier.yml"))["_exclude"]
    for path in template.chassis(old).keys() - shipped.keys():
        if path.startswith(FOLDER):
            continue
        if kind_of(path, law) != "retired":
            yield f"{path} is gone, and {FILE} does not retire it"
        elif f"/{path}" not in excluded:
            yield f"{path} is retired, and copier.yml does not exclude it, so an update would delete it"
    for path in sorted(_relied_on(template, old) - shipped.keys()):
        yield f"{path} is gone, and files that no update touches name it"


def _relied_on(template: Template, release: str) -> set[str]:
    """Return the files of the chassis that beginnings of the team's files include or run."""
    law, shipped = read_law(template.read(release, FILE)), template.chassis(release)
    listed = names(template.git_dir, "ls-tree", "-r", "--name-only", release, "template/")
    texts = (
        git(template.git_dir, "show", f"{release}:{path}")
        for path in listed
        if kind_of(path.removeprefix("template/"), law) == "yours" and path.count("/") == 1
    )
    return {found for text in texts for found in re.findall(rf"{FOLDER}[\w./-]+\w", text) if found in shipped}
