"""How large a generated project may be, how deep a guarded call; and that `make house` measures what it says."""

from pathlib import Path

import code_measures
import house
from answer_sets import ROOT
from generated_project import GenerateOnce, rendered

MOST_FILES = 304
"""Files of a project with the default answers after `make setup`."""
MOST_FRAMES = 16
"""Functions of the runtime between `Service.answer` and the model."""
SAMPLE = '''"""Says hello."""

# Nobody knows why.
DEFAULT = "you"
"""Who is greeted."""

type Name = str


def greet(name: Name = DEFAULT) -> str:
    """Greet somebody.

    Loudly.
    """
    greeting = f"Hello {name}"  # not "Hi"

    return greeting


class _Private:
    async def greet(self) -> None: ...
'''


def test_a_default_project_has_few_files(generated_once: GenerateOnce) -> None:
    """Every file must earn its place: somebody will open each of them once."""
    files = house.after_setup(rendered(generated_once({})), ROOT)
    assert len(files) <= MOST_FILES, house.by_folder(files)


def test_a_guarded_call_is_not_deep() -> None:
    """A traceback from the model up to the service fits on a screen."""
    assert 3 < house.frames(ROOT) <= MOST_FRAMES


def test_what_is_measured(tmp_path: Path) -> None:
    """A small package, counted by hand."""
    for path in ("sample/greeting.py", "sample/deep/greeting.py", "sample/__init__.py"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(SAMPLE if path.endswith("greeting.py") else "", encoding="utf-8")

    package, deep, module = code_measures.modules(tmp_path)

    assert [package.name, deep.name, module.name] == ["sample", "sample.deep.greeting", "sample.greeting"]
    assert [package.is_root, deep.is_root, module.is_root] == [False, False, True]
    assert module.lines == len(SAMPLE.splitlines())
    assert [name for name, _ in module.definitions()] == ["Name", "greet"]
    assert module.constants() == {"DEFAULT"}
    assert [code_measures.function_lines(function) for function in module.functions()] == [3, 1]
    assert code_measures.homonyms([deep, module]) == {
        name: ["sample.deep.greeting", "sample.greeting"] for name in ("Name", "greet")
    }
    assert code_measures.repeated_stems([deep, module], times=2) == ["greeting"]
    assert code_measures.repeated_stems([deep, module]) == []
    assert code_measures.comments_per_100_lines([module]) == 100 * 2 / 7
    assert code_measures.percentile([3, 1, 2, 4], 90) == 4
    assert code_measures.percentile([3, 1, 2, 4], 50) == 2


def test_tests_are_counted(tmp_path: Path) -> None:
    """A test counts once however often it runs; an exception that is expected counts as an assertion."""
    helper, test = (
        "def helper():\n    assert 1\n",
        "async def test_a():\n    assert 2\n    pytest.raises(ValueError, int, '')\n",
    )
    (tmp_path / "test_sample.py").write_text(helper + test, encoding="utf-8")
    assert dict(house.rows_of_tests([tmp_path])) == {"test functions": "1", "assertions in tests": "3"}


def test_files_by_folder() -> None:
    """Packages are told apart by their subpackages, everything else by the folder at the top."""
    files = ["README.md", "ops/kubernetes/base/a.yaml", "chassis/uv", "chassis/handbook/a.md"]
    packages = ["chassis/src/chassis/call.py", "chassis/src/chassis/web/app.py"]
    assert house.by_folder([*files, *packages, "chassis/tools/src/chassis_tools/evals/gate/a.py"]) == {
        ".": 1,
        "chassis": 1,
        "chassis/handbook": 1,
        "chassis/src/chassis": 1,
        "chassis/src/chassis/web": 1,
        "chassis/tools/src/chassis_tools/evals": 1,
        "ops": 1,
    }
