"""Repositories as git users keep them, other programs that fail, and the changelog: without Copier."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from chassis.errors import ConfigError
from chassis_tools.updates.copier import load_answers_file
from chassis_tools.updates.git import failure_reason, git, ignored_files, run_program, update_branch
from chassis_tools.updates.path_ownership import Drift, ShippedFile, find_drift
from chassis_tools.updates.template_repository import cloned_template, news_between

SSH = """\
Warning: Permanently added 'github.com' (ED25519) to the list of known hosts.
git@github.com: Permission denied (publickey).
fatal: Could not read from remote repository.

Please make sure you have the correct access rights
and the repository exists.
"""
OWNERSHIP_OF_FOLDER = """\
fatal: detected dubious ownership in repository at '/srv/help'
To add an exception for this directory, call:

\tgit config --global --add safe.directory /srv/help
"""
OVERWRITTEN = """\
error: Your local changes to the following files would be overwritten by checkout:
\tnotes.md
Please commit your changes or stash them before you switch branches.
Aborting
"""
UV = """\
\x1b[31merror\x1b[0m: Failed to fetch: `https://index.example/simple/copier/`
  Caused by: Could not connect, are you offline?
"""
UV_CONFLICT = """\
  × No solution found when resolving tool dependencies:
  ╰─▶ Because only copier<9 is available.

hint: Pre-releases are available
"""
PLUMBUM = """\
Traceback (most recent call last):
  File "copier", line 8, in <module>
plumbum.commands.processes.ProcessExecutionError: Unexpected exit code: 1
Command line: | /usr/bin/git checkout -f 9.9.9
Stderr:       | error: pathspec '9.9.9' did not match any file(s) known to git
"""
SPARSE = """\
The following paths matched paths
outside of your sparse-checkout definition:
README.md
hint: If you intend to update such entries, try one of the following:
hint: * Use the --sparse option.
"""


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (SSH, "git@github.com: Permission denied (publickey)"),
        (OWNERSHIP_OF_FOLDER, "detected dubious ownership in repository at '/srv/help'"),
        (OVERWRITTEN, "Your local changes to the following files would be overwritten by checkout: notes.md"),
        (UV, "Failed to fetch: `https://index.example/simple/copier/` Could not connect, are you offline?"),
        (
            UV_CONFLICT,
            "No solution found when resolving tool dependencies: Because only copier<9 is available",
        ),
        (PLUMBUM, "pathspec '9.9.9' did not match any file(s) known to git"),
        ("copier.errors.UserMessageError: Nothing to do.\n", "copier.errors.UserMessageError: Nothing to do"),
        ("error: gpg failed to sign the data\nfatal: failed to write commit object\n", "gpg failed to sign the data"),
        (" \n", "it failed without a message"),
        (SPARSE, "The following paths matched paths outside of your sparse-checkout definition: README.md"),
        ("The following paths are ignored:\nvar\nhint: Use -f", "The following paths are ignored: var"),
    ],
)
def test_the_reason_of_another_program(output: str, reason: str) -> None:
    """It is the line that says why, not the advice below it."""
    assert failure_reason(output) == reason


def is_running(process: int) -> bool:
    """Return whether a process exists and has not ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_program_that_takes_too_long_is_ended_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence says so, and a child that ignores interrupts is gone, too."""
    monkeypatch.setattr("chassis_tools.updates.git.GRACE_SECONDS", 1)
    script = "trap '' INT; sh -c 'trap \"\" INT; echo $$ >child; exec sleep 600' & wait"
    with pytest.raises(ConfigError, match=r"^slow: no answer within 1 seconds. Try again later$"):
        run_program(["sh", "-c", script], tmp_path, name="slow", timeout_seconds=1)
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 30  # the system ends it, in its own time
    while is_running(child) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_running(child)


def test_a_program_that_is_not_installed(tmp_path: Path) -> None:
    """The error names it."""
    with pytest.raises(ConfigError, match="no-such-program: the program is not on PATH"):
        run_program(["no-such-program"], tmp_path, name="x", timeout_seconds=1)


def repository(root: Path, *options: str, **files: str) -> Path:
    """Create a repository with one commit; underscores in names stand for slashes."""
    root.mkdir(parents=True, exist_ok=True)
    git(root, "init", "--quiet", "--initial-branch=main", *options)
    git(root, "config", "user.name", "Test")
    git(root, "config", "user.email", "test@example.com")
    for name, text in files.items():
        file = root / name.replace("_", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--allow-empty", "--message", "First")
    return root


README = ShippedFile("ce013625030ba8dba906f756967f9e9ca394464a")  # git's id of "hello\n"


def chassis(root: Path, *options: str) -> Path:
    """Create a repository with one chassis file."""
    return repository(root, *options, chassis_README="hello\n")


def drift(root: Path, **shipped: ShippedFile) -> Drift:
    """Compare a repository with a release of one chassis file."""
    return find_drift(root, shipped or {"chassis/README": README})


def test_sha256_is_no_edit(tmp_path: Path) -> None:
    """Its ids differ from those of the template, its content does not."""
    assert not drift(chassis(tmp_path, "--object-format=sha256"))


def _filter(root: Path) -> None:
    git(root, "config", "filter.other.clean", "tr a-z A-Z")
    (root / ".gitattributes").write_text("chassis/* filter=other\n")
    git(root, "add", "--renormalize", ".")


def _crlf_checkout(root: Path) -> None:
    git(root, "config", "core.autocrlf", "true")
    (root / "chassis/README").write_bytes(b"hello\r\n")


def _no_modes(root: Path) -> None:
    git(root, "config", "core.fileMode", "false")
    (root / "chassis/README").chmod(0o755)


@pytest.mark.parametrize("change", [_filter, _crlf_checkout, _no_modes])
def test_what_git_stores_differently_is_no_edit(tmp_path: Path, change: Callable[[Path], None]) -> None:
    """A filter such as Git LFS, line endings of a checkout, and modes that the file system does not have."""
    change(chassis(tmp_path))
    assert not drift(tmp_path)


def _edit(root: Path) -> None:
    (root / "chassis/README").write_text("bye\n")


def _make_executable(root: Path) -> None:
    (root / "chassis/README").chmod(0o755)


def _link(root: Path) -> None:
    (root / "chassis/README").rename(root / "ours")
    (root / "chassis/README").symlink_to("../ours")


def _link_to_nowhere(root: Path) -> None:
    (root / "chassis/README").unlink()
    (root / "chassis/README").symlink_to("nowhere")


def _link_the_folder(root: Path) -> None:
    (root / "chassis").rename(root / "elsewhere")
    (root / "chassis").symlink_to("elsewhere")


def _commit_crlf(root: Path) -> None:
    (root / "chassis/README").write_bytes(b"hello\r\n")
    git(root, "add", "--all")


@pytest.mark.parametrize("change", [_edit, _make_executable, _link, _link_to_nowhere, _link_the_folder, _commit_crlf])
def test_edits(tmp_path: Path, change: Callable[[Path], None]) -> None:
    """Content, the executable bit, links in place of the file, and line endings that git stores."""
    change(chassis(tmp_path))
    assert drift(tmp_path).edited == ("chassis/README",)


def test_files_that_git_ignores(tmp_path: Path) -> None:
    """Each is named with the line that hides it; a rule that starts with ! hides nothing."""
    repository(tmp_path)
    (tmp_path / ".gitignore").write_text("*.md\nchassis/\n!kept.md\n")
    for name in ("a.md", "kept.md", "plain"):
        (tmp_path / name).write_text("")
    assert ignored_files(tmp_path, ["a.md", "kept.md", "plain"]) == {"a.md": ".gitignore:1:*.md"}

    (tmp_path / "chassis").mkdir()
    (tmp_path / "chassis/README").write_text("hello\n")
    assert drift(tmp_path).untracked == {"chassis/README": ".gitignore:2:chassis/"}


@pytest.mark.parametrize("variable", ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"])
def test_variables_of_git_do_not_lead_elsewhere(tmp_path: Path, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git sets them in hooks and in `git rebase --exec`; the folder decides which repository is examined."""
    chassis(tmp_path / "ours")
    other = repository(tmp_path / "other")
    values = {
        "GIT_WORK_TREE": other,
        "GIT_INDEX_FILE": other / ".git/index",
        "GIT_OBJECT_DIRECTORY": other / ".git/objects",
    }
    monkeypatch.setenv(variable, str(values.get(variable, other / ".git")))
    assert not drift(tmp_path / "ours")


def half_an_update(root: Path) -> None:
    """Write, commit and write again, then fail."""
    with update_branch(root, "chassis-1.1.0", ["chassis/hidden.new"]) as branch:
        (root / "chassis").mkdir()
        (root / "chassis/hidden.new").write_text("")
        (root / "src/app").write_text("x = 2\n")
        branch.commit("Half")
        (root / "chassis/more").write_text("")
        raise RuntimeError


BRANCHES = ["src", "src/app", "it's;here", "größe", "chassis", "-x", "--quiet", "@", "refs/heads/main", "HEAD2"]
"""Names that could be taken for a file, a folder, an option or another revision."""


def switch_to_new(root: Path, branch: str) -> None:
    """Create and check out a branch, also one that `git switch` refuses to create."""
    git(root, "update-ref", f"refs/heads/{branch}", "HEAD")
    git(root, "symbolic-ref", "HEAD", f"refs/heads/{branch}")


@pytest.mark.parametrize("name", BRANCHES)
def test_a_failed_update_leaves_no_trace(tmp_path: Path, name: str) -> None:
    """Whatever the branch is called, such as a file or folder beside it, and whatever was written."""
    root = repository(tmp_path, src_app="x = 1\n")
    (root / ".gitignore").write_text("*.new\n")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "Ignore")
    switch_to_new(root, name)
    with pytest.raises(RuntimeError):
        half_an_update(root)
    assert git(root, "branch", "--show-current").strip() == name
    assert git(root, "branch", "--list", "--format=%(refname:short)", "chassis-1.1.0") == ""
    assert git(root, "status", "--porcelain", "--ignored") == ""
    assert not (root / "chassis").exists()


@pytest.mark.parametrize(
    ("patterns", "left_out"),
    [
        (("--cone", "services/one"), None),
        (("--cone", "services"), None),
        (("--cone", "services/two"), "services/one/a/code.py"),
        (("--cone", "services/one/b"), "services/one/a/code.py"),
        (("--no-cone", "/*", "!code.py"), "services/one/a/code.py"),
    ],
)
def test_a_sparse_checkout(tmp_path: Path, patterns: tuple[str, ...], left_out: str | None) -> None:
    """It prevents an update if it leaves out files of the service, and only then; nothing has changed."""
    root = repository(tmp_path)
    service = root / "services/one"
    for folder in (service / "a", service / "b", root / "services/two"):
        folder.mkdir(parents=True)
        (folder / "code.py").write_text("x = 1\n")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "Services")
    git(root, "sparse-checkout", "set", *patterns)
    service.mkdir(parents=True, exist_ok=True)
    if left_out is None:
        with update_branch(service, "chassis-1.1.0", ["new.py"]) as branch:
            (service / "new.py").write_text("")
            branch.commit("New")
        assert git(root, "show", "--format=", "--name-only", "HEAD").split() == ["services/one/new.py"]
        return
    with pytest.raises(ConfigError, match=r"a sparse checkout leaves out \d files of the service, such as .*code.py"):
        half_an_update(service)
    assert git(root, "branch", "--show-current").strip() == "main"
    assert not (root / left_out).exists()


def test_hooks_of_the_team_do_not_run(tmp_path: Path) -> None:
    """A hook that fails must not end in half an update."""
    root = repository(tmp_path)
    for hook in ("post-checkout", "prepare-commit-msg", "post-commit"):
        (root / ".git/hooks" / hook).write_text("#!/bin/sh\necho >>hooks-ran\nexit 1\n")
        (root / ".git/hooks" / hook).chmod(0o755)
    with update_branch(root, "chassis-1.1.0", []) as branch:
        (root / "new").write_text("")
        branch.commit("New")
    assert not (root / "hooks-ran").exists()


@pytest.mark.parametrize("name", BRANCHES)
def test_a_branch_with_an_unusual_name_can_be_restored(tmp_path: Path, name: str) -> None:
    """The command that is printed is quoted for the shell, and means the branch."""
    root = repository(tmp_path)
    switch_to_new(root, name)
    with update_branch(root, "chassis-1.1.0", []) as branch:
        (root / "new").write_text("")
        branch.commit("New")
    subprocess.run(["sh", "-c", branch.undo_command], cwd=root, check=True, capture_output=True)
    assert git(root, "branch", "--show-current").strip() == name
    assert not (root / "new").exists()


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_a_shallow_template(tmp_path: Path, form: str) -> None:
    """One sentence says what it lacks, and the remedy works."""
    repository(tmp_path / "complete", file="1")
    git(tmp_path / "complete", "commit", "--quiet", "--allow-empty", "--message", "Second")
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{tmp_path}/complete", "shallow")
    source = form.format(tmp_path / "shallow")
    with (
        pytest.raises(ConfigError, match="it is a shallow clone, which lacks the former releases") as caught,
        cloned_template(source),
    ):
        pass
    command = caught.value.remedy.split("`")[1]
    subprocess.run(["sh", "-c", command], check=True, capture_output=True)
    with cloned_template(source) as template:
        assert template.commits_between("HEAD~1", "HEAD") == 1


def test_a_filtered_template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A partial clone works, also for users who forbid bare repositories that are not named."""
    repository(tmp_path / "complete", CHANGELOG="old")
    git(tmp_path, "clone", "--quiet", "--filter=blob:none", "--no-checkout", f"file://{tmp_path}/complete", "partial")
    config = tmp_path / "gitconfig"
    config.write_text("[safe]\nbareRepository = explicit\n[uploadpack]\nallowFilter = true\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    with cloned_template(str(tmp_path / "partial")) as template:
        assert template.newest_release() == git(tmp_path / "complete", "describe", "--always").strip()


OURS = """\
_src_path: gh:acme/template
_commit: 1.0.0
service_name: acme-help
owner_team: '@acme/ai'
data_class: internal
"""
THEIRS = "_src_path: gh:other/template\n_commit: 2.0.0\nname: x\n"


@pytest.mark.parametrize(
    "path", [".copier-answers.yml", ".copier-answers.chassis.yml", ".copier/chassis.yml", "config/answers.yaml"]
)
def test_the_record_is_found_where_it_is_kept(tmp_path: Path, path: str) -> None:
    """Copier keeps it wherever `--answers-file` says, also beside the record of another template."""
    repository(tmp_path)
    if path != ".copier-answers.yml":
        (tmp_path / ".copier-answers.yml").write_text(THEIRS)
    (tmp_path / path).parent.mkdir(exist_ok=True)
    (tmp_path / path).write_text(OURS)
    answers_file = load_answers_file(tmp_path)
    assert (answers_file.path, answers_file.source) == (path, "gh:acme/template")


def test_the_record_of_another_template(tmp_path: Path) -> None:
    """The error says so, and how to keep both."""
    repository(tmp_path)
    (tmp_path / ".copier-answers.yml").write_text(THEIRS)
    with pytest.raises(ConfigError, match=r"record of another template, gh:other/template.*--answers-file"):
        load_answers_file(tmp_path)


OLD = "# Changelog\n\n## 1.0.0\n\n- One.\n"
NEW = """\
# Changelog

## 1.2.0

- Only for GitLab. <!-- forge: gitlab -->
- For both shapes.
  On two lines. <!-- shape: answer, blank -->

## 1.1.0

- Two.

## 1.0.0

- One, reworded.
"""


def test_the_news_of_a_repository() -> None:
    """Later releases only, and only entries that apply to its answers."""
    github = [("1.2.0", "For both shapes. On two lines."), ("1.1.0", "Two.")]
    assert list(news_between(OLD, NEW, {"forge": "github", "shape": "blank"})) == github
    assert list(news_between(OLD, NEW, {"forge": "gitlab"})) == [("1.2.0", "Only for GitLab."), *github]
    assert list(news_between(OLD, NEW, {})) == [("1.2.0", "Only for GitLab."), *github]
    assert list(news_between(OLD, NEW, {"forge": "github", "shape": "other"})) == [("1.1.0", "Two.")]
    assert list(news_between(NEW, NEW, {})) == []
    assert list(news_between("## Unreleased\n- One.\n", "## 1.0.0\n- One.\n- Two.\n", {})) == [("1.0.0", "Two.")]
