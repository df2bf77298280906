"""Hand the answers over to Copier, so that the service is the one that Copier makes, and can be updated.

Cookiecutter fills in the one pair of braces below and runs this in the new folder, which holds nothing but the answers.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TEMPLATE, REF, COPY = json.loads(
    r"""{{ [cookiecutter._template, cookiecutter._checkout, cookiecutter._repo_dir] | tojson }}"""
)
ANSWERS = Path("cookiecutter-answers.yml")
TEMPORARY = Path(tempfile.gettempdir()).resolve()


class Refused(Exception):
    """What was asked for cannot be done; the message is for the person who asked."""


def source(template: str) -> str:
    """Return where Copier finds the template again, also for an update years later and from another folder.

    Raises:
        Refused: Only cookiecutter understands the address, or it depends on the folder that somebody is in now.
    """
    if template.startswith("bb:"):
        return f"git+https://bitbucket.org/{template[3:].removesuffix('.git')}.git"
    if template.startswith(("gh:", "gl:", "git@", "git+", "git://")):
        return template
    if re.match(r"(https?|ssh|file)://|[\w.-]+@[\w.-]+:", template):
        return template if template.endswith(".git") else f"git+{template}"
    if Path(template).is_absolute():
        return template
    raise Refused(
        f"{template!r} means nothing in another folder, and the service must find its template again to be updated; "
        "give cookiecutter an address or an absolute path, and --replay to keep your answers"
    )


def answers() -> dict[str, object]:
    """Take the answers away from the new folder and return them."""
    lines = ANSWERS.read_text(encoding="utf-8").splitlines()
    ANSWERS.unlink()
    pairs = (line.partition(": ") for line in lines if line and not line.startswith("#"))
    return {name: json.loads(value) for name, _, value in pairs}


def generate(given: dict[str, object]) -> None:
    """Let Copier make the service in this folder.

    Raises:
        Refused: The folder is in use, or Copier refused; with Copier's own reason.
    """
    if any(Path.cwd().iterdir()):
        raise Refused(
            f"{Path.cwd()} is not empty and was left as it was; choose another service_name or --output-dir, "
            "or read in docs/how-to/ how a repository that exists adopts this template"
        )
    data = Path(COPY, "answers.json")
    data.write_text(json.dumps(given, ensure_ascii=False), encoding="utf-8")
    command = json.loads(Path(COPY, "copier-command.json").read_text(encoding="utf-8"))
    ref = ["--vcs-ref", REF] if REF else []
    copy = [*command, "copy", "--defaults", "--data-file", str(data), *ref, source(TEMPLATE), str(Path.cwd())]
    done = subprocess.run(copy, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise Refused(reason(done.stderr, given))
    sys.stderr.write(done.stderr)


def reason(stderr: str, given: dict[str, object]) -> str:
    """Return what Copier said last, without the names of Python's classes, and whose answer it is about."""
    last = stderr.strip().splitlines()[-1] if stderr.strip() else "it said nothing"
    said = re.sub(r"^[\w.]*(Error|Exception): ", "", last)
    named = "" if any(name in said for name in given) else ", ".join(n for n, v in given.items() if repr(v) in said)
    return f"Copier made nothing: {named + ': ' if named else ''}{said}"


def main() -> None:
    """Generate, or end with one sentence and without the copies that cookiecutter would leave behind."""
    try:
        generate(answers())
    except Refused as refused:
        if TEMPORARY in Path(COPY).resolve().parents:
            shutil.rmtree(Path(COPY).parent, ignore_errors=True)
        sys.exit(str(refused))
    finally:
        if Path(__file__).resolve().parent == TEMPORARY:
            Path(__file__).unlink()


main()
