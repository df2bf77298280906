"""`evals/judges.toml`, typed: models that look for one failure each, and are believed only as far as labels allow."""

from pathlib import Path

from pydantic import Field

from chassis.sections import Section, load_toml

FILE = "evals/judges.toml"


class Judge(Section):
    """A model with one question to ask of every answer."""

    model: str
    """The name of a model in `constraints.toml`, whose id there should carry a date: an alias changes its mind."""
    failure: str = Field(min_length=10)
    """The one failure it looks for, such as `The answer blames the person who asks.`"""


class Judges(Section):
    """The whole file."""

    judges: dict[str, Judge] = Field(default_factory=dict)


def load_judges(root: Path) -> dict[str, Judge]:
    """Return the judges of the project at `root`; there need not be any.

    Raises:
        ConfigError: The file says something that cannot be meant.
    """
    path = root / FILE
    return load_toml(path, Judges).judges if path.exists() else {}
