"""Invalid answers are refused with a message that says what to use instead; defaults are valid."""

from pathlib import Path

import pytest
from copier import run_copy
from generated_project import Generate

SERVICE_NAME = "use lowercase words joined by hyphens, such as acme-help, not "
HANDLE = "use a handle that starts with @, such as @acme"
PURPOSE = "use 10 to 100 characters, without double quotes and backslashes"

INVALID = [
    ("service_name", "AcmeHelp", SERVICE_NAME),
    ("service_name", "acme_help", SERVICE_NAME),
    ("service_name", "acme--help", SERVICE_NAME),
    ("service_name", "acme-help\n", SERVICE_NAME),
    ("service_name", "json", "use two words or more, such as acme-json"),
    ("service_name", "a-" + "b" * 39, "use 40 characters or fewer; this name has 41"),
    ("purpose", "Helps.", PURPOSE),
    ("purpose", 'Answers "all" questions.', PURPOSE),
    ("purpose", "Answers questions\nabout products.", PURPOSE),
    ("purpose", "Answers questions in C:\\docs.", PURPOSE),
    ("deadline_seconds", 0, "use a whole number from 1 to 600, not 0"),
    ("deadline_seconds", 601, "use a whole number from 1 to 600, not 601"),
    ("monthly_budget_usd", -1, "use a whole number from 0 (free models only) to 10000000, not -1"),
    ("owner_team", "acme/ai", HANDLE),
    ("owner_team", "@acme/", HANDLE),
    ("owner_team", "@acme/eng/ai", "use a handle without subgroups, such as @acme/ai; GitHub does not support them"),
    ("deputy_team", "platform", HANDLE),
    ("deputy_team", "@Acme/AI", "use another team or person than the owner, such as @acme/platform"),
    ("owner_email", "ai at acme", "use an address such as ai@acme.example, not "),
    ("model", "gpt 5", "use an ID such as gpt-5.4-mini-2026-03-17, not "),
]


@pytest.mark.parametrize(("question", "answer", "message"), INVALID)
def test_invalid_answer(generate: Generate, tmp_path: Path, question: str, answer: object, message: str) -> None:
    """The message says what to use instead, within the 80 columns that a terminal shows of it."""
    with pytest.raises(ValueError, match="Validation error") as refusal:
        generate(**{question: answer})
    shown = str(refusal.value).partition("': ")[2]
    assert message in shown[:80], shown
    assert not (tmp_path / "project").exists()


@pytest.mark.parametrize("base_url", ["gpu.example/v1", "http://gpu.example", "http://gpu example/v1"])
def test_invalid_base_url(generate: Generate, base_url: str) -> None:
    """An endpoint is a web address that ends in /v1."""
    with pytest.raises(ValueError, match="use a URL that ends in /v1"):
        generate(provider="openai-compatible", base_url=base_url)


@pytest.mark.parametrize("question", ["data_class", "when_models_fail", "shape", "provider", "python_version"])
def test_invalid_choice(generate: Generate, question: str) -> None:
    """A value that is not among the choices is refused."""
    with pytest.raises(ValueError, match="Invalid choice"):
        generate(**{question: "whatever"})


@pytest.mark.parametrize(
    ("owner", "deputy", "email"),
    [
        ("@acme/ai", "@acme/platform", "ai@acme.example"),
        ("@bigco/search", "@bigco/platform", "search@bigco.example"),
        ("@bigco/platform", "@bigco/ai", "platform@bigco.example"),
        ("@Big_Co/search", "@Big_Co/platform", "search@big-co.example"),
        ("@ada", "@acme/platform", "ada@acme.example"),
    ],
)
def test_the_defaults_follow_the_owner(decide: Generate, owner: str, deputy: str, email: str) -> None:
    """Who gives one handle gets valid defaults for the deputy and the address."""
    ownership = (decide(owner_team=owner) / "ownership.toml").read_text(encoding="utf-8")
    assert all(f'"{text}"' in ownership for text in (owner, deputy, email))


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("acme-invoices", "acme-invoices"),
        ("a-1", "a-1"),
        ("invoices", "acme-help"),
        ("Acme-Invoices", "acme-help"),
        ("acme_invoices", "acme-help"),
        ("acme--invoices", "acme-help"),
        ("1-acme", "acme-help"),
        ("a-" + "b" * 38, "a-" + "b" * 38),
        ("a-" + "b" * 39, "acme-help"),
    ],
)
def test_the_folder_proposes_the_name(
    decisions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, name: str
) -> None:
    """It does so if it is a valid name, also for the current folder; an answer, given now or before, comes first."""
    (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / folder)
    assert service_name(decisions, Path()) == name
    assert service_name(decisions, tmp_path / folder) == name
    assert service_name(decisions, Path(), service_name="our-name") == "our-name"
    (tmp_path / folder / ".copier-answers.yml").write_text("service_name: former-name\n", encoding="utf-8")
    assert service_name(decisions, Path()) == "former-name"


@pytest.mark.parametrize("file", ["acme_invoices.py", "acme_invoices/__init__.py", "src/acme_invoices/main.py"])
def test_a_package_of_the_repository_is_left_alone(decisions: Path, tmp_path: Path, file: str) -> None:
    """The files of the service are not put into a package that is there already."""
    (tmp_path / "acme-invoices" / file).parent.mkdir(parents=True)
    (tmp_path / "acme-invoices" / file).touch()
    assert service_name(decisions, tmp_path / "acme-invoices") == "acme-help"


def service_name(template: Path, folder: Path, **answers: str) -> str:
    """Return the name that a service generated into a folder gets, without generating it."""
    worker = run_copy(str(template), folder, data=answers, defaults=True, quiet=True, pretend=True)
    return worker.answers.combined["service_name"]
