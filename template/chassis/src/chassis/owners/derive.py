"""The files that other tools read, as text that follows from `ownership.toml` and `pyproject.toml` alone."""

from chassis.owners.ownership import Ownership, Role

COMMAND = "uv run chassis sync"

CODEOWNERS = f"""\
# Derived from ownership.toml by `{COMMAND}`: change that file, then run the command.
# Any one owner on a line may approve. The last line that matches a path decides.
"""

CATALOG = f"""\
# Derived from ownership.toml and pyproject.toml by `{COMMAND}`: change those files, then run the command.
apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: {{name}}
  description: {{description}}
  links:
    - url: mailto:{{contact}}
      title: Who to ask
spec:
  type: service
  lifecycle: {{lifecycle}}
  owner: group:default/{{team}}
"""


def codeowners(ownership: Ownership) -> str:
    """Return `.github/CODEOWNERS`, broad patterns before narrow ones because the last match wins."""
    owners = {path: _handles(ownership, role) for _, role in ownership.roles for path in role.paths}
    return CODEOWNERS + "".join(f"{path} {owners[path]}\n" for path in sorted(owners, key=_narrowness))


def catalog_info(ownership: Ownership, name: str, description: str) -> str:
    """Return `catalog-info.yaml`, the service's entry in a Backstage catalog."""
    return CATALOG.format(
        name=name,
        description=_quoted(description),
        contact=ownership.contact,
        lifecycle=ownership.lifecycle,
        team=ownership.roles.system.accountable,
    )


def _handles(ownership: Ownership, role: Role) -> str:
    teams = [team for team in (role.accountable, role.deputy) if team is not None]
    return " ".join(ownership.teams[team].handle for team in teams)


def _narrowness(path: str) -> tuple[bool, int, str]:
    """A pattern from the root is narrower than one that matches anywhere, and a deep one than a shallow one."""
    return path.startswith("/"), len(path.strip("/").split("/")), path


def _quoted(text: str) -> str:
    """In YAML's single quotes nothing on a single line but the quote itself needs care."""
    return "'" + " ".join(text.split()).replace("'", "''") + "'"
