"""Updates the digests of the container images that the template pins to what their tags refer to today.

Run it as `python scripts/images.py [FOLDER]`. It needs skopeo (https://github.com/containers/skopeo) on PATH. Tags are
changed by hand.
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
    """Return the current digest of a tag: that of the index if the image has several platforms.

    Raises:
        subprocess.CalledProcessError: The image does not exist, or the registry cannot be reached.
    """
    done = subprocess.run(["skopeo", "inspect", "--raw", f"docker://{image}"], check=True, stdout=subprocess.PIPE)
    return f"sha256:{hashlib.sha256(done.stdout).hexdigest()}"


def update_digests(template: Path) -> list[str]:
    """Write the current digest of every pinned image, and return the images whose digest changed."""
    changed: list[str] = []
    for file in (template / name for name in FILES if (template / name).is_file()):
        text = file.read_text(encoding="utf-8")
        for pin in PIN.finditer(text):
            digest = digest_of(pin["image"])
            if digest != pin["digest"]:
                changed.append(pin["image"])
                text = text.replace(pin[0], f"{pin['image']}@{digest}")
        file.write_text(text, encoding="utf-8")
    return changed


if __name__ == "__main__":
    for changed_image in update_digests(Path(*sys.argv[1:2]) if sys.argv[1:] else TEMPLATE):
        print(f"{changed_image} updated")
