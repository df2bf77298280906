"""A bad answer is refused with a sentence that says what to type instead, and leaves nothing behind."""

from pathlib import Path

import pytest
from generated_project import Generate

TEAM = "type its handle with the at sign, such as @acme"
PURPOSE = "type one sentence of 10 to 100 characters without double quotes and backslashes"

REFUSED = [
    ("service_name", "AcmeHelp", "type lower-case words joined by dashes, such as acme-help"),
    ("service_name", "acme_help", "type lower-case words joined by dashes, such as acme-help"),
    ("service_name", "acme--help", "type lower-case words joined by dashes, such as acme-help"),
    ("service_name", "acme-help\n", "type lower-case words joined by dashes, such as acme-help"),
    ("service_name", "json", "type at least two, such as acme-json"),
    ("service_name", "a-" + "b" * 39, "the name has 41 characters; type at most 40"),
    ("purpose", "Helps.", PURPOSE),
    ("purpose", 'Answers "all" questions.', PURPOSE),
    ("purpose", "Answers questions\nabout products.", PURPOSE),
    ("purpose", "Answers questions in C:\\docs.", PURPOSE),
    ("deadline_seconds", 0, "type a whole number from 1 to 600, such as 20"),
    ("deadline_seconds", 601, "type a whole number from 1 to 600, such as 20"),
    ("monthly_budget_usd", -1, "type a whole number from 0 (free models only) to 10000000, such as 300"),
    ("owner_team", "acme/ai", TEAM),
    ("owner_team", "@acme/", TEAM),
    ("deputy_team", "platform", TEAM),
    ("deputy_team", "@Acme/AI", "is the owner itself; type another team or person, such as @acme/platform"),
    ("owner_email", "ai at acme", "type one such as ai@acme.example"),
    ("model", "gpt 5", "type the id that the vendor documents"),
]


@pytest.mark.parametrize(("question", "answer", "sentence"), REFUSED)
def test_refused(generate: Generate, tmp_path: Path, question: str, answer: object, sentence: str) -> None:
    """The sentence names the remedy."""
    with pytest.raises(ValueError, match="Validation error") as refusal:
        generate(**{question: answer})
    assert sentence in str(refusal.value)
    assert not (tmp_path / "project").exists()


@pytest.mark.parametrize("base_url", ["gpu.example/v1", "http://gpu.example", "http://gpu example/v1"])
def test_endpoint(generate: Generate, base_url: str) -> None:
    """An endpoint is a web address that ends in /v1."""
    with pytest.raises(ValueError, match="type a web address that ends in /v1"):
        generate(provider="openai-compatible", base_url=base_url)


@pytest.mark.parametrize("question", ["data_class", "when_models_fail", "shape", "provider", "python_version"])
def test_choice(generate: Generate, question: str) -> None:
    """A choice that is not offered is refused."""
    with pytest.raises(ValueError, match="Invalid choice"):
        generate(**{question: "whatever"})
