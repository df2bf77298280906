"""Builds a Dockerfile without an engine and without a registry, and runs the image as a container runtime does.

The two images that a Dockerfile starts from are stood in for: the one with uv holds the uv of this machine, the base
holds a shell, the libraries and the Python of this machine, in the place where uv would put the Python that it fetches.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from shell import Shell, require_program

TOOLS = ("sh", "install", "cat", "ls", "touch", "env", "id", "rm")
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
LIBRARY = re.compile(r"(/\S+\.so\S*) \(0x")
NOT_NEEDED = shutil.ignore_patterns("__pycache__", "test", "tests", "site-packages", "_tkinter*", "_test*", "*.a")


@dataclass(frozen=True, slots=True)
class Images:
    """A store of images that lasts as long as its folder.

    Args:
        shell: Where the commands run.
        folder: Holds the images and their containers.
    """

    shell: Shell
    folder: Path

    def buildah(self, *arguments: str) -> str:
        """Run buildah on this store, and return what it prints."""
        store = ("--root", f"{self.folder}/root", "--runroot", f"{self.folder}/run", "--storage-driver", "overlay")
        return self.shell.run("buildah", *store, *arguments).strip()

    def from_folder(self, folder: Path, name: str) -> None:
        """Make an image that holds what a folder holds."""
        container = self.buildah("from", "scratch")
        self.buildah("copy", "--quiet", container, str(folder), "/")
        self.buildah("commit", "--quiet", "--rm", container, name)

    def build(self, project: Path, name: str) -> None:
        """Build the project's own Dockerfile; only its two starting points are given by name."""
        given = {"BASE": "localhost/base", "UV": "localhost/uv", "SSL_CERT_FILE": CERTIFICATES}
        arguments = [part for key, value in given.items() for part in ("--build-arg", f"{key}={value}")]
        how = ("--isolation", "chroot", "--pull-never", "--format", "docker", "--quiet")
        self.buildah("bud", *how, *arguments, "--tag", name, str(project))

    def config(self, name: str) -> dict[str, Any]:
        """Return what the image says about how it is run."""
        return json.loads(self.buildah("inspect", "--type", "image", name))["Docker"]["config"]

    def files(self, name: str) -> set[str]:
        """Return the path of every file in an image, relative to its root, such as `app/constraints.toml`."""
        with self.mounted(name) as root:
            return {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}

    @contextmanager
    def mounted(self, name: str) -> Generator[Path]:
        """Return the folder that shows the image's files, as long as the context lasts."""
        container = self.buildah("from", "--pull-never", name)
        try:
            yield Path(self.buildah("mount", container))
        finally:
            self.buildah("rm", container)


@contextmanager
def images(shell: Shell, folder: Path) -> Generator[Images]:
    """Return a store with the two starting points, or skip the test where images cannot be built."""
    require_program("buildah")
    if os.geteuid() != 0:
        pytest.skip("images are built by root here")
    store = Images(shell, folder)
    _fill_base(folder / "base")
    (folder / "uv").mkdir()
    shutil.copy(Path(str(shutil.which("uv"))).resolve(), folder / "uv/uv")
    for name in ("base", "uv"):
        store.from_folder(folder / name, f"localhost/{name}")
    try:
        yield store
    finally:
        store.buildah("umount", "--all")
        store.buildah("rm", "--all")
        shell.try_run("umount", f"{folder}/root/overlay")


def _fill_base(root: Path) -> None:
    """Put into a folder what the slim image of a distribution would hold, and a Python where uv looks for its own."""
    version = ".".join(map(str, sys.version_info[:3]))
    home, python = Path(sys.base_prefix), root / f"opt/python/cpython-{version}-linux-x86_64-gnu"
    if not (home / "lib").is_dir() or home == Path("/usr"):
        pytest.skip("the Python of these tests cannot be moved: it belongs to the system")
    shutil.copytree(home / "bin", python / "bin", symlinks=True)
    shutil.copytree(home / "lib", python / "lib", symlinks=True, ignore=NOT_NEEDED)
    tools = [Path(str(shutil.which(tool))).resolve() for tool in TOOLS]
    for folder in ("usr/bin", "usr/lib", "usr/lib64", "etc/ssl/certs", "tmp", "proc", "dev"):
        (root / folder).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    for name in ("bin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    for tool, path in zip(TOOLS, tools, strict=True):
        shutil.copy(path, root / "usr/bin" / tool)
    # Debian's images contain apt, and with it the libraries of C++.
    programs = [*tools, *(Path(str(shutil.which(program))).resolve() for program in ("uv", "apt-get"))]
    for library in _libraries([*programs, *python.rglob("*.so*"), *python.glob("bin/python3.*")]):
        shutil.copy(library, root / "usr/lib")
    loader = next(Path("/lib64").glob("ld-*"))
    shutil.copy(loader, root / "usr/lib64")
    shutil.copy(os.environ.get("SSL_CERT_FILE", CERTIFICATES), root / CERTIFICATES.removeprefix("/"))


def _libraries(programs: list[Path]) -> set[str]:
    """Return the libraries that any of these programs asks for."""
    told = subprocess.run(["ldd", *map(str, programs)], check=False, capture_output=True, text=True).stdout
    return set(LIBRARY.findall(told))
