"""Who is asked to approve a change, in the two dialects of CODEOWNERS."""

from chassis.config.ownership import FILE, Ownership, Role
from chassis.errors import ConfigError
from chassis_tools.governance.decisions import Decisions

RULE = "# Any one owner on a line may approve. The last line that matches a path decides.\n"


def for_github(decisions: Decisions) -> str:
    """Return `.github/CODEOWNERS`.

    Raises:
        ConfigError: A handle has sub-groups, which GitHub does not know; it would skip the whole line in silence.
    """
    for name, team in decisions.ownership.teams.items():
        if team.handle.count("/") > 1:
            raise ConfigError(
                f"{FILE}: teams.{name}.handle",
                f"{team.handle!r} has more than one slash",
                "GitHub knows @organisation/team and @person; write one of these",
            )
    return RULE + _lines(decisions.ownership)


def for_gitlab(decisions: Decisions) -> str:
    """Return `.gitlab/CODEOWNERS`. It reads these patterns as GitHub does, and handles with sub-groups too."""
    return RULE + _lines(decisions.ownership)


def _lines(ownership: Ownership) -> str:
    """Return one line a path, broad patterns before narrow ones because the last match wins."""
    owners = {path: _handles(ownership, role) for _, role in ownership.roles for path in role.paths}
    return "".join(f"{path} {owners[path]}\n" for path in sorted(owners, key=_narrowness))


def _handles(ownership: Ownership, role: Role) -> str:
    teams = [team for team in (role.accountable, role.deputy) if team is not None]
    return " ".join(ownership.teams[team].handle for team in teams)


def _narrowness(path: str) -> tuple[bool, int, str]:
    """A pattern from the root is narrower than one that matches anywhere, and a deep one than a shallow one."""
    return path.startswith("/"), len(path.strip("/").split("/")), path
