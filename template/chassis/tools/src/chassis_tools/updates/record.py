"""`.copier-answers.yml`: which release of which template a repository is made from, and what was answered."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from chassis.errors import ConfigError

FILE = ".copier-answers.yml"


@dataclass(frozen=True, slots=True)
class Record:
    """What Copier remembers.

    Args:
        source: Where the template is: a folder or a URL, also in Copier's short form `gh:owner/name`.
        version: The release as `git describe` names it: `1.2.0`, `1.2.0-3-gabc1234`, or a commit if nothing is tagged.
        answers: What was answered, by the name of the question.
    """

    source: str
    version: str
    answers: Mapping[str, Any]

    @property
    def kept(self) -> tuple[str, ...]:
        """Return the paths of the chassis that the team keeps for itself."""
        return tuple(self.answers.get("kept_paths") or ())

    @property
    def forge(self) -> str:
        """Return where the repository lives; `github` if a former release did not ask."""
        return str(self.answers.get("forge", "github"))


def load_record(root: Path) -> Record:
    """Read the record of the repository at `root`.

    Raises:
        ConfigError: There is none, it is not YAML, or it names no template and release.
    """
    import yaml

    try:
        content: object = yaml.safe_load((root / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            FILE, "there is no such file", "Restore it from git; Copier cannot update without it"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise ConfigError(FILE, "not valid YAML", "Restore it from git; nobody edits it by hand") from None
    recorded = cast("dict[str, Any]", content) if isinstance(content, dict) else {}
    source, version = recorded.get("_src_path"), recorded.get("_commit")
    if source is None or version is None:
        problem = "it does not name the template and its release (_src_path and _commit)"
        raise ConfigError(FILE, problem, "Generate from a git repository, not from a folder without one")
    return Record(str(source), str(version), recorded)
