"""The report: one file, four forms that never disagree, and nothing in them that a stranger could make run."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest
import sample_task
from chassis_tools.evals.jsonl import write_jsonl
from chassis_tools.evals.report.junit import junit
from chassis_tools.evals.report.markdown import markdown
from chassis_tools.evals.report.page import page
from chassis_tools.evals.report.report import Reach, Report, load, save
from chassis_tools.evals.report.tables import facts
from cli_runner import run as chassis
from sample_evaluation import accepted, ask, judge, write_cases, write_evaluation
from sample_task import Answer, Question
from test_evals_gate import run_of
from test_evals_run import case

from chassis import Draft

NASTY = '<script>alert("x")</script> | @everyone [link](http://evil.example) `code` ]]> & \u202e'


class Tags(HTMLParser):
    """Collects what a page would load and run."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note one tag."""
        self.names.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href", "action", "srcset"}]


@pytest.fixture
def worse(project: Path, monkeypatch: pytest.MonkeyPatch) -> Report:
    """Make a run in which one case got worse, one better, one is new and one is nasty."""
    write_evaluation(project)
    write_cases(project, case("down", "down"), case("up", "why", "WHY"), case("nasty", NASTY, "never"))
    accepted(project)

    def other(question: Question) -> Draft[Answer]:
        return Draft(Answer(text={"down": "It is down."}.get(question.text, question.text.upper())), confidence=0.9)

    monkeypatch.setattr(sample_task, "TASK", replace(sample_task.TASK, baseline=other))
    write_cases(
        project, case("down", "down"), case("up", "why", "WHY"), case("nasty", NASTY, "never"), case("fresh", "fresh")
    )
    ask(project)
    return judge(project)


def test_a_report_survives_its_file(worse: Report, tmp_path: Path) -> None:
    """Infinite bounds included: what is read is what was written."""
    save(worse, tmp_path)

    assert load(tmp_path) == worse
    assert json.loads((tmp_path / "report.json").read_text())["verdict"] == "fail"


def test_every_case_says_what_became_of_it(worse: Report) -> None:
    """Against the accepted run, with question, expectation and both answers."""
    [suite] = worse.suites
    lines = {line.id: line for line in suite.cases}

    assert {name: line.change for name, line in lines.items()} == {
        "down": "worse",
        "up": "better",
        "nasty": "same",
        "fresh": "new",
    }
    assert (lines["down"].question, lines["down"].expected) == ("down", "DOWN")
    assert lines["down"].answer == "It is down.\n(baseline)"
    assert lines["down"].accepted_answer == "DOWN\n(baseline)"
    assert lines["up"].accepted_answer == "referred (no_model)"


def test_the_page_needs_nothing_and_runs_nothing_of_others(worse: Report) -> None:
    """No address to load from, one script of ours, and whatever a case says is text."""
    text = page(worse)
    tags = Tags()
    tags.feed(text)

    assert tags.addresses == []
    assert tags.names.count("script") == 1
    assert "default-src 'none'" in text
    assert "&lt;script&gt;alert(" in text
    assert "<del>DOWN</del>" in text.replace("\n", "")
    assert "<ins>It " in text


def test_the_page_begins_with_what_is_wrong(worse: Report) -> None:
    """Each rule to which the verdict is due has its own line, and each rate a mark between 0 and 100 %."""
    text = page(worse)

    assert "<li><b>answers: regression right</b> 1 of 3 cases got worse, 1 better: down</li>" in text
    assert "must-pass right</b>" not in text  # it has no evidence, which is not why the run failed
    assert text.count('<span class="bar">') == sum(len(suite.rates) for suite in worse.suites)


def test_few_of_many_worse_cases_are_open(worse: Report) -> None:
    """The page stays one that can be read when everything broke."""
    [suite] = worse.suites
    many = tuple(replace(suite.cases[0], id=f"c{number}") for number in range(50))

    text = page(replace(worse, suites=(replace(suite, cases=many),)))

    assert text.count("<details open") == 3


def test_two_texts_that_share_nothing_are_not_painted(worse: Report) -> None:
    """Marking every word shows no difference."""
    [suite] = worse.suites
    down = next(case for case in suite.cases if case.id == "down")
    other = replace(down, accepted_answer="A long and helpful answer", answer="referred")

    assert "<del>" not in page(replace(worse, suites=(replace(suite, cases=(other,)),)))


def test_the_comment_makes_no_markup_of_what_others_wrote(worse: Report) -> None:
    """No mention, no link, no cell, no tag."""
    spoilt = replace(worse, project=NASTY)

    first = markdown(spoilt).splitlines()[0]

    assert first.startswith("## ❌ Evaluation of &lt;script&gt;")
    assert "@" not in first
    assert re.search(r"(?<!\\)[\[\]|`]", first) is None


def test_junit_counts_what_failed(worse: Report) -> None:
    """A rule that fails, and the case that made it fail; a known wrong case is no failure."""
    root = fromstring(junit(worse))  # noqa: S314  our own
    [suite] = root.findall("testsuite")
    failed = [test.get("name") for test in suite.findall("testcase") if test.find("failure") is not None]

    assert failed == ["regression right", "down"]
    assert (suite.get("failures"), suite.get("errors")) == ("2", "1")
    assert int(suite.get("tests") or 0) == len(suite.findall("testcase"))


def test_report_writes_the_forms_again(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From report.json alone."""
    write_evaluation(project)
    accepted(project, "attacks")
    assert chassis("evals", "gate", "attacks") == 0
    folder = project / "var/evals"
    forms = {name: (folder / name).read_text() for name in ("report.html", "report.md", "junit.xml")}
    for name in forms:
        (folder / name).unlink()

    assert chassis("evals", "report") == 0

    assert {name: (folder / name).read_text() for name in forms} == forms
    assert "PASS. attacks: 1 of 1 rules hold" in capsys.readouterr().out


def test_there_is_no_report_of_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command says what to run first."""
    write_evaluation(project)

    assert chassis("evals", "report") == 2

    assert "var/evals/report.json: there is no such file. Run `chassis evals run` first" in capsys.readouterr().err


def test_a_holdout_is_only_seen_as_a_whole(project: Path) -> None:
    """Its rate counts, its cases are not told."""
    write_evaluation(project)
    suites = project / "evals/suites.toml"
    suites.write_text(
        suites.read_text().replace('cases = ["start"]', 'cases = ["start"]\nsplits = ["gate", "holdout"]')
    )
    write_cases(project, case("seen", "seen"), {**case("hidden", "hidden"), "split": "holdout"})
    ask(project)

    [suite] = judge(project).suites

    assert [line.id for line in suite.cases] == ["seen"]
    assert suite.rates[0].cases == 2


def test_a_set_that_everything_passes_is_called_too_easy(project: Path) -> None:
    """A hundred per cent is a reason to look for harder questions."""
    write_evaluation(project)
    write_cases(project, *(case(f"c{number}", f"case {number}") for number in range(150)))
    ask(project)

    assert judge(project).suites[0].saturated


def test_power_says_what_the_cases_can_show(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From the team's own records; a smaller drop takes more cases."""
    write_evaluation(project)
    ask(project)

    assert chassis("evals", "power", "answers", "--drop", "3") == 0

    said = capsys.readouterr().out
    assert "right: with 60 cases × 1 the smallest drop found is" in said
    assert "to find 3 points in 80% of the runs takes" in said


@pytest.mark.parametrize(
    ("detectable", "said"),
    [(0.125, "a drop of 12.5 points in 80 of 100 runs"), (1.0, "no drop at all, they are too few")],
)
def test_what_the_cases_can_show_is_said(worse: Report, detectable: float, said: str) -> None:
    """Also when that is nothing: a drop of a hundred points is no promise."""
    reach = Reach(detectable=detectable, wanted=0.05, needed=2591)

    told = facts(replace(worse.suites[0], kind="live", reach=reach))

    assert f"These cases show {said}; 5 points take 2591 cases" in told


def test_two_runs_can_be_compared(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Any two folders of records, with the cases that flipped."""
    write_evaluation(project)
    before, after = project / "one", project / "two"
    write_jsonl(before / "records.jsonl", run_of([[1.0]] * 10))
    write_jsonl(after / "records.jsonl", run_of([[0.0]] * 2 + [[1.0]] * 8))

    assert chassis("evals", "compare", str(before), str(after)) == 0

    said = " ".join(capsys.readouterr().out.split())
    assert "100.0% │ 80.0% │ -20.0" in said
    assert "2: c0, c1" in said
    assert "Another evaluator" not in said


def test_what_cannot_be_compared_is_said(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty table would look like two runs that are alike; and a new ruler may be all that changed."""
    one, two, other = project / "one", project / "two", project / "other"
    write_jsonl(one / "records.jsonl", run_of([[1.0]] * 10))
    write_jsonl(two / "records.jsonl", run_of([[1.0]] * 10, evaluator_hash="new"))
    write_jsonl(other / "records.jsonl", run_of([[1.0]] * 10, case_hash="other"))

    assert chassis("evals", "compare", str(one), str(two)) == 0
    assert "Another evaluator goes by the same name now: right" in capsys.readouterr().out
    assert chassis("evals", "compare", str(one), str(other)) == 2
    assert "they have no case with the same question" in capsys.readouterr().err
    assert chassis("evals", "compare", str(one), str(project)) == 2
    assert "there is no such file. Name the folder of a run, such as var/evals/answers" in capsys.readouterr().err
