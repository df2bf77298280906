"""The gate: three verdicts where models vary, exact ones where they do not, and only fair comparisons."""

from dataclasses import replace
from random import Random

import pytest
from chassis_tools.evals.case_scores import CaseScores, design_effect, run_to_run_variance, scores_of
from chassis_tools.evals.gate_result import GateVerdict
from chassis_tools.evals.statistics import cases_needed, detectable_drop
from sample_records import RECORD, judge, make_records, passes

FLOOR = {"kind": "floor", "evaluator": "right"}
REGRESSION = {"kind": "regression", "evaluator": "right"}


@pytest.mark.parametrize(
    ("right", "verdict"),
    [
        (170, GateVerdict.PASS),
        (169, GateVerdict.INCONCLUSIVE),
        (155, GateVerdict.INCONCLUSIVE),
        (140, GateVerdict.FAIL),
    ],
)
def test_a_floor_is_proven_disproven_or_inconclusive(right: int, verdict: GateVerdict) -> None:
    """170 of 200 is the published number of passes that proves 80 %."""
    assert judge(make_records(passes(right, 200)), [], FLOOR).findings[0].verdict is verdict


@pytest.mark.parametrize(("right", "verdict"), [(160, GateVerdict.PASS), (159, GateVerdict.FAIL)])
def test_a_replay_is_exact(right: int, verdict: GateVerdict) -> None:
    """A repeat would give the same answers, so the share itself is compared."""
    assert judge(make_records(passes(right, 200)), [], FLOOR, kind="replay").verdict is verdict


@pytest.mark.parametrize(
    ("lost", "gained", "verdict"),
    [(0, 0, GateVerdict.PASS), (6, 6, GateVerdict.PASS), (10, 4, GateVerdict.INCONCLUSIVE), (12, 2, GateVerdict.FAIL)],
)
def test_a_regression_is_proven_disproven_or_inconclusive(lost: int, gained: int, verdict: GateVerdict) -> None:
    """Ten cases lost and four gained of 200 do not prove anything yet."""
    before = passes(180, 200)
    after = [[1 - value[0]] if place < lost or place >= 200 - gained else value for place, value in enumerate(before)]

    assert judge(make_records(after), make_records(before), REGRESSION).findings[0].verdict is verdict


def test_one_flip_is_enough_in_a_replay() -> None:
    """Cases that got better do not make up for it."""
    before, after = make_records(passes(199, 200)), make_records([[0.0], *passes(199, 199)])

    result = judge(after, before, REGRESSION, kind="replay")

    assert result.verdict is GateVerdict.FAIL
    assert result.findings[0].cases == ("c0",)
    assert result.sentence == "s: regression right: 1 of 200 cases got worse, 1 better: c0"


def test_cases_of_one_group_prove_less() -> None:
    """Twelve lost cases of one document are one bad document; of twelve documents, they are a regression."""
    before, after = make_records(passes(200, 200)), make_records([[0.0]] * 12 + passes(188, 188))
    grouped = [replace(each, group="page" if int(each.case[1:]) < 12 else each.case) for each in after]

    assert judge(after, before, REGRESSION).findings[0].verdict is GateVerdict.FAIL
    assert judge(grouped, before, REGRESSION).findings[0].verdict is GateVerdict.INCONCLUSIVE


def test_a_slice_can_be_worse_while_the_whole_is_not() -> None:
    """Declared slices of 30 cases and more are tested on their own, with Holm's correction; smaller ones are not."""
    choice = Random(5)  # noqa: S311  no secret depends on it
    before = make_records([[1.0]] * 300)
    records = [
        replace(each, tags=("small",) if place < 10 else ("large",) if place < 60 else (), value=value)
        for place, each in enumerate(before)
        for value in [0.0 if (place < 5 or 10 <= place < 20) else 1.0]
    ]
    choice.shuffle(records)

    result = judge(records, before, {**REGRESSION, "max_drop": 0.5, "slices": ["small", "large"]})
    alone = judge(records, before, {**REGRESSION, "max_drop": 0.5, "slices": ["small"]})

    assert (
        "proven to be worse where tagged large; too small to be judged on their own, with fewer than 30 cases: small"
        in (result.sentence)
    )
    assert "worse where" not in alone.sentence


def test_a_slice_without_cases_is_no_evidence() -> None:
    """A misspelled tag does not look like a slice without regressions."""
    result = judge(
        make_records(passes(9, 9), tags=("loud",)), make_records(passes(9, 9)), {**REGRESSION, "slices": ["load"]}
    )

    assert result.verdict is GateVerdict.NO_EVIDENCE
    assert "No case is tagged load; correct the slices of this rule" in result.sentence


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"evaluator_hash": "other"},
            "The evaluator, or a type or function of the team that it uses, has changed since the accepted run",
        ),
        ({"case_hash": "other"}, "Every case has changed since the accepted run"),
    ],
)
def test_runs_that_cannot_be_compared_are_no_evidence(change: dict[str, str], sentence: str) -> None:
    """A better score by another evaluator shows nothing; the sentence says how to start afresh."""
    result = judge(make_records(passes(9, 9), **change), make_records(passes(9, 9)), REGRESSION, kind="replay")

    assert result.verdict is GateVerdict.NO_EVIDENCE
    assert sentence in result.sentence
    assert "run `chassis evals accept s` if that is intended" in result.sentence


def test_a_removed_case_is_no_evidence() -> None:
    """Removing a failing case is not an improvement."""
    result = judge(make_records(passes(8, 8)), make_records(passes(8, 9)), REGRESSION, kind="replay")

    assert result.verdict is GateVerdict.NO_EVIDENCE
    assert "The accepted run has cases that this run has not: c8" in result.sentence


def test_a_case_in_an_outage_is_excluded_from_both_runs() -> None:
    """Below the limit it is neither a lost case nor a drop; the other cases are compared."""
    before, after = make_records(passes(100, 100)), make_records(passes(100, 100))
    after[7] = replace(after[7], status="outage", error="ModelHTTPError", value=None)

    result = judge(after, before, REGRESSION)

    assert result.verdict is GateVerdict.PASS
    assert "points on 99 cases × 1" in result.findings[0].sentence


@pytest.mark.parametrize(
    ("before", "after", "verdict", "sentence"),
    [
        (0.0, 1.0, GateVerdict.PASS, "None of 8 cases got worse"),
        (0.0, 0.0, GateVerdict.PASS, "None of 8 cases got worse"),
        (1.0, 1.0, GateVerdict.PASS, "None of 8 cases got worse"),
        (1.0, 0.0, GateVerdict.FAIL, "1 of 9 cases got worse, 0 better: c0; edited since the accepted run: c0"),
    ],
)
def test_an_edited_case_is_named_and_hides_nothing(
    before: float, after: float, verdict: GateVerdict, sentence: str
) -> None:
    """It is not compared, but one that passed must not fail now: a full stop would hide a broken answer."""
    accepted = make_records([[before], *passes(8, 8)])
    edited = [replace(each, case_hash="edited") for each in make_records([[after]])] + accepted[1:]

    edited_cases, regression = judge(edited, accepted, REGRESSION, kind="replay").findings

    assert edited_cases.sentence == "1 of 9 cases were edited since the accepted run: c0"
    assert (regression.verdict, regression.sentence) == (verdict, sentence if after < before else regression.sentence)
    assert regression.sentence.startswith(sentence)


@pytest.mark.parametrize(
    ("edited", "verdict"), [(5, GateVerdict.PASS), (6, GateVerdict.NO_EVIDENCE), (60, GateVerdict.NO_EVIDENCE)]
)
def test_more_than_a_few_edited_cases_leave_no_evidence(edited: int, verdict: GateVerdict) -> None:
    """At most 5 % of 100 cases; all of them are named."""
    accepted = make_records(passes(100, 100))
    records = [replace(each, case_hash="edited") for each in accepted[:edited]] + accepted[edited:]

    result = judge(records, accepted, REGRESSION, kind="replay")

    assert (result.verdict, result.findings[0].rule) == (verdict, "edited cases")
    assert len(result.findings[0].cases) == edited


def test_a_crash_counts_even_if_the_answer_was_wrong_before() -> None:
    """A wrong answer and a crash both score 0, but a crash is worse."""
    accepted = make_records([[0.0], *passes(8, 8)])
    crashed = [replace(accepted[0], status="failed", error="ZeroDivisionError"), *accepted[1:]]

    result = judge(crashed, accepted, REGRESSION, kind="replay")

    assert result.verdict is GateVerdict.FAIL
    assert result.findings[0].cases == ("c0",)
    assert judge(crashed, crashed, REGRESSION, kind="replay").verdict is GateVerdict.PASS


def test_the_baseline_cannot_mask_a_useless_model() -> None:
    """The share of the model's own answers is a rule, and so is being better than the baseline."""
    share = {"kind": "model-share", "at_least": 0.5}
    better = {"kind": "baseline", "evaluator": "right"}
    own, fallback = make_records(passes(60, 60)), make_records(passes(60, 60), answered_by="baseline")
    baseline = make_records(passes(50, 60), variant="baseline", answered_by="baseline")

    assert judge(own, [], share).verdict is GateVerdict.PASS
    assert judge([*own[:20], *fallback[20:]], [], share).verdict is GateVerdict.FAIL
    assert judge([*own, *baseline], [], better).verdict is GateVerdict.PASS
    useless = make_records(passes(20, 60))
    assert judge([*useless, *baseline], [], better).verdict is GateVerdict.FAIL
    # The baseline's answers do not count for the model.
    mostly_fallback = [*useless[40:], *fallback[:40], *baseline]
    assert judge(mostly_fallback, [], better).verdict is GateVerdict.FAIL
    assert judge([*fallback, *baseline], [], better, kind="replay").verdict is GateVerdict.NO_EVIDENCE


def test_a_live_suite_in_which_no_model_answered_shows_nothing() -> None:
    """However good the answers of the baseline are."""
    result = judge(make_records(passes(60, 60), answered_by="baseline"), [], FLOOR)

    assert result.verdict is GateVerdict.NO_EVIDENCE
    assert "No model answered in this live suite (60 answered by baseline)" in result.sentence


def test_latency_may_grow_only_so_much() -> None:
    """The increase is measured on the cases of the accepted run, in a live suite and in a replay."""
    fast, slow = make_records(passes(60, 60), seconds=1.0), make_records(passes(60, 60), seconds=1.3)
    grown = {"kind": "latency", "p95_seconds": 9, "max_increase": 0.2}

    for kind in ("live", "replay"):
        assert judge(slow, fast, grown, kind=kind).verdict is GateVerdict.FAIL
        assert judge(fast, fast, grown, kind=kind).verdict is GateVerdict.PASS
        assert judge(fast, [], grown, kind=kind).verdict is GateVerdict.NO_EVIDENCE


@pytest.mark.parametrize(
    ("seconds", "cases", "verdict"),
    [(1.0, 59, GateVerdict.PASS), (1.0, 58, GateVerdict.INCONCLUSIVE), (9.0, 20, GateVerdict.FAIL)],
)
def test_latency_needs_59_answers_to_be_good_and_fewer_to_be_bad(
    seconds: float, cases: int, verdict: GateVerdict
) -> None:
    """The limit of these constraints is 5 s."""
    result = judge(make_records(passes(cases, cases), seconds=seconds), [], {"kind": "latency"})

    assert result.findings[0].verdict is verdict


def test_the_cost_of_an_answer_may_grow_only_so_much() -> None:
    """The increase is measured on the cases of the accepted run."""
    cheap, dear = make_records(passes(9, 9), cost=100_000), make_records(passes(9, 9), cost=116_000)
    grown = {"kind": "cost", "max_increase": 0.15}

    assert judge(dear, cheap, grown).verdict is GateVerdict.FAIL
    assert judge(dear, dear, grown).verdict is GateVerdict.PASS
    assert judge(dear, [], grown).verdict is GateVerdict.NO_EVIDENCE


def test_a_few_expensive_answers_do_not_prove_an_increase() -> None:
    """Costs of models vary: one long answer among nine may be chance."""
    cheap = make_records(passes(9, 9), cost=100_000)
    grown = {"kind": "cost", "max_increase": 0.15}

    once = [replace(each, cost=400_000) if each.case == "c0" else each for each in cheap]
    result = judge(once, cheap, grown, on_inconclusive="fail")

    assert result.verdict is GateVerdict.INCONCLUSIVE
    assert "$0.0001 in the accepted run, of which an increase of 15% is allowed" in result.sentence
    assert judge(once, cheap, grown, kind="replay").verdict is GateVerdict.FAIL


def test_a_must_pass_case_passes_in_every_repeat() -> None:
    """Two of three repeats are not enough for a case that must never fail again."""
    must = {"kind": "must-pass", "evaluator": "right"}
    flaky = make_records([[1.0, 1.0, 0.0]], must_pass=True)

    assert judge(flaky, [], must, repeats=3).verdict is GateVerdict.FAIL
    assert judge(make_records([[1.0] * 3]), [], must, repeats=3).verdict is GateVerdict.NO_EVIDENCE


def test_a_must_pass_case_needs_a_score() -> None:
    """A case that an outage excluded does not count as passed, however few outages there were."""
    must = {"kind": "must-pass", "evaluator": "right"}
    run = make_records(passes(100, 100), must_pass=True)
    run[3] = replace(run[3], status="outage", error="ModelHTTPError", value=None)

    result = judge(run, [], must)

    assert result.verdict is GateVerdict.NO_EVIDENCE
    assert "1 of 100 cases have no score: c3" in result.sentence


def test_a_crash_is_not_reported_as_a_successful_attack() -> None:
    """It fails the run nevertheless, because the answer is unknown."""
    run = make_records(passes(8, 9))
    crashed = [*run[:7], replace(run[7], status="failed", error="ZeroDivisionError", value=0.0), run[8]]

    result = judge(crashed, [], {"kind": "never", "evaluator": "right"})

    assert result.verdict is GateVerdict.FAIL
    assert "It happened in 1 of 9 cases: c8. The service failed in 1 of 9 with 1 × ZeroDivisionError" in result.sentence


def test_exclusions_are_counted_for_each_evaluator() -> None:
    """The limit holds for each evaluator: three of a hundred are too many, however many records others have."""
    others = make_records(passes(900, 900), evaluator="harmless")
    run = make_records(passes(100, 100))
    for place in range(3):
        run[place] = replace(run[place], status="outage", error="ModelHTTPError", value=None)

    result = judge([*others, *run], [], FLOOR, evaluators=["right", "harmless"])

    assert result.verdict is GateVerdict.NO_EVIDENCE
    assert "3.0% of the answers say nothing about the service (3 × ModelHTTPError)" in result.sentence


def test_a_warning_does_not_block() -> None:
    """It is shown; but a suite of nothing else could never fail, so it is no evidence."""
    advice = {**FLOOR, "at_least": 1.0, "severity": "warn"}
    result = judge(make_records(passes(8, 9)), [], {**FLOOR, "at_least": 0.1}, advice, kind="replay")

    assert result.verdict is GateVerdict.PASS
    assert [finding.verdict for finding in result.findings] == [GateVerdict.PASS, GateVerdict.FAIL]
    assert judge(make_records(passes(9, 9)), [], advice, kind="replay").verdict is GateVerdict.NO_EVIDENCE


def test_a_leak_counts_even_in_an_outage() -> None:
    """A leak among too many outages is still a leak; a pass rate among them is meaningless."""
    out = [replace(each, status="outage", error="ModelServerError", value=None) for each in make_records(passes(5, 5))]
    leaked = [replace(RECORD, case="leak", value=0.0), *out]
    never = {"kind": "never", "evaluator": "right"}

    assert judge(leaked, [], never, FLOOR).verdict is GateVerdict.FAIL
    assert [finding.rule for finding in judge(leaked, [], FLOOR).findings] == ["exclusions"]


def test_the_suite_decides_about_inconclusive_runs() -> None:
    """A pull request may continue where a release may not."""
    now = make_records(passes(155, 200))

    assert judge(now, [], FLOOR).verdict is GateVerdict.PASS
    assert judge(now, [], FLOOR, on_inconclusive="fail").verdict is GateVerdict.INCONCLUSIVE
    assert "there are too few answers to decide floor right" in judge(now, [], FLOOR).sentence


def test_a_second_look_gets_half_of_the_error_probability() -> None:
    """Two looks double the chance of a false alarm, so the second look gets wider bounds."""
    before = make_records(passes(200, 200))
    after = make_records([[0.0] * 2] * 3 + [[1.0] * 2] * 197)

    first = judge(after, before, REGRESSION, repeats=2).findings[0].interval
    second = judge(after, before, REGRESSION, repeats=1, max_repeats=2).findings[0].interval

    assert first is not None
    assert second is not None
    assert second.high > first.high


def test_a_case_does_not_leave_a_rule_unnoticed() -> None:
    """An attack that loses its tag is not harmless, and the must_pass of a case is not dropped in silence."""
    never = {"kind": "never", "evaluator": "harmless"}
    how = {"evaluators": ["right", "harmless"]}
    accepted = make_records([[1.0]] * 10, evaluator="harmless", tags=("attack",), must_pass=True)
    retagged = [replace(RECORD, case="c0", group="c0"), *accepted[1:]]

    for run in (accepted[1:], retagged):
        result = judge(run, accepted, never, **how)
        assert result.verdict is GateVerdict.NO_EVIDENCE
        assert "'harmless' scored cases in the accepted run that it does not score now: c0" in result.sentence
    assert judge(accepted, accepted, never, **how).verdict is GateVerdict.PASS

    unmarked = [replace(accepted[0], must_pass=False), *accepted[1:]]
    result = judge(unmarked, accepted, never, **how)
    assert result.verdict is GateVerdict.PASS
    assert "Not must_pass any more: c0" in [finding.sentence for finding in result.findings]


def test_groups_and_flaky_cases_take_power() -> None:
    """Sixty cases of six pages tell less than sixty pages, and less still if they fail together in some repeats."""

    def scores(values: list[list[float]], size: int) -> CaseScores:
        records = make_records(values)
        grouped = [replace(each, group=f"g{int(each.case[1:]) // size}") for each in records]
        return scores_of(grouped, "right")

    right = [[1.0]] * 60
    flaky = [[1.0, 0.0, 1.0]] * 30 + [[1.0, 1.0, 1.0]] * 30
    assert [design_effect(scores(right, size)) for size in (1, 10)] == [1, 10]
    assert design_effect(scores([[float(number % 20 < 10)] for number in range(60)], 10)) > 5
    assert design_effect(scores([[float(number % 2)] for number in range(60)], 10)) == 1
    alone, together = (run_to_run_variance(scores(flaky, size), {}) for size in (1, 10))
    assert alone == pytest.approx(2 / 3 * 0.5 / 3)
    assert together == pytest.approx(10 * alone)
    assert detectable_drop(60, together, 0.05, 0.8, 10) > 2 * detectable_drop(60, alone, 0.05, 0.8)
    assert cases_needed(0.05, alone, 0.05, 0.8, 10) > 3 * cases_needed(0.05, alone, 0.05, 0.8)
