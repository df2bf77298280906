"""Moves the images that the template pins: asks each registry which digest a tag has now, and writes it down.

Run it as `python scripts/images.py [FOLDER]` with skopeo (https://github.com/containers/skopeo) on PATH.
Tags are moved by hand.
"""

import hashlib
import re
import subprocess
import sys
from pathlib import Path

TEMPLATE = Path(__file__).parent.parent / "template"
FILES = ("Dockerfile", "compose.yaml")
PIN = re.compile(r"(?P<image>[\w./-]+:[\w.-]+)@(?P<digest>sha256:[0-9a-f]{64})")


def digest_of(image: str) -> str:
    """Return the digest of what a tag names now: the list of its platforms, where it has several.

    Raises:
        subprocess.CalledProcessError: There is no such image, or its registry cannot be reached.
    """
    done = subprocess.run(["skopeo", "inspect", "--raw", f"docker://{image}"], check=True, stdout=subprocess.PIPE)
    return f"sha256:{hashlib.sha256(done.stdout).hexdigest()}"


def move_pins(template: Path) -> list[str]:
    """Write today's digest of every pinned image of the template, and return the images that moved."""
    moved: list[str] = []
    for file in (template / name for name in FILES if (template / name).is_file()):
        text = file.read_text(encoding="utf-8")
        for pin in PIN.finditer(text):
            digest = digest_of(pin["image"])
            if digest != pin["digest"]:
                moved.append(pin["image"])
                text = text.replace(pin[0], f"{pin['image']}@{digest}")
        file.write_text(text, encoding="utf-8")
    return moved


if __name__ == "__main__":
    for moved_image in move_pins(Path(*sys.argv[1:2]) if sys.argv[1:] else TEMPLATE):
        print(f"{moved_image} moved")
