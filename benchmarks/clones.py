"""A fleet to look at: clones of a few generated repositories, some of them neglected in each way that is looked for."""

import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

from chassis.config.constraints import load_constraints
from chassis_tools.governance.signoff_kinds import SIGNOFF_KINDS
from chassis_tools.governance.signoffs import SignOff, covering, save_signoff
from copier import run_copy

from benchmarks.projects import copy_template

RELEASES = ("1.0.0", "1.1.0", "1.2.0")
ANSWERS: tuple[dict[str, Any], ...] = ({}, {"shape": "blank"}, {"provider": "anthropic", "monthly_budget_usd": 2000})
AUTHOR = ("-c", "user.name=Bench", "-c", "user.email=bench@example.com", "-c", "commit.gpgsign=false")

type Neglect = Callable[[Path], None]


def git(folder: Path, *arguments: str) -> None:
    """Run git."""
    subprocess.run(["git", *AUTHOR, *arguments], cwd=folder, check=True, capture_output=True)


def commit(folder: Path, message: str) -> None:
    """Commit all there is, in a repository that is made if there is none."""
    git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)


def make_template(folder: Path) -> Path:
    """Make a template with a few releases, each of which changes a page of the chassis."""
    copy_template(folder)
    for version in RELEASES:
        with (folder / "template/chassis/README.md").open("a", encoding="utf-8") as page:
            page.write(f"\nRelease {version}.\n")
        commit(folder, version)
        git(folder, "tag", version)
    return folder


def make_fleet(folder: Path, template: Path, size: int) -> Path:
    """Make a folder of `size` clones: of each release and several sets of answers, every kind of neglect among them."""
    kinds = list(product(RELEASES, ANSWERS))[:size]
    origins = [make_origin(folder / f"origin/{number}", template, *kind) for number, kind in enumerate(kinds)]
    fleet = folder / "fleet"
    fleet.mkdir()
    for number in range(size):
        clone = fleet / f"service-{number:03}"
        git(fleet, "clone", "--quiet", "--local", str(origins[number % len(origins)]), str(clone))
        NEGLECTS[number % len(NEGLECTS)](clone)
    return fleet


def make_origin(folder: Path, template: Path, version: str, answers: dict[str, Any]) -> Path:
    """Generate a repository from a release and commit it."""
    run_copy(str(template), folder, data=answers, defaults=True, quiet=True, vcs_ref=version)
    commit(folder, "As generated")
    return folder


def rewrite(file: Path, pattern: str, replacement: str) -> None:
    """Replace what matches a pattern."""
    file.write_text(re.sub(pattern, replacement, file.read_text(encoding="utf-8")), encoding="utf-8")


def none(_: Path) -> None:
    """Leave it in order."""


def edit_chassis(clone: Path) -> None:
    """Edit a file of the chassis, and delete another."""
    rewrite(clone / "chassis/tasks.mk", r"\Z", "# ours\n")
    (clone / "chassis/ruff.toml").unlink()


def forget_owners(clone: Path) -> None:
    """Let the owners of two roles lapse."""
    rewrite(clone / "ownership.toml", r"(\[roles\.(?:cost|legal)\](?:.*\n)*?review_by = ).*", r"\g<1>2025-01-31")


def sign_procurement(clone: Path, today: date) -> None:
    """Let procurement sign for what the service may spend now, for a year."""
    covers = SIGNOFF_KINDS["procurement"].covers(load_constraints(clone))
    signed = {"decision": "approved", "approver": "Ada Lovelace", "team": "ai", "decided_on": today}
    bound = covering(covers) | {"expires_on": today + timedelta(365)}
    save_signoff(clone, "procurement", SignOff.model_validate(signed | bound))


def raise_budget(clone: Path) -> None:
    """Allow ten million a month, after procurement has signed for less."""
    sign_procurement(clone, datetime.now(UTC).date())
    rewrite(clone / "constraints.toml", r"per_month_usd = .*", "per_month_usd = 10000000.00")


def break_constraints(clone: Path) -> None:
    """Write something that is no TOML."""
    rewrite(clone / "constraints.toml", r"\A", "= oops\n")


def make_foreign(clone: Path) -> None:
    """Turn it into a repository that was never made from the template."""
    (clone / ".copier-answers.yml").unlink()


def lose_git(clone: Path) -> None:
    """Turn it into a bare folder."""
    shutil.rmtree(clone / ".git")


NEGLECTS: tuple[Neglect, ...] = (none,) * 8 + (
    edit_chassis,
    forget_owners,
    raise_budget,
    *(none,) * 8,
    break_constraints,
    make_foreign,
    lose_git,
    *(none,) * 7,
)
