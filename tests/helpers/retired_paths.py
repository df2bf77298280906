"""Checks what a release promises about the paths of the release before."""

import re
from collections.abc import Iterator

import yaml
from chassis_tools.updates.git import git, git_list
from chassis_tools.updates.path_ownership import CHASSIS_FOLDER, PATHS_FILE, owner_of, parse_path_owners
from chassis_tools.updates.template_repository import TemplateRepository


def broken_promises(template: TemplateRepository, old: str, new: str) -> Iterator[str]:
    """Return each promise that the second release breaks to the first, one sentence each."""
    owners, shipped = parse_path_owners(template.read(new, PATHS_FILE)), template.chassis_files(new)
    excluded = yaml.safe_load(git(template.git_dir, "show", f"{new}:copier.yml"))["_exclude"]
    for path in template.chassis_files(old).keys() - shipped.keys():
        if path.startswith(CHASSIS_FOLDER):
            continue
        if owner_of(path, owners) != "retired":
            yield f"{path} was removed but is not listed as retired in {PATHS_FILE}"
        elif f"/{path}" not in excluded:
            yield f"{path} is retired but not excluded in copier.yml, so an update would delete it"
    for path in sorted(_included_by_team_files(template, old) - shipped.keys()):
        yield f"{path} was removed, but files of the team refer to it"


def _included_by_team_files(template: TemplateRepository, release: str) -> set[str]:
    """Return the chassis files that the starter files of the team include or run."""
    owners, shipped = parse_path_owners(template.read(release, PATHS_FILE)), template.chassis_files(release)
    paths = git_list(template.git_dir, "ls-tree", "-r", "--name-only", release, "template/")
    texts = (
        git(template.git_dir, "show", f"{release}:{path}")
        for path in paths
        if owner_of(path.removeprefix("template/"), owners) == "yours" and path.count("/") == 1
    )
    pattern = rf"{CHASSIS_FOLDER}[\w./-]+\w"
    return {path for text in texts for path in re.findall(pattern, text) if path in shipped}
