"""From nothing to an answer: generate a service from the working tree, set it up, ask it, check it."""

import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from importlib.metadata import Distribution, distributions
from itertools import product
from pathlib import Path

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "build/demo"
QUESTION = "What happens when the monthly budget is used up?"
FROM_THIS_REPOSITORY = ("VIRTUAL_ENV", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")
"""Variables of this repository's own environment, which the demo must not inherit."""


def environment() -> dict[str, str]:
    """Return the variables of a new user: no API key, and nothing of this repository's own environment."""
    inherited = (name for name in os.environ if name not in FROM_THIS_REPOSITORY and not name.endswith("_API_KEY"))
    return {name: os.environ[name] for name in inherited}


def step(title: str, *command: str, cwd: Path = DEMO) -> float:
    """Run one command, let it print, and return its seconds; end the demo if it fails."""
    print(f"\n\033[1m{title}\033[0m\n$ {subprocess.list2cmdline(command)}", flush=True)
    started = time.monotonic()
    done = subprocess.run(command, cwd=cwd, env=environment(), check=False)
    if done.returncode:
        sys.exit(f"{title}: the command above ended with exit code {done.returncode}")
    return time.monotonic() - started


def size(folder: Path) -> str:
    """Return the number of files in a folder and their size, each inode counted once."""
    files = [path.lstat() for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    megabytes = sum({file.st_ino: file.st_size for file in files}.values()) / 1e6
    return f"{len(files)} files, {megabytes:.1f} MB"


def wheel_bytes(environment: Path, lock: Path) -> int:
    """Return the bytes of the wheels that an environment was installed from, as `uv.lock` records them."""
    [site_packages] = environment.glob("lib/python*/site-packages")
    installed = {_key(one.name, one.version): _tags(one) for one in distributions(path=[str(site_packages)])}
    locked = tomllib.loads(lock.read_text(encoding="utf-8"))["package"]
    return sum(
        wheel["size"]
        for package in locked
        for wheel in package.get("wheels", ())
        if installed.get(_key(package["name"], package["version"]), set()) & _tags_of_file(wheel["url"])
    )


def _key(name: str, version: str) -> tuple[str, str]:
    return re.sub(r"[-_.]+", "-", name).lower(), version


def _tags(distribution: Distribution) -> set[str]:
    return set(re.findall(r"^Tag: (\S+)", distribution.read_text("WHEEL") or "", re.MULTILINE))


def _tags_of_file(url: str) -> set[str]:
    """Return the tags in the name of a wheel: `a-1-py2.py3-none-any.whl` has `py2-none-any` and `py3-none-any`."""
    parts = url.removesuffix(".whl").split("-")[-3:]
    return {"-".join(tag) for tag in product(*(part.split(".") for part in parts))}


def main() -> None:
    """Take the first steps with a new service, and print the seconds and the sizes."""
    started = float(os.environ.get("STARTED", time.time()))
    shutil.rmtree(DEMO, ignore_errors=True)
    source = ("--quiet", "--defaults", "--vcs-ref", "HEAD", str(ROOT), str(DEMO))
    seconds = {"generate": step("Generate, with the default answers", "copier", "copy", *source, cwd=ROOT)}
    generated = size(DEMO)
    step("A repository of its own", "git", "init", "--quiet", "--initial-branch", "main")
    seconds["set up"] = step("Set it up", "make", "setup")
    seconds["ask"] = step("Ask it, without any model: source, cost and log line", "make", "ask", f"Q={QUESTION}")
    seconds["first answer"] = time.time() - started
    step("What happened inside", "sh", "chassis/uv", "run", "--frozen", "chassis", "trace")
    step("Stage its files, for the hooks to see", "git", "add", "--all")
    seconds["check"] = step("Its own checks", "make", "check")

    print("\n\033[1mSeconds and sizes\033[0m")
    for name, spent in seconds.items():
        print(f"  {name:<13} {spent:6.1f} s{' after make demo' if name == 'first answer' else ''}")
    print(f"  {'generated':<13} {generated}")
    for name, project in {"template": ROOT, "service": DEMO}.items():
        wheels = wheel_bytes(project / ".venv", project / "uv.lock") / 1e6
        print(f"  {name:<13} environment: {size(project / '.venv')}, downloaded as {wheels:.1f} MB of wheels")
    print(f"\nServe it: cd {DEMO.relative_to(ROOT)} && make serve")


if __name__ == "__main__":
    main()
