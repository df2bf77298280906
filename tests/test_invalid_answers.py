"""An invalid answer is refused with a message that says what to use instead, and nothing is generated."""

from pathlib import Path

import pytest
from generated_project import Generate

SERVICE_NAME = "is not a service name; use lowercase words and hyphens, such as acme-help"
HANDLE = "is not a handle; use one that starts with @, such as @acme"
PURPOSE = "use 10 to 100 characters without double quotes and backslashes"

INVALID = [
    ("service_name", "AcmeHelp", SERVICE_NAME),
    ("service_name", "acme_help", SERVICE_NAME),
    ("service_name", "acme--help", SERVICE_NAME),
    ("service_name", "acme-help\n", SERVICE_NAME),
    ("service_name", "json", "use two words or more, such as acme-json"),
    ("service_name", "a-" + "b" * 39, "the name has 41 characters; use 40 or fewer"),
    ("purpose", "Helps.", PURPOSE),
    ("purpose", 'Answers "all" questions.', PURPOSE),
    ("purpose", "Answers questions\nabout products.", PURPOSE),
    ("purpose", "Answers questions in C:\\docs.", PURPOSE),
    ("deadline_seconds", 0, "0 is out of range; use a whole number from 1 to 600"),
    ("deadline_seconds", 601, "601 is out of range; use a whole number from 1 to 600"),
    ("monthly_budget_usd", -1, "-1 is out of range; use a whole number from 0 (free models only) to 10000000"),
    ("owner_team", "acme/ai", HANDLE),
    ("owner_team", "@acme/", HANDLE),
    ("owner_team", "@acme/eng/ai", "has subgroups, which GitHub does not support; use one such as @acme/ai"),
    ("deputy_team", "platform", HANDLE),
    ("deputy_team", "@Acme/AI", "is the owner; use another team or person, such as @acme/platform"),
    ("owner_email", "ai at acme", "is not an email address; use one such as ai@acme.example"),
    ("model", "gpt 5", "is not a model ID; use one such as gpt-5.4-mini-2026-03-17"),
]


@pytest.mark.parametrize(("question", "answer", "message"), INVALID)
def test_invalid_answer(generate: Generate, tmp_path: Path, question: str, answer: object, message: str) -> None:
    """The message says what to use instead."""
    with pytest.raises(ValueError, match="Validation error") as refusal:
        generate(**{question: answer})
    assert message in str(refusal.value)
    assert not (tmp_path / "project").exists()


@pytest.mark.parametrize("base_url", ["gpu.example/v1", "http://gpu.example", "http://gpu example/v1"])
def test_invalid_base_url(generate: Generate, base_url: str) -> None:
    """An endpoint is a web address that ends in /v1."""
    with pytest.raises(ValueError, match="is not a base URL; use one that ends in /v1"):
        generate(provider="openai-compatible", base_url=base_url)


@pytest.mark.parametrize("question", ["data_class", "when_models_fail", "shape", "provider", "python_version"])
def test_invalid_choice(generate: Generate, question: str) -> None:
    """A value that is not among the choices is refused."""
    with pytest.raises(ValueError, match="Invalid choice"):
        generate(**{question: "whatever"})
