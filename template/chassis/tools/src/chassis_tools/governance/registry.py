"""Every derived file, with what it follows from and the function that writes it.

To add one: write its function, `Decisions` to text, in a file of this folder, add a line here, and name its path as
`derived` in `chassis/paths.txt`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from chassis.config.project import Forge
from chassis_tools.governance import alertmanager, catalog, codeowners, monitoring, security
from chassis_tools.governance.decisions import Decisions

COMMAND = "uv run chassis sync"
MARK = f"by `{COMMAND}`"
"""What the first line of every derived file says, and of no other file."""


@dataclass(frozen=True, slots=True)
class Derived:
    """One derived file.

    Args:
        path: Where it lies, from the root of the repository.
        sources: The files to edit instead.
        body: What stands in it below the first line; None if too little is known for it.
        forge: The only forge that reads it, or None if it is needed everywhere.
        yields: Whether a file stands that people wrote there before, because it may say what no decision does.
    """

    path: str
    sources: tuple[str, ...]
    body: Callable[[Decisions], str | None]
    forge: Forge | None = None
    yields: bool = False

    def text(self, decisions: Decisions) -> str | None:
        """Return the whole file, or None where there should be none.

        Raises:
            ConfigError: The decisions cannot be said in this file's format.
        """
        body = self.body(decisions) if self.forge in {None, decisions.project.forge} else None
        if body is None:
            return None
        first = f"Derived from {' and '.join(self.sources)} {MARK}: change that, then run the command."
        return (f"<!-- {first} -->\n" if self.path.endswith(".md") else f"# {first}\n") + body


DERIVED = (
    Derived(".github/CODEOWNERS", ("ownership.toml",), codeowners.for_github, forge="github"),
    Derived(".gitlab/CODEOWNERS", ("ownership.toml",), codeowners.for_gitlab, forge="gitlab"),
    Derived("catalog-info.yaml", ("ownership.toml", "pyproject.toml"), catalog.catalog_info),
    Derived("SECURITY.md", ("ownership.toml",), security.policy, yields=True),
    Derived("security-insights.yml", ("ownership.toml", "pyproject.toml"), security.insights, yields=True),
    Derived("ops/alertmanager.yaml", ("ownership.toml",), alertmanager.alertmanager),
    Derived("ops/objectives.yaml", ("constraints.toml",), monitoring.objectives),
    Derived("ops/targets.yaml", ("pyproject.toml",), monitoring.targets),
)
