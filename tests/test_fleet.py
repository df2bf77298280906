"""Every repository of a fleet is a row: what is known of it, and in a sentence what is wrong with it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
from answers import ROOT
from chassis.updates.source import Template
from generated import git
from releases import append, begin, project_of, release

from benchmarks.clones import rewrite, sign_procurement
from fleet.facts import Budget, Facts, Lapsed
from fleet.repositories import Place, found, listed
from fleet.survey import visit

TODAY = date(2026, 12, 1)

type Break = Callable[[Path], object]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the template with two releases."""
    source = begin(tmp_path_factory.mktemp("fleet") / "template")
    release(source, "1.0.0")
    append(source / "template/chassis/README.md", "Of the second release.")
    release(source, "1.1.0")
    return source


@pytest.fixture(scope="module")
def service(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository of the first release that nobody has touched."""
    return project_of(template, "1.0.0", tmp_path_factory.mktemp("service") / "acme-help")


@pytest.fixture
def clone(service: Path, tmp_path: Path) -> Path:
    """Return a copy of that repository to do harm to, in a folder that is a repository too."""
    git(tmp_path, "init", "--quiet")
    return shutil.copytree(service, tmp_path / "acme-help")


def seen(repository: Path, template: Path, today: date = TODAY) -> Facts:
    """Look at a repository."""
    return visit(Place(repository), Template(template / ".git"), today)


def test_in_order(service: Path, template: Path) -> None:
    """An untouched repository of the newest release but one is behind, and nobody has signed for it yet."""
    facts = seen(service, template)
    assert (facts.service, facts.version, facts.newest, facts.behind) == ("acme-help", "1.0.0", "1.1.0", 1)
    assert facts.drifted is not None
    assert not facts.drifted
    assert facts.budget is not None
    assert facts.budget.per_month_usd == 300
    assert [(each.kind, each.state) for each in facts.due or ()] == [
        ("security", "missing"),
        ("procurement", "missing"),
    ]
    assert (facts.troubles, facts.lapsed, facts.concerns) == ((), (), ("sign-off due", "behind"))


def test_drift(clone: Path, template: Path) -> None:
    """Edited, deleted and added files of the chassis are told apart; files of the team's own are no drift."""
    append(clone / "chassis/tasks.mk", "ours:")
    (clone / "chassis/ruff.toml").unlink()
    (clone / "chassis/own.py").write_text("", encoding="utf-8")
    subprocess.run(["git", "add", "--all"], cwd=clone, check=True)
    append(clone / "README.md", "Ours.")
    drifted = seen(clone, template).drifted
    assert drifted is not None
    assert (drifted.edited, drifted.missing, drifted.added) == (
        ("chassis/tasks.mk",),
        ("chassis/ruff.toml",),
        ("chassis/own.py",),
    )


def test_lapsed_owners(clone: Path, template: Path) -> None:
    """A role counts from the day on which it should have been asked again."""
    file = clone / "ownership.toml"
    text = file.read_text(encoding="utf-8")
    first, _, rest = text.partition("review_by = 2027-05-01")
    file.write_text(f"{first}review_by = 2026-12-01{rest}", encoding="utf-8")
    assert seen(clone, template).lapsed == (Lapsed("system", "ai", TODAY),)
    assert seen(clone, template, date(2026, 11, 30)).lapsed == ()


def test_more_than_procurement_signed_for(clone: Path, template: Path) -> None:
    """A budget that was raised afterwards stands beside what was agreed to, for as long as that holds."""
    sign_procurement(clone, TODAY)
    assert seen(clone, template).budget == Budget(300, 300)
    assert [each.kind for each in seen(clone, template).due or ()] == ["security"]

    rewrite(clone / "constraints.toml", "per_month_usd = .*", "per_month_usd = 900.00")
    raised = seen(clone, template)
    assert raised.budget == Budget(900, 300)
    assert "over budget" in raised.concerns
    assert ("procurement", "stale") in [(each.kind, each.state) for each in raised.due or ()]

    assert seen(clone, template, TODAY + timedelta(400)).budget == Budget(900, None)


BROKEN: dict[str, tuple[Break, str]] = {
    "no folder": (shutil.rmtree, "There is no such folder"),
    "no git": (lambda root: shutil.rmtree(root / ".git"), "This folder is no clone: it has no .git"),
    "a broken git": (lambda root: (root / ".git/HEAD").unlink(), "fatal: not a git repository"),
    "foreign": (
        lambda root: (root / ".copier-answers.yml").unlink(),
        "It was not made from this template: it has no .copier-answers.yml",
    ),
    "of another template": (
        lambda root: (root / "pyproject.toml").write_text('[project]\nname = "x"\n', encoding="utf-8"),
        "no pyproject.toml with [tool.chassis] lies here or above",
    ),
    "no record": (
        lambda root: (root / ".copier-answers.yml").write_text("a: [", encoding="utf-8"),
        ".copier-answers.yml: not valid YAML",
    ),
    "an unknown release": (
        lambda root: (root / ".copier-answers.yml").write_text("_src_path: x\n_commit: 9.9.9\n", encoding="utf-8"),
        "it has no release 9.9.9",
    ),
    "no TOML": (lambda root: append(root / "constraints.toml", "= oops"), "constraints.toml: not valid TOML"),
    "no text": (lambda root: (root / "ownership.toml").write_bytes(b"\xff\xfe\x00"), "ownership.toml: not valid TOML"),
    "an old key": (
        lambda root: append(root / "constraints.toml", "[old]"),
        "constraints.toml: old: the key means nothing",
    ),
    "a folder for a file": (
        lambda root: [(root / "ownership.toml").unlink(), (root / "ownership.toml").mkdir()],
        "The owners could not be read: IsADirectoryError",
    ),
}


@pytest.mark.parametrize(("harm", "sentence"), BROKEN.values(), ids=BROKEN)
def test_what_is_wrong(clone: Path, template: Path, harm: Break, sentence: str) -> None:
    """Whatever lies there, it is a row with a sentence."""
    harm(clone)
    facts = seen(clone, template)
    assert any(sentence in trouble for trouble in facts.troubles), facts.troubles
    assert "unreadable" in facts.concerns


def test_what_can_be_read_is_shown(clone: Path, template: Path) -> None:
    """One broken file hides nothing but what it would have told."""
    append(clone / "constraints.toml", "= oops")
    facts = seen(clone, template)
    assert (facts.budget, facts.due) == (None, None)
    assert (facts.version, facts.behind) == ("1.0.0", 1)


def test_constraints_of_another_release(clone: Path, template: Path) -> None:
    """A file in a form that this release cannot read still tells the budget."""
    append(clone / "constraints.toml", "[of_long_ago]")
    facts = seen(clone, template)
    assert (facts.budget, facts.due) == (Budget(300), None)


def test_places(service: Path, template: Path, tmp_path: Path) -> None:
    """A clone is itself, a folder is all that lies in it, and a list may also hold addresses, which are cloned."""
    for name in ("one", "two", ".hidden"):
        (tmp_path / name).mkdir()
    assert [place.path.name for place in found([service, tmp_path])] == ["acme-help", "one", "two"]

    text = f"# ours\n\n{service}\nfile://{service}\nfile:///nowhere/x.git\n"
    path, address, nowhere = listed(text, tmp_path / "clones")
    assert (path, address.address) == (Place(service), f"file://{service}")
    for _ in ("cloned", "brought up to date"):
        assert visit(address, Template(template / ".git"), TODAY).service == "acme-help"
    (trouble,) = visit(nowhere, Template(template / ".git"), TODAY).troubles
    assert trouble.startswith("file:///nowhere/x.git could not be fetched: ")


def test_the_command(service: Path, template: Path, tmp_path: Path) -> None:
    """The command shows every repository, writes JSON and a page that asks nobody for anything, and changes nothing."""
    shutil.copytree(service, tmp_path / "fleet/a-service")
    (tmp_path / "fleet/<b>").mkdir()
    before = sorted(tmp_path.rglob("*"))
    outputs = ["--json", str(tmp_path / "fleet.json"), "--html", str(tmp_path / "fleet.html")]
    command = [
        sys.executable,
        "-m",
        "fleet",
        str(tmp_path / "fleet"),
        "--template",
        str(template),
        "--today",
        "2026-12-01",
    ]
    done = subprocess.run([*command, *outputs], cwd=ROOT, check=True, capture_output=True, text=True)

    assert "2 repositories: 1 unreadable, 1 sign-off due, 1 behind" in done.stdout
    rows = json.loads((tmp_path / "fleet.json").read_text(encoding="utf-8"))["repositories"]
    assert [(row["name"], row["version"], row["concerns"]) for row in rows] == [
        ("<b>", None, ["unreadable"]),
        ("a-service", "1.0.0", ["sign-off due", "behind"]),
    ]
    page = (tmp_path / "fleet.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;" in page
    assert "<b></b>" not in page
    assert "http" not in page.replace(str(tmp_path), "")
    assert sorted(set(tmp_path.rglob("*")) - set(before)) == [tmp_path / "fleet.html", tmp_path / "fleet.json"]


def test_nothing_named() -> None:
    """Without a place the command says what to name."""
    done = subprocess.run([sys.executable, "-m", "fleet"], cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.strip().startswith("No repository was named; give a clone, a folder of clones, or --list")
