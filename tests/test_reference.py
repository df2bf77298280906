"""The reference pages say what the code says."""

import json
import tomllib
from typing import Any

import decision_pages
import pytest
from chassis.config.constraints import Constraints
from chassis.config.ownership import Ownership
from chassis.config.toml_file import Section
from chassis_tools.governance.signoffs import SignOff
from chassis_tools.readiness.launch_review import Waivers
from generated_project import Generate, GenerateOnce
from json_schemas import SCHEMAS
from jsonschema import Draft202012Validator, FormatChecker
from reference_pages import PAGES, WRITERS, paths_of

SECTIONS = list(
    dict.fromkeys(one for top in (Constraints, Ownership, SignOff, Waivers) for one in decision_pages.sections_of(top))
)


@pytest.mark.parametrize("page", sorted(WRITERS.keys() - {"paths.md"}))
def test_a_page_follows_from_the_code(page: str) -> None:
    """A page that is out of date is written anew by `make reference`."""
    assert (PAGES / page).read_text(encoding="utf-8") == WRITERS[page]()


def test_the_page_of_paths_follows_from_a_project(generate: Generate) -> None:
    """So does that one, of which others have generated the project already."""
    assert (PAGES / "paths.md").read_text(encoding="utf-8") == paths_of(generate())


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_every_key_is_explained(section: type[Section]) -> None:
    """A key without words below its field would be a line that says nothing."""
    said = decision_pages.words(section)
    whole = section in {Constraints, Ownership, Waivers}  # their keys are sections, which explain themselves
    assert set(said) == set(section.model_fields)
    assert whole or all(said.values()), said


def test_a_key_without_words_would_be_seen() -> None:
    """The words are those below a field, not those of its neighbour."""

    class Sample(Section):
        silent: int
        loud: int
        """What it says."""

    assert decision_pages.words(Sample) == {"silent": "", "loud": "What it says."}


def mistakes(name: str, text: str) -> list[str]:
    """Return what an editor would underline in a TOML file with this schema."""
    schema = json.loads((PAGES.parents[1] / f"template/chassis/schemas/{name}.json").read_text(encoding="utf-8"))
    content: dict[str, Any] = json.loads(json.dumps(tomllib.loads(text), default=str))  # JSON has days as text
    validator: Any = Draft202012Validator(schema, format_checker=FormatChecker())
    return [error.message for error in validator.iter_errors(content)]


@pytest.mark.parametrize("shape", ["answer", "blank"])
@pytest.mark.parametrize("name", SCHEMAS)
def test_starter_files_fit_their_schemas(generated_once: GenerateOnce, name: str, shape: str) -> None:
    """Each names its schema in the first line, which editors look for, and an editor finds nothing wrong."""
    project = generated_once({"shape": shape})
    file = project / SCHEMAS[name][0]
    text = file.read_text(encoding="utf-8")
    directive, schema = text.splitlines()[0].split()

    assert directive == "#:schema"
    assert (file.parent / schema).resolve(strict=True) == project.resolve() / f"chassis/schemas/{name}.json"
    assert mistakes(name, text) == []


@pytest.mark.parametrize(
    ("name", "old", "new", "mistake"),
    [
        ("constraints", "deadline_seconds =", "deadline =", "'deadline_seconds' is a required property"),
        ("constraints", "ttl_seconds = 3600", "ttl_seconds = -1", "-1 is less than the minimum of 0"),
        ("constraints", 'tier = "standard"', 'tier = "high"', "'high' is not one of ['experiment', 'standard'"),
        ("ownership", 'lifecycle = "experimental"', "lifecycle = 3", "3 is not one of ['experimental'"),
        ("suites", "repeats = 3", "repeat = 3", "Additional properties are not allowed ('repeat' was unexpected)"),
    ],
)
def test_a_schema_finds_mistakes(generated_once: GenerateOnce, name: str, old: str, new: str, mistake: str) -> None:
    """A missing, unknown or invalid key is underlined before the service refuses to start."""
    text = (generated_once({}) / SCHEMAS[name][0]).read_text(encoding="utf-8")
    assert old in text

    assert any(found.startswith(mistake) for found in mistakes(name, text.replace(old, new)))
