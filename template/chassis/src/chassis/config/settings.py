"""Settings of one installation, and all secrets, from the environment and `.env`."""

from pathlib import Path
from typing import Literal

from dotenv import load_dotenv
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from chassis.errors import ConfigError


class Settings(BaseSettings):
    """The environment variables, typed. They override `.env`, and an empty variable counts as not set."""

    model_config = SettingsConfigDict(env_ignore_empty=True)

    chassis_env: Literal["development", "production"] = "development"
    """In `production` the service logs JSON and never creates an API key by itself."""
    database_url: str = Field(default="sqlite:///var/service.db", repr=False)
    """The database of budgets, review queue, reply cache and API keys. A relative path starts in the project."""
    models_off: bool = False
    """Turns the kill switch on for this process, regardless of `chassis models`."""
    openai_api_key: SecretStr | None = None
    anthropic_api_key: SecretStr | None = None
    gemini_api_key: SecretStr | None = None
    openai_compatible_api_key: SecretStr | None = None
    local_model_url: str | None = None
    """The URL of the local model; `make local-model` writes it into `.env`."""

    @property
    def production(self) -> bool:
        """Return whether this is a production installation."""
        return self.chassis_env == "production"


def load_settings(root: Path) -> Settings:
    """Read the settings of the project at `root`.

    Raises:
        ConfigError: A variable has an invalid value.
    """
    try:
        load_dotenv(root / ".env")  # into the environment, because OpenTelemetry reads its variables only from there
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(str(first["loc"][0]).upper(), f"the value is {first['input']!r}", first["msg"]) from None
