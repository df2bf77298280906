"""The report: one JSON file, four formats that agree with it, and no way for a case or an answer to inject markup."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest
import sample_task
from chassis import Draft
from chassis_tools.evals.identity import RunIdentity
from chassis_tools.evals.jsonl import read_json, write_jsonl
from chassis_tools.evals.report.output import REPORT_FILE, to_html, to_junit, write_report
from chassis_tools.evals.report.report import CaseResult, DetectableEffect, Report
from chassis_tools.evals.report.text import notes, to_markdown
from cli_runner import run as chassis
from sample_evaluation import ask, case, judge, run_and_accept, write_cases, write_evaluation
from sample_records import make_records
from sample_task import Answer, Question

NASTY = '<script>alert("x")</script> | @everyone [link](http://evil.example) `code` ]]> & \u202e {{ 7 * 7 }}'
SOURCES = {"src", "href", "action", "srcset", "data", "poster", "formaction", "background"}
"""Attributes that load something or lead elsewhere."""


class TagCollector(HTMLParser):
    """Collects what a page would load and run."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect one tag and its attributes."""
        self.names.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]


@pytest.fixture
def regressed(project: Path, monkeypatch: pytest.MonkeyPatch) -> Report:
    """Return a report in which one case regressed, one improved, one is new and one tries to inject markup."""
    write_evaluation(project)
    write_cases(project, case("down", "down"), case("up", "why", "WHY"), case("nasty", NASTY, "never"))
    run_and_accept(project)

    def other(question: Question) -> Draft[Answer]:
        return Draft(Answer(text={"down": "It is down."}.get(question.text, question.text.upper())), confidence=0.9)

    monkeypatch.setattr(sample_task, "TASK", replace(sample_task.TASK, baseline=other))
    write_cases(
        project, case("down", "down"), case("up", "why", "WHY"), case("nasty", NASTY, "never"), case("fresh", "fresh")
    )
    ask(project)
    return judge(project)


def with_cases(report: Report, *cases: CaseResult) -> Report:
    """Return the report with other cases in its only suite."""
    [suite] = report.suites
    return replace(report, suites=(replace(suite, cases=cases),))


def test_a_report_survives_its_file(regressed: Report, tmp_path: Path) -> None:
    """Reading gives what was written, infinite bounds included."""
    write_report(regressed, tmp_path)

    assert read_json(tmp_path / REPORT_FILE, Report, "") == regressed
    assert json.loads((tmp_path / "report.json").read_text())["verdict"] == "fail"


def test_cases_are_compared_with_the_accepted_run(regressed: Report) -> None:
    """Each case has its change, question, expectation and both answers."""
    [suite] = regressed.suites
    cases = {case.id: case for case in suite.cases}

    assert {name: case.change for name, case in cases.items()} == {
        "down": "regressed",
        "up": "improved",
        "nasty": "unchanged",
        "fresh": "new",
    }
    assert (cases["down"].question, cases["down"].expected) == ("down", "DOWN")
    assert cases["down"].answer == "It is down.\n(baseline)"
    assert cases["down"].accepted_answer == "DOWN\n(baseline)"
    assert cases["up"].accepted_answer == "referred (no_model)"


def test_the_page_loads_nothing_and_runs_only_its_own_script(regressed: Report) -> None:
    """It refers to no address and has one script, and whatever a case or an answer says is text."""
    page = to_html(regressed)
    tags = TagCollector()
    tags.feed(page)

    assert [name for name, _ in tags.attributes if name in SOURCES or name.startswith("on")] == []
    assert {"link", "img", "iframe", "object", "base", "import"}.isdisjoint(tags.names)
    assert (tags.names.count("script"), tags.names.count("style")) == (1, 1)
    assert "default-src 'none'" in page
    assert not re.search(r"url\(|@import", page)
    assert "&lt;script&gt;alert(" in page
    assert "{{ 7 * 7 }}" in page
    assert "<del>DOWN</del>" in page.replace("\n", "")
    assert "<ins>It " in page


def test_nothing_in_a_report_becomes_markup(regressed: Report) -> None:
    """Every text of a report is escaped on the page, in attributes too."""
    breakout = '"><script>alert(1)</script><p title="`x`'
    [suite] = regressed.suites
    texts = {
        "id": breakout,
        "tags": (breakout,),
        "error": breakout,
        "trace_id": breakout,
        "scores": {breakout: 0.5},
        "question": breakout,
        "expected": breakout,
        "answer": f"one two three {breakout}",
        "accepted_answer": f"one two three four {breakout}",
        "baseline_answer": breakout,
        "reasons": breakout,
        "judge_reasons": breakout,
        "tool_calls": breakout,
    }
    findings = tuple(replace(finding, rule=breakout, sentence=breakout) for finding in suite.findings)
    rates = tuple(replace(rate, evaluator=breakout, tag=breakout) for rate in suite.pass_rates)
    spoiled = replace(
        suite,
        name=breakout,
        findings=findings,
        pass_rates=rates,
        outcomes={breakout: 1},
        excluded={breakout: 1},
        run=RunIdentity(started=breakout, commit=breakout, models=(breakout,)),
        evaluators={breakout: (breakout, breakout)},
        near_duplicates=((breakout, breakout),),
        cases=(replace(suite.cases[0], **texts),),
    )

    page = to_html(replace(regressed, project=breakout, summary=breakout, suites=(spoiled,)))
    tags = TagCollector()
    tags.feed(page)

    assert tags.names.count("script") == 1
    assert "title" not in {name for name, _ in tags.attributes}


def test_the_page_begins_with_the_reasons_for_the_verdict(regressed: Report) -> None:
    """Each rule behind the verdict has its own line, and each pass rate a mark between 0 and 100 %."""
    page = to_html(regressed)

    assert "<li><b>answers: regression right</b> 1 of 3 cases got worse, 1 better: down</li>" in page
    assert "must-pass right</b>" not in page  # it has no evidence, which is not why the run failed
    assert page.count('<span class="bar">') == sum(len(suite.pass_rates) for suite in regressed.suites)


def test_only_the_first_regressed_cases_are_unfolded(regressed: Report) -> None:
    """The page stays readable when everything fails."""
    [suite] = regressed.suites
    cases = (replace(suite.cases[0], id=f"c{number}") for number in range(50))

    page = to_html(with_cases(regressed, *cases))

    assert len(re.findall(r"<details [^>]* open>", page)) == 3


def test_answers_without_common_words_are_not_marked(regressed: Report) -> None:
    """Marking every word would show no difference."""
    [suite] = regressed.suites
    down = next(case for case in suite.cases if case.id == "down")
    other = replace(down, accepted_answer="A long and helpful answer", answer="referred")

    assert "<del>" not in to_html(with_cases(regressed, other))


def test_markdown_escapes_what_others_wrote(regressed: Report) -> None:
    """It becomes no mention, link, table cell or tag."""
    spoiled = replace(regressed, project=NASTY)

    first = to_markdown(spoiled).splitlines()[0]

    assert first.startswith("## ❌ Evaluation of &lt;script&gt;")
    assert "@" not in first
    assert re.search(r"(?<!\\)[\[\]|`]", first) is None


def test_junit_counts_failures(regressed: Report) -> None:
    """The failing rule and the regressed case fail; a case that failed before is no failure."""
    root = fromstring(to_junit(regressed))  # noqa: S314  our own
    [suite] = root.findall("testsuite")
    failed = [test.get("name") for test in suite.findall("testcase") if test.find("failure") is not None]
    output = {test.get("name"): test.findtext("system-out") for test in suite.findall("testcase")}

    assert failed == ["regression right", "down"]
    assert (suite.get("failures"), suite.get("errors")) == ("2", "1")
    assert int(suite.get("tests") or 0) == len(suite.findall("testcase"))
    assert output["nasty"] == "Fails, as in the accepted run"


def test_the_report_command_renders_every_format_again(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From report.json alone."""
    write_evaluation(project)
    run_and_accept(project, "attacks")
    assert chassis("evals", "gate", "attacks") == 0
    folder = project / "var/evals"
    rendered = {name: (folder / name).read_text() for name in ("report.html", "report.md", "junit.xml")}
    for name in rendered:
        (folder / name).unlink()

    assert chassis("evals", "report") == 0

    assert {name: (folder / name).read_text() for name in rendered} == rendered
    assert "PASS. attacks: 1 of 1 rules hold" in capsys.readouterr().out
    for command in ("report", "gate"):
        assert chassis("evals", command, "--json", *(["attacks"] if command == "gate" else [])) == 0
        assert [suite["name"] for suite in json.loads(capsys.readouterr().out)["suites"]] == ["attacks"]


def test_without_a_run_there_is_no_report(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The error says what to run first."""
    write_evaluation(project)

    assert chassis("evals", "report") == 2

    assert "var/evals/report.json: there is no such file. Run `chassis evals run` first" in capsys.readouterr().err


def test_the_holdout_split_is_reported_in_total_only(project: Path) -> None:
    """Its cases count in the pass rate and are not listed."""
    write_evaluation(project)
    suites = project / "evals/suites.toml"
    suites.write_text(
        suites.read_text().replace('cases = ["start"]', 'cases = ["start"]\nsplits = ["gate", "holdout"]')
    )
    write_cases(project, case("seen", "seen"), {**case("hidden", "hidden"), "split": "holdout"})
    ask(project)

    [suite] = judge(project).suites

    assert [case.id for case in suite.cases] == ["seen"]
    assert suite.pass_rates[0].cases == 2


def test_a_suite_that_passes_everything_has_a_ceiling_effect(project: Path) -> None:
    """A pass rate of 100 % is a reason to look for harder cases."""
    write_evaluation(project)
    write_cases(project, *(case(f"c{number}", f"case {number}") for number in range(150)))
    ask(project)

    [suite] = judge(project).suites

    assert suite.has_ceiling_effect
    assert any(note.startswith("Ceiling effect: nearly every case passes") for note in notes(suite))


def test_power_says_what_the_cases_can_show(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From the team's own records; a smaller drop takes more cases."""
    write_evaluation(project)
    ask(project)

    assert chassis("evals", "power", "answers", "--drop", "3") == 0

    said = capsys.readouterr().out
    assert "right: 60 cases × 1 detect a drop of" in said
    assert "detecting 3 points in 80% of the runs takes" in said
    assert chassis("evals", "power", "answers", "--drop", "3", "--json") == 0
    [figures] = json.loads(capsys.readouterr().out)["evaluators"]
    assert (figures["evaluator"], figures["cases"], figures["repeats"]) == ("right", 60, 1)
    assert figures["detectable_points_by_power"].keys() == {"0.5", "0.8", "0.95"}


@pytest.mark.parametrize("drop", ["0", "-1", "nan", "inf", "100.5"])
def test_a_drop_that_no_run_can_have_is_refused(drop: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Instead of a number of cases that means nothing."""
    assert chassis("evals", "power", "answers", "--drop", drop) == 2
    assert f"--drop: it is {drop}. Write points above 0 and up to 100" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("smallest_drop", "result"),
    [(0.125, "detect a drop of 12.5 points with 80 % power"), (1.0, "are too few to detect any drop with 80 % power")],
)
def test_the_report_tells_the_detectable_drop(regressed: Report, smallest_drop: float, result: str) -> None:
    """Also when there is none: a drop of a hundred points is no useful promise."""
    effect = DetectableEffect(smallest_drop=smallest_drop, target_drop=0.05, cases_needed=2591)

    sentences = list(notes(replace(regressed.suites[0], kind="live", detectable_effect=effect)))

    assert f"In a live run these cases {result}; detecting 5 points takes 2591 cases" in sentences


def test_two_runs_can_be_compared(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Any two folders of records, with the cases that flipped."""
    write_evaluation(project)
    before, after = project / "one", project / "two"
    write_jsonl(before / "records.jsonl", make_records([[1.0]] * 10))
    write_jsonl(after / "records.jsonl", make_records([[0.0]] * 2 + [[1.0]] * 8))

    assert chassis("evals", "compare", str(before), str(after)) == 0

    said = " ".join(capsys.readouterr().out.split())
    assert "100.0% │ 80.0% │ -20.0" in said
    assert "2: c0, c1" in said
    assert "These evaluators have changed" not in said
    assert chassis("evals", "compare", str(before), str(after), "--json") == 0
    compared = json.loads(capsys.readouterr().out)
    right = compared["evaluators"]["right"]
    assert (right["before"], right["after"], round(right["change"], 6)) == (1.0, 0.8, -0.2)
    assert (right["worse"], compared["changed_evaluators"]) == (["c0", "c1"], [])
    assert compared["means"]["seconds"]["cases"] == 10


def test_what_cannot_be_compared_is_said(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty table would look like two runs that are alike; and a new ruler may be all that changed."""
    one, two, other = project / "one", project / "two", project / "other"
    write_jsonl(one / "records.jsonl", make_records([[1.0]] * 10))
    write_jsonl(two / "records.jsonl", make_records([[1.0]] * 10, evaluator_hash="new"))
    write_jsonl(other / "records.jsonl", make_records([[1.0]] * 10, case_hash="other"))

    assert chassis("evals", "compare", str(one), str(two)) == 0
    assert "These evaluators have changed, which alone may explain the difference: right" in capsys.readouterr().out
    assert chassis("evals", "compare", str(one), str(other)) == 2
    assert "they have no case with the same question" in capsys.readouterr().err
    assert chassis("evals", "compare", str(one), str(project)) == 2
    assert "there is no such file. Name the folder of a run, such as var/evals/answers" in capsys.readouterr().err
