"""Every container image is pinned by digest, and the Dockerfile passes its linter."""

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
    """Return the findings of hadolint."""
    return subprocess.run(["hadolint", str(dockerfile)], check=False, capture_output=True, text=True).stdout


def test_hadolint_finds_nothing() -> None:
    """The Dockerfile passes the linter without exceptions."""
    assert lint(DOCKERFILE) == ""


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [("WORKDIR /app", "WORKDIR app", "DL3000"), ('CMD ["serve"', 'CMD serve\nCMD ["serve"', "DL4003")],
)
def test_hadolint_detects_a_mistake(tmp_path: Path, old: str, new: str, rule: str) -> None:
    """A relative WORKDIR and a second CMD are reported."""
    text = DOCKERFILE.read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "Dockerfile").write_text(text.replace(old, new), encoding="utf-8")
    assert rule in lint(tmp_path / "Dockerfile")


def test_each_image_is_pinned_by_digest() -> None:
    """The Dockerfile and the Compose file use no image without a tag and a digest."""
    text = DOCKERFILE.read_text(encoding="utf-8")
    arguments = dict(re.findall(r"^ARG (\w+)=(.+)$", text, re.MULTILINE))
    assert set(arguments) == {"BASE", "UV"}
    assert [image for image in arguments.values() if not PINNED.fullmatch(image)] == []
    compose = (ROOT / "template/compose.yaml").read_text(encoding="utf-8")
    assert [image for image in re.findall(r"image: (\S+)", compose) if not PINNED.fullmatch(image)] == []
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"${BASE}", "${UV}"}


def test_digests_can_be_updated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The digest is the hash of the manifest that the registry returns; a current digest stays."""
    manifest, template = b'{"manifests": []}', tmp_path / "template"
    template.mkdir()
    unchanged = f"docker.io/a/b:1@sha256:{hashlib.sha256(manifest).hexdigest()}"
    (template / "Dockerfile").write_text(
        f"ARG UV={unchanged}\nARG BASE=c/d:2-slim@sha256:{'0' * 64}\n", encoding="utf-8"
    )
    skopeo = tmp_path / "skopeo"
    skopeo.write_text(f"#!/bin/sh\n[ \"$1 $2\" = 'inspect --raw' ] && printf '%s' '{manifest.decode()}'\n")
    skopeo.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    output = subprocess.run([sys.executable, SCRIPT, str(template)], check=True, capture_output=True, text=True).stdout

    assert output == "c/d:2-slim updated\n"
    assert (template / "Dockerfile").read_text(encoding="utf-8").splitlines() == [
        f"ARG UV={unchanged}",
        f"ARG BASE=c/d:2-slim@sha256:{hashlib.sha256(manifest).hexdigest()}",
    ]
