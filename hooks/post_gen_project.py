"""Runs Copier with the answers given to cookiecutter, so that the service is the same and can be updated by Copier.

Cookiecutter renders the expression below, then runs this hook in the new folder, which contains only the answers file.
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
"""The template as given to cookiecutter, the git ref given with --checkout if any, and the copy of the template."""
ANSWERS = Path("cookiecutter-answers.yml")
TEMPORARY = Path(tempfile.gettempdir()).resolve()


class GenerationError(Exception):
    """The service cannot be generated; the message is shown to the user."""


def copier_source(template: str) -> str:
    """Return the template's address in a form that Copier understands, also for later updates from another folder.

    Raises:
        GenerationError: The address is a relative path.
    """
    if template.startswith("bb:"):
        return f"git+https://bitbucket.org/{template[3:].removesuffix('.git')}.git"
    if template.startswith(("gh:", "gl:", "git@", "git+", "git://")):
        return template
    if re.match(r"(https?|ssh|file)://|[\w.-]+@[\w.-]+:", template):
        return template if template.endswith(".git") else f"git+{template}"
    if Path(template).is_absolute():
        return template
    raise GenerationError(
        f"{template!r} is a relative path, which later updates of the service could not resolve. Give cookiecutter a "
        "URL or an absolute path; add --replay to keep your answers."
    )


def take_answers() -> dict[str, object]:
    """Remove the answers file from the new folder and return its content."""
    lines = ANSWERS.read_text(encoding="utf-8").splitlines()
    ANSWERS.unlink()
    pairs = (line.partition(": ") for line in lines if line and not line.startswith("#"))
    return {name: json.loads(value) for name, _, value in pairs}


def run_copier(answers: dict[str, object]) -> None:
    """Generate the service in this folder.

    Raises:
        GenerationError: The folder is not empty, or Copier failed.
    """
    if any(Path.cwd().iterdir()):
        raise GenerationError(
            f"{Path.cwd()} is not empty and was left unchanged. Choose another service_name or --output-dir. To add "
            "the chassis to an existing repository, see docs/how-to/ in the template."
        )
    data = Path(COPY, "answers.json")
    data.write_text(json.dumps(answers, ensure_ascii=False), encoding="utf-8")
    copier = json.loads(Path(COPY, "copier-command.json").read_text(encoding="utf-8"))
    ref = ["--vcs-ref", REF] if REF else []
    command = [*copier, "copy", "--defaults", "--data-file", str(data), *ref, copier_source(TEMPLATE), str(Path.cwd())]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise GenerationError(copier_error(done.stderr, answers))
    sys.stderr.write(done.stderr)


def copier_error(stderr: str, answers: dict[str, object]) -> str:
    """Return Copier's last line without the exception's class, and with the question if the line does not name it."""
    line = stderr.strip().splitlines()[-1] if stderr.strip() else "no error message"
    message = re.sub(r"^[\w.]*(Error|Exception): ", "", line)
    if not any(name in message for name in answers):
        questions = ", ".join(name for name, value in answers.items() if repr(value) in message)
        message = f"{questions}: {message}" if questions else message
    return f"Copier generated nothing: {message}"


def main() -> None:
    """Generate the service, or exit with a message and remove the temporary files that cookiecutter would leave."""
    try:
        run_copier(take_answers())
    except GenerationError as error:
        if TEMPORARY in Path(COPY).resolve().parents:
            shutil.rmtree(Path(COPY).parent, ignore_errors=True)
        sys.exit(str(error))
    finally:
        # Cookiecutter runs a rendered copy of this file and does not delete it if the hook fails.
        if Path(__file__).resolve().parent == TEMPORARY:
            Path(__file__).unlink()


main()
