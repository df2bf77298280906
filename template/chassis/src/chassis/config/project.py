"""The team's repository: its task from `[tool.chassis]` in `pyproject.toml`, and its settings from the environment."""

import base64
import importlib
import logging
import os
import stat
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_args
from urllib.parse import urlsplit

from dotenv import load_dotenv
from dotenv.parser import parse_stream
from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from chassis.config.environment import check_telemetry_variables
from chassis.config.toml_file import HttpUrl, config_error_from, shown_value, toml_content
from chassis.contract import Task
from chassis.errors import ConfigError

log = logging.getLogger(__name__)
LOCAL_MODEL_FILE = "var/local-model.env"
SECRETS_FOLDER = Path("/run/secrets")
"""Where Kubernetes and Compose put secrets, each in a file with the name of a variable."""


def _check_key(key: SecretStr) -> SecretStr:
    """Check a key without repeating it: a single character that it must not contain tells enough."""
    value = key.get_secret_value().strip()
    for letter in value:
        if not "!" <= letter <= "~" or letter in "\"'":
            raise ValueError(
                f"the key contains {letter!r} (U+{ord(letter):04X}), which no key contains; copy it again, without "
                "quotes, spaces or line breaks"
            )
    return SecretStr(value)


def _check_webhook_secret(secret: SecretStr) -> SecretStr:
    value = secret.get_secret_value()
    try:
        valid = not value.startswith("whsec_") or base64.b64decode(value.removeprefix("whsec_"), validate=True)
    except ValueError:
        valid = False
    if not valid:
        raise ValueError("no key in base64 follows `whsec_`; make one with `openssl rand -base64 24`")
    return secret


def _check_smtp_url(url: SecretStr) -> SecretStr:
    """Check the URL of a mail server without repeating it, because it may contain a password."""
    try:
        parts = urlsplit(url.get_secret_value())
        valid = parts.scheme in {"smtp", "smtps"} and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise ValueError(
            "it must be `smtps://user:password@host:465` or `smtp://host:587`; encode `@` and `/` as %40, %2F"
        )
    return url


type VendorKey = Annotated[SecretStr, AfterValidator(_check_key)]
"""A key that can stand in an HTTP header."""


class Settings(BaseSettings):
    """The environment variables, typed. They override `.env`, which overrides `SECRETS_FOLDER`. Empty means not set.

    Each is named `CHASSIS_` and the field, except for the keys of vendors, which keep the names that their SDKs read.
    """

    model_config = SettingsConfigDict(
        env_prefix="CHASSIS_",
        env_ignore_empty=True,
        populate_by_name=True,
        secrets_dir=SECRETS_FOLDER if SECRETS_FOLDER.is_dir() else None,
    )

    env: Literal["development", "production"] = "development"
    """In `production` the service logs JSON and never creates an API key by itself."""
    database_url: str = Field(default="sqlite:///var/service.db", repr=False)
    """The database of budgets, review queue, reply cache and API keys. A relative path starts in the project."""
    models_off: bool = False
    """Turns the kill switch on for this process, regardless of `chassis models`."""
    openai_api_key: VendorKey | None = Field(default=None, validation_alias="OPENAI_API_KEY")
    anthropic_api_key: VendorKey | None = Field(default=None, validation_alias="ANTHROPIC_API_KEY")
    gemini_api_key: VendorKey | None = Field(default=None, validation_alias="GEMINI_API_KEY")
    openai_compatible_api_key: VendorKey | None = Field(default=None, validation_alias="OPENAI_COMPATIBLE_API_KEY")
    webhook_secret: Annotated[SecretStr, AfterValidator(_check_webhook_secret)] | None = None
    """Signs the webhooks that `ownership.toml` asks for: `whsec_` and a key in base64."""
    smtp_url: Annotated[SecretStr, AfterValidator(_check_smtp_url)] | None = None
    """The mail server for the emails that `ownership.toml` asks for, such as `smtps://user:password@host:465`."""
    public_url: HttpUrl | None = None
    """Where browsers reach the service, such as `https://help.example.com`."""
    oidc_issuer: HttpUrl | None = None
    """The OpenID Connect provider through which reviewers sign in. It needs the other `oidc` variables."""
    oidc_client_id: str | None = None
    oidc_client_secret: SecretStr | None = None
    oidc_reviewers: str | None = None
    """Who may review: email addresses, or `@` and a domain, with commas between them."""
    local_model_url: HttpUrl | None = None
    """The URL of the local model; while `make local-model` runs, it is in `LOCAL_MODEL_FILE`."""

    metrics_port: int | None = Field(default=None, ge=1, le=65535)
    """If it is set, `/metrics` is served on this port only, so that a gateway cannot reach it."""

    @model_validator(mode="before")
    @classmethod
    def _strip(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Remove white space around values, as a secret store or a file may add it. What is left empty is not set."""
        stripped = {name: value.strip() if isinstance(value, str) else value for name, value in values.items()}
        return {name: value for name, value in stripped.items() if value != ""}

    @property
    def production(self) -> bool:
        """Return whether this is a production installation."""
        return self.env == "production"


def load_settings(root: Path) -> Settings:
    """Read the settings of the project at `root`.

    Raises:
        ConfigError: A variable has an invalid value.
    """
    try:
        # Into the environment, because OpenTelemetry reads its variables only from there.
        _warn_of_ignored_lines(root / ".env")
        load_dotenv(root / ".env")
        load_dotenv(root / LOCAL_MODEL_FILE)
        check_telemetry_variables(os.environ)
        settings = Settings()
    except UnicodeDecodeError as error:
        raise ConfigError(".env", f"byte {error.start} is not UTF-8", "Save the file as UTF-8") from None
    except OSError as error:
        raise ConfigError(
            str(error.filename), f"it cannot be read ({error.strerror})", "Correct its permissions"
        ) from None
    except ValidationError as error:
        name = str(error.errors()[0]["loc"][0])
        problem = config_error_from("", error)
        variable = name if name.isupper() else f"CHASSIS_{name}".upper()  # a vendor's key has a name of its own
        raise ConfigError(variable, problem.problem, problem.remedy) from None
    if settings.production:
        _close(root / ".env")
    return settings


def _warn_of_ignored_lines(file: Path) -> None:
    """Name the lines that set no variable, without their content, which may be a key."""
    if not file.is_file():
        return
    with file.open(encoding="utf-8") as stream:
        for entry in parse_stream(stream):
            # dotenv itself warns of what it cannot parse.
            if entry.key is not None and entry.value is None:
                text = entry.original.string
                line = entry.original.line + text[: len(text) - len(text.lstrip())].count("\n")
                log.warning("%s: line %d has no =, so it is ignored; write NAME=value", file.name, line)


def private_file(path: Path) -> Path:
    """Create a file for state, with its folder, or take away the access that others have to it. Return its path.

    Raises:
        OSError: It cannot be created.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT, 0o600))
    with suppress(PermissionError):  # it belongs to another user, who decides
        for file in (path, *(path.with_name(path.name + ending) for ending in ("-wal", "-shm"))):
            if file.exists() and file.stat().st_mode & 0o077:
                file.chmod(0o600)
    return path


def _close(path: Path) -> None:
    """Take away the access that others have to a file with keys."""
    if path.is_file() and path.stat().st_mode & 0o004:
        try:
            path.chmod(0o600)
        except OSError:  # it is on a read-only disk, or belongs to another user
            mode = stat.S_IMODE(path.stat().st_mode)
            problem = f"every user of this machine can read it (mode {mode:o})"
            raise ConfigError(path.name, problem, f"Run `chmod 600 {path.name}`") from None


type Forge = Literal["github", "gitlab"]

FORGES: tuple[Forge, ...] = get_args(Forge.__value__)
TASK_REMEDY = 'Write [tool.chassis] with a line such as task = "acme_help.task:TASK"'


@dataclass(frozen=True, slots=True)
class Project:
    """A repository that was generated from the template.

    Args:
        root: The folder of its `pyproject.toml`.
        name: The project's name, such as `acme-help`.
        version: The project's version.
        task_path: The module and name of its `Task`, such as `acme_help.task:TASK`.
        description: What the service does, in one sentence.
        forge: The platform that hosts the repository.
        repository: The URL of the repository, if `project.urls` has it.
        serves: Whether the chassis serves the task; if not, it is only evaluated.
    """

    root: Path
    name: str
    version: str
    task_path: str
    description: str = ""
    forge: Forge = "github"
    repository: str | None = None
    serves: bool = True

    def load_task(self) -> Task[Any, Any]:
        """Import the team's task: the installed package, or else the one in the repository.

        Raises:
            ConfigError: There is no such module or name, it is not a `Task`, or its file is not valid Python. Errors
                that the team's code raises while it is imported pass through.
        """
        module_name, _, name = self.task_path.partition(":")
        where = f"pyproject.toml: tool.chassis.task = {self.task_path!r}"
        sys.path.extend(folder for folder in (str(self.root / "src"), str(self.root)) if folder not in sys.path)
        try:
            module = importlib.import_module(module_name)
        except SyntaxError as error:
            where = f"{Path(error.filename or module_name).name}, line {error.lineno}"
            raise ConfigError(where, f"not valid Python ({error.msg})", "Correct that line") from None
        except ModuleNotFoundError as error:
            # If another module is missing, the team's code imports it, and its traceback is the better explanation.
            if error.name is None or not module_name.startswith(error.name):
                raise
            raise ConfigError(
                where, f"there is no module {module_name!r}", "Correct the path, or run `make setup`"
            ) from None
        task = getattr(module, name or "TASK", None)
        if not isinstance(task, Task):
            raise ConfigError(where, f"{name!r} in {module_name} is not a chassis.Task", TASK_REMEDY)
        return cast("Task[Any, Any]", task)


def find_project(start: Path | None = None) -> Project:
    """Return the project that contains the folder `start`, by default the working directory.

    Raises:
        ConfigError: Neither the folder nor one above it has a `pyproject.toml` with `[tool.chassis]`.
    """
    start = (start or Path.cwd()).resolve()
    for root in (start, *start.parents):
        file = root / "pyproject.toml"
        if not file.is_file():
            continue
        content = toml_content(file)
        if chassis := _table(content, "tool.chassis"):
            return _project(root, content, chassis)
    raise ConfigError(
        str(start), "no pyproject.toml with [tool.chassis] here or in a folder above", "Run this inside your project"
    )


def _table(content: dict[str, Any], path: str) -> dict[str, Any]:
    """Return a table of `pyproject.toml`, which is empty if the file does not have it."""
    for key in path.split("."):
        value: Any = content.get(key, {})
        if not isinstance(value, dict):
            raise ConfigError(f"pyproject.toml: {path}", f"the value is {shown_value(value)}", f"Write [{path}]")
        content = cast("dict[str, Any]", value)
    return content


def _project(root: Path, content: dict[str, Any], chassis: dict[str, Any]) -> Project:
    metadata = _table(content, "project")
    if not isinstance(chassis.get("task"), str):
        raise ConfigError("pyproject.toml: tool.chassis.task", "the key is missing, or is not text", TASK_REMEDY)
    forge = chassis.get("forge", "github")
    if forge not in FORGES:
        raise ConfigError(
            "pyproject.toml: tool.chassis.forge", f"the value is {forge!r}", f"Write one of: {', '.join(FORGES)}"
        )
    urls = {label.lower(): address for label, address in _table(content, "project.urls").items()}
    return Project(
        root,
        name=metadata.get("name", root.name),
        version=metadata.get("version", "0"),
        task_path=chassis["task"],
        description=metadata.get("description", ""),
        forge=forge,
        repository=urls.get("repository"),
        serves=chassis.get("serves", True),
    )
