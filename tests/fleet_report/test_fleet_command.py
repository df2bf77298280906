"""`python -m fleet` finds repositories, reports on them and changes none of them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from answer_sets import ROOT
from chassis_tools.updates.template_repository import TemplateRepository
from fleet_inspection import TODAY
from generated_project import commit, git
from template_releases import append_line

from fleet.inspection import inspect_source
from fleet.repositories import RepositorySource, sources_in, sources_listed

pytestmark = pytest.mark.slow


def test_sources(service: Path, template: Path, tmp_path: Path) -> None:
    """A clone stands for itself, another folder for all folders in it, and addresses of a list are cloned."""
    for name in ("one", "two", ".hidden"):
        (tmp_path / name).mkdir()
    assert [source.path.name for source in sources_in([service, tmp_path])] == ["acme-help", "one", "two"]

    text = f"# ours\n\n{service}\nfile://{service}\nfile:///nowhere/x.git\n"
    path, address, nowhere = sources_listed(text, tmp_path / "clones")
    assert (path, address.address) == (RepositorySource(service), f"file://{service}")
    for _ in ("cloned", "updated"):
        (status,) = inspect_source(address, TemplateRepository(template / ".git"), TODAY)
        assert status.service == "acme-help"
    (unreachable,) = inspect_source(nowhere, TemplateRepository(template / ".git"), TODAY)
    (error,) = unreachable.errors
    assert error.startswith("file:///nowhere/x.git could not be fetched: ")


@pytest.fixture
def mono(service: Path, tmp_path: Path) -> Path:
    """Return a repository with two services, a folder without one, and a third service that is a submodule."""
    clone = tmp_path / "mono"
    for name in ("help", "triage"):
        shutil.copytree(service, clone / "services" / name, ignore=shutil.ignore_patterns(".git"))
    append_line(clone / "services/triage/chassis/README.md", "Ours.")
    (clone / "libraries/common").mkdir(parents=True)
    (clone / "libraries/common/README.md").write_text("# Common\n")
    git(clone, "init", "--quiet")
    git(
        clone, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", f"file://{service}", "services/linked"
    )
    commit(clone, "Three services")
    return clone


@pytest.mark.parametrize(
    ("folder", "names"),
    [
        ("mono", ["help", "linked", "triage"]),
        ("mono/services", ["help", "linked", "triage"]),
        ("mono/services/help", ["help"]),
        ("mono/services/../services/triage", ["triage"]),
        ("link", ["help", "linked", "triage"]),
    ],
)
def test_services_in_folders(mono: Path, template: Path, folder: str, names: list[str]) -> None:
    """Each service of a repository, or of a folder of it, is a row with its own drift."""
    (mono.parent / "link").symlink_to("mono/services")
    for sources in (sources_in([mono.parent / folder]), sources_listed(str(mono.parent / folder), mono.parent)):
        statuses = [
            status
            for source in sources
            for status in inspect_source(source, TemplateRepository(template / ".git"), TODAY)
        ]
        rows = {(status.name, status.version, bool(status.drift), *status.errors) for status in statuses}
        assert {row for row in rows if "linked" not in row[0]} == {
            (f"mono/services/{name}", "1.0.0", name == "triage") for name in names if name != "linked"
        }
        assert {row[1:] for row in rows if "linked" in row[0]} <= {("1.0.0", False)}
        assert any("linked" in row[0] for row in rows) == ("linked" in names)


def test_a_service_that_is_not_committed_yet(mono: Path) -> None:
    """It is found as well, and a folder of a repository without a service is still taken for a folder of clones."""
    shutil.copytree(mono / "services/help", mono / "more/new")
    assert [source.top for source in sources_in([mono / "more"])] == [mono]
    assert [source.path.name for source in sources_in([mono / "libraries"])] == ["common"]


def test_a_file_that_never_ends(service: Path, template: Path, tmp_path: Path) -> None:
    """A named pipe in place of a file is an error of its row, not of the report."""
    clone = Path(shutil.copytree(service, tmp_path / "acme-help"))
    for file in ("constraints.toml", "ownership.toml", "README.md"):
        (clone / file).unlink()
        os.mkfifo(clone / file)
    (status,) = inspect_source(RepositorySource(clone), TemplateRepository(template / ".git"), TODAY)
    assert "constraints.toml: not a regular file. Replace it with a text file" in status.errors
    assert (status.version, status.commits_behind) == ("1.0.0", 1)


def test_the_command(service: Path, template: Path, tmp_path: Path) -> None:
    """It prints every repository, writes JSON and a page that loads nothing, and writes no other file."""
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

    assert "2 repositories: 1 unreadable, 1 sign-off due, 1 not ready, 1 out of date" in done.stdout
    rows = json.loads((tmp_path / "fleet.json").read_text(encoding="utf-8"))["repositories"]
    assert [(row["name"], row["version"], row["concerns"]) for row in rows] == [
        ("<b>", None, ["unreadable"]),
        ("a-service", "1.0.0", ["sign-off due", "not ready", "out of date"]),
    ]
    page = (tmp_path / "fleet.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;" in page
    assert "<b></b>" not in page
    assert "default-src 'none'" in page
    assert "http" not in page.replace(str(tmp_path), "").replace("http-equiv", "")
    assert sorted(set(tmp_path.rglob("*")) - set(before)) == [tmp_path / "fleet.html", tmp_path / "fleet.json"]


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("--list=gone.txt", "argument --list: gone.txt cannot be read: No such file or directory"),
        ("--json=gone/fleet.json", "argument --json: gone/fleet.json cannot be written: its folder is missing"),
        ("--html=tests", "argument --html: tests cannot be written"),
        ("--template=tests", "argument --template: tests is not a clone; name a clone of the template"),
    ],
)
def test_arguments_are_checked_first(option: str, sentence: str) -> None:
    """A file that cannot be read or written is reported before the inspection starts."""
    command = [sys.executable, "-m", "fleet", ".", option]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert sentence in done.stderr


def test_a_file_in_place_of_a_folder_is_named() -> None:
    """As `make fleet REPOS=README.md` names it; the message says what to write instead."""
    command = [sys.executable, "-m", "fleet", "README.md"]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    sentence = "README.md is a file; name a clone or a folder of clones, or use --list README.md"
    assert sentence in done.stderr


def test_no_repository_is_an_error() -> None:
    """The message says what to name."""
    done = subprocess.run([sys.executable, "-m", "fleet"], cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.strip().startswith("No repository given; name a clone, a folder of clones, or --list")
