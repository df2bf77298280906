"""What differs between one installation and the next, and every secret: read from the environment and `.env`."""

from pathlib import Path
from typing import Literal

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """The environment, typed; a variable set in the environment wins over the same one in `.env`."""

    model_config = SettingsConfigDict(env_file_encoding="utf-8", extra="ignore")

    chassis_env: Literal["development", "production"] = "development"
    """`production` logs JSON and never creates a key of its own."""
    database_url: str = "sqlite:///var/service.db"
    """Where the ledger, the desk, the cache and the API keys live; a relative path starts at the project."""
    openai_api_key: SecretStr | None = None
    anthropic_api_key: SecretStr | None = None
    gemini_api_key: SecretStr | None = None
    openai_compatible_api_key: SecretStr | None = None
    local_model_url: str | None = None
    """Where `make local-model` listens; it writes this into `.env`."""


def load_settings(root: Path) -> Settings:
    """Read the settings of the project at `root`."""
    return Settings(_env_file=root / ".env")  # pyright: ignore[reportCallIssue] - pydantic-settings takes it
