"""One sign-off as a file: what was decided, by whom, until when, and on which facts."""

import json
from datetime import date
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from chassis.config.toml_file import Section, load_toml
from chassis_tools.governance.signoff_kinds import KINDS, Facts, fingerprint

FOLDER = "signoffs"

type Decision = Literal["approved", "approved_with_conditions", "rejected", "not_required"]


class Condition(Section):
    """Something that was promised for the approval."""

    text: str = Field(min_length=5)
    """What has to be done."""
    due_on: date
    """By when."""
    done: bool = False
    """Whether it has been."""


class SignOff(Section):
    """The whole file."""

    decision: Decision
    """`not_required` is a decision too: it has a name and a reason."""
    approver: str = Field(min_length=3)
    """The person who decided."""
    team: str = Field(min_length=1)
    """The team for which they did, as `ownership.toml` calls it."""
    decided_on: date
    """When they did."""
    expires_on: date
    """From this day on it blocks a release."""
    reference: str = ""
    """Where it was discussed: a ticket, a contract, a page."""
    reason: str = Field(default="", pattern=r"^$|^.{10}")
    """Why, in a sentence; needed when it is rejected or not required."""
    conditions: tuple[Condition, ...] = ()
    """What was promised for the approval, each with its day."""
    covers_sha256: str
    """The fingerprint of `covers`, which an edit by hand breaks."""
    covers: frozenset[str]
    """The facts that were looked at, a line each."""

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if self.expires_on <= self.decided_on:
            raise ValueError("expires_on is not after decided_on; write a later day")
        if self.decision in {"rejected", "not_required"} and not self.reason:
            raise ValueError(f"decision is {self.decision!r} without a reason; write one sentence as reason")
        if (self.decision == "approved_with_conditions") != bool(self.conditions):
            raise ValueError("decision = 'approved_with_conditions' and conditions go together; give both or neither")
        if self.covers_sha256 != fingerprint(self.covers):
            raise ValueError("covers_sha256 does not fit covers; record the decision anew instead of editing it")
        return self


def path_of(kind: str) -> str:
    """Return where the sign-off of a kind lies, from the root of the project."""
    return f"{FOLDER}/{kind}.toml"


def load_signoffs(root: Path) -> dict[str, SignOff]:
    """Read and check every sign-off of the project at `root`, by kind.

    Raises:
        ConfigError: One of them says something that cannot be meant.
    """
    return {kind: load_toml(root / path_of(kind), SignOff) for kind in KINDS if (root / path_of(kind)).exists()}


def save(root: Path, kind: str, signoff: SignOff) -> Path:
    """Write a sign-off and return its file."""
    file = root / path_of(kind)
    file.parent.mkdir(exist_ok=True)
    file.write_text(_toml(signoff), encoding="utf-8")
    return file


def covered(facts: Facts) -> dict[str, object]:
    """Return the two keys that bind a sign-off to facts."""
    return {"covers": facts, "covers_sha256": fingerprint(facts)}


def _toml(signoff: SignOff) -> str:
    fields = signoff.model_dump(mode="json", exclude={"covers", "conditions"})
    lines = [f"{key} = {_value(key, value)}" for key, value in fields.items() if value != ""]
    lines += ["covers = [", *(f"    {_text(fact)}," for fact in sorted(signoff.covers)), "]"]
    for each in signoff.conditions:
        lines += ["", "[[conditions]]", f"text = {_text(each.text)}", f"due_on = {each.due_on}"]
        lines += [f"done = {str(each.done).lower()}"]
    return "# Written by `uv run chassis signoffs record`; to change it, decide again.\n" + "\n".join(lines) + "\n"


def _value(key: str, value: str) -> str:
    return value if key.endswith("_on") else _text(value)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
