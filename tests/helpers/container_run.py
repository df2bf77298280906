"""Runs an image as a strict Kubernetes does: its own user, nothing writable but its volumes, no rights at all."""

import json
import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from image_build import Images
from shell import Program, require_program

NAMESPACES = ("pid", "ipc", "uts", "mount", "network")
STANDARD = (
    ("/proc", "proc", ["nosuid", "noexec", "nodev"]),
    ("/dev", "tmpfs", ["nosuid", "mode=755", "size=65536k"]),
    ("/tmp", "tmpfs", ["nosuid", "nodev", "mode=1777"]),  # noqa: S108 - inside the container
)


@dataclass(frozen=True, slots=True)
class Container:
    """A running container.

    Args:
        images: Where its image is.
        name: What the runtime calls it.
        program: Its first process.
    """

    images: Images
    name: str
    program: Program

    def executes(self, *command: str) -> str:
        """Run a command inside that must succeed, and return what it prints."""
        return self.images.shell.run("runc", "exec", self.name, *command)

    def refuses(self, *command: str) -> str:
        """Run a command inside that must fail, and return what it complains about."""
        done = self.images.shell.try_run("runc", "exec", self.name, *command)
        assert done.returncode != 0, done.stdout
        return done.stderr


@contextmanager
def container(images: Images, image: str, **environment: str) -> Generator[Container]:
    """Run an image with what it says itself about user, command and volumes, as long as the context lasts."""
    require_program("runc")
    name = f"test-{secrets.token_hex(4)}"
    with images.mounted(image) as root:
        bundle = images.folder / name
        bundle.mkdir()
        config = _bundle(images.config(image), str(root), environment)
        (bundle / "config.json").write_text(json.dumps(config), encoding="utf-8")
        with images.shell.start("runc", "run", "--bundle", str(bundle), name) as program:
            yield Container(images, name, program)
            images.shell.try_run("runc", "kill", name, "TERM")


def _bundle(image: dict[str, Any], root: str, environment: dict[str, str]) -> dict[str, Any]:
    user, group = map(int, image["User"].split(":"))
    owned = [f"uid={user}", f"gid={group}", "mode=755"]
    mounts = [*STANDARD, *((volume, "tmpfs", owned) for volume in image["Volumes"])]
    return {
        "ociVersion": "1.0.2",
        "root": {"path": root, "readonly": True},
        "process": {
            "user": {"uid": user, "gid": group},
            "cwd": image["WorkingDir"],
            "args": image["Entrypoint"] + image["Cmd"],
            "env": image["Env"] + [f"{key}={value}" for key, value in environment.items()],
            "noNewPrivileges": True,
            "capabilities": {},
        },
        "mounts": [{"destination": to, "type": kind, "source": kind, "options": how} for to, kind, how in mounts],
        "linux": {"namespaces": [{"type": kind} for kind in NAMESPACES], "cgroupsPath": f"/{os.getpid()}"},
    }
