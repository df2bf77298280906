"""Writes CODEOWNERS for GitHub and GitLab: who has to approve a change to which files."""

from chassis.config.ownership import OWNERSHIP_FILE, Ownership, Role
from chassis.errors import ConfigError
from chassis_tools.governance.decisions import Decisions

COMMENT = "# Any one owner on a line can approve. The last line that matches a path applies.\n"


def github_codeowners(decisions: Decisions) -> str:
    """Return the body of `.github/CODEOWNERS`.

    Raises:
        ConfigError: A handle has subgroups. GitHub does not know them and would silently ignore the whole line.
    """
    for name, team in decisions.ownership.teams.items():
        if team.handle.count("/") > 1:
            raise ConfigError(
                f"{OWNERSHIP_FILE}: teams.{name}.handle",
                f"{team.handle!r} has more than one slash",
                "On GitHub, write @organization/team or @person",
            )
    return COMMENT + _rules(decisions.ownership)


def gitlab_codeowners(decisions: Decisions) -> str:
    """Return the body of `.gitlab/CODEOWNERS`. GitLab reads the same patterns as GitHub, and handles with subgroups."""
    return COMMENT + _rules(decisions.ownership)


def _rules(ownership: Ownership) -> str:
    """Return one line for each path, from broad to narrow patterns, because the last match applies."""
    owners = {path: _handles(ownership, role) for _, role in ownership.roles for path in role.paths}
    return "".join(f"{path} {owners[path]}\n" for path in sorted(owners, key=_specificity))


def _handles(ownership: Ownership, role: Role) -> str:
    teams = [team for team in (role.accountable, role.deputy) if team is not None]
    return " ".join(ownership.teams[team].handle for team in teams)


def _specificity(path: str) -> tuple[bool, int, str]:
    """Return a sort key that puts patterns anchored at the root, and deeper ones, after the others."""
    return path.startswith("/"), len(path.strip("/").split("/")), path
