"""What differs between one installation and the next, and every secret: read from the environment and `.env`."""

from pathlib import Path
from typing import Literal

from dotenv import load_dotenv
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from chassis.errors import ConfigError


class Settings(BaseSettings):
    """The environment, typed; it wins over `.env`, and a variable that is empty counts as not set."""

    model_config = SettingsConfigDict(env_ignore_empty=True)

    chassis_env: Literal["development", "production"] = "development"
    """`production` logs JSON and never creates a key of its own."""
    database_url: str = Field(default="sqlite:///var/service.db", repr=False)
    """Where the ledger, the desk, the cache and the API keys live; a relative path starts at the project."""
    models_off: bool = False
    """Takes every model out for as long as the process lives, whatever `chassis models` says."""
    openai_api_key: SecretStr | None = None
    anthropic_api_key: SecretStr | None = None
    gemini_api_key: SecretStr | None = None
    openai_compatible_api_key: SecretStr | None = None
    local_model_url: str | None = None
    """Where `make local-model` listens; it writes this into `.env`."""


def load_settings(root: Path) -> Settings:
    """Read the settings of the project at `root`.

    Raises:
        ConfigError: A variable says something that cannot be meant.
    """
    try:
        load_dotenv(root / ".env")  # into the environment, because OpenTelemetry looks for its variables only there
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(str(first["loc"][0]).upper(), f"the value is {first['input']!r}", first["msg"]) from None
