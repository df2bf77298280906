"""Every image that a project starts from is pinned, and the files that name images are as their own tools want them."""

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from answer_sets import ROOT

SCRIPT = str(ROOT / "scripts/images.py")
DOCKERFILE = ROOT / "template/Dockerfile"
PINNED = re.compile(r"[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}")


def lint(dockerfile: Path) -> str:
    """Return what hadolint finds."""
    return subprocess.run(["hadolint", str(dockerfile)], check=False, capture_output=True, text=True).stdout


def test_the_dockerfile_is_clean() -> None:
    """The linter that most teams run finds nothing."""
    assert lint(DOCKERFILE) == ""


@pytest.mark.parametrize(
    ("good", "bad", "rule"),
    [("WORKDIR /app", "WORKDIR app", "DL3000"), ('CMD ["serve"', 'CMD serve\nCMD ["serve"', "DL4003")],
)
def test_the_linter_bites(tmp_path: Path, good: str, bad: str, rule: str) -> None:
    """What it is there for turns it red."""
    text = DOCKERFILE.read_text(encoding="utf-8")
    assert good in text
    (tmp_path / "Dockerfile").write_text(text.replace(good, bad), encoding="utf-8")
    assert rule in lint(tmp_path / "Dockerfile")


def test_each_image_is_pinned_by_digest() -> None:
    """A tag says which version a person meant, the digest which bytes; nothing else is pulled."""
    text = DOCKERFILE.read_text(encoding="utf-8")
    given = dict(re.findall(r"^ARG (\w+)=(.+)$", text, re.MULTILINE))
    assert set(given) == {"BASE", "UV"}
    assert [image for image in given.values() if not PINNED.fullmatch(image)] == []
    compose = (ROOT / "template/compose.yaml").read_text(encoding="utf-8")
    assert [image for image in re.findall(r"image: (\S+)", compose) if not PINNED.fullmatch(image)] == []
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"${BASE}", "${UV}"}


def test_the_pins_can_be_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The digest is the hash of what the registry sends; what has not changed stays."""
    manifest, template = b'{"manifests": []}', tmp_path / "template"
    template.mkdir()
    unmoved = f"docker.io/a/b:1@sha256:{hashlib.sha256(manifest).hexdigest()}"
    (template / "Dockerfile").write_text(f"ARG UV={unmoved}\nARG BASE=c/d:2-slim@sha256:{'0' * 64}\n", encoding="utf-8")
    skopeo = tmp_path / "skopeo"
    skopeo.write_text(f"#!/bin/sh\n[ \"$1 $2\" = 'inspect --raw' ] && printf '%s' '{manifest.decode()}'\n")
    skopeo.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    told = subprocess.run([sys.executable, SCRIPT, str(template)], check=True, capture_output=True, text=True).stdout

    assert told == "c/d:2-slim moved\n"

    assert (template / "Dockerfile").read_text(encoding="utf-8").splitlines() == [
        f"ARG UV={unmoved}",
        f"ARG BASE=c/d:2-slim@sha256:{hashlib.sha256(manifest).hexdigest()}",
    ]
