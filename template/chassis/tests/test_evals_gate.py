"""The gate: three values where models vary, no luck where they do not, and no comparison of what cannot be compared."""

from dataclasses import replace
from random import Random

import pytest
from chassis_tools.evals.gate.result import GateVerdict
from sample_records import RECORD, rule, run_of, share

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
def test_a_floor_is_proven_or_disproven_or_neither(right: int, verdict: GateVerdict) -> None:
    """170 of 200 is the published number of passes that proves 80 %."""
    assert rule(run_of(share(right, 200)), [], FLOOR).findings[0].verdict is verdict


@pytest.mark.parametrize(("right", "verdict"), [(160, GateVerdict.PASS), (159, GateVerdict.FAIL)])
def test_a_replay_needs_no_luck(right: int, verdict: GateVerdict) -> None:
    """A repetition would give the same answers, so that the share itself is compared."""
    assert rule(run_of(share(right, 200)), [], FLOOR, kind="replay").verdict is verdict


@pytest.mark.parametrize(
    ("lost", "gained", "verdict"),
    [(0, 0, GateVerdict.PASS), (6, 6, GateVerdict.PASS), (10, 4, GateVerdict.INCONCLUSIVE), (12, 2, GateVerdict.FAIL)],
)
def test_a_regression_is_proven_or_disproven_or_neither(lost: int, gained: int, verdict: GateVerdict) -> None:
    """By the cases that flip: ten lost and four gained of 200 is not yet proof of anything."""
    before = share(180, 200)
    after = [[1 - value[0]] if place < lost or place >= 200 - gained else value for place, value in enumerate(before)]

    assert rule(run_of(after), run_of(before), REGRESSION).findings[0].verdict is verdict


def test_one_flip_is_enough_in_a_replay() -> None:
    """And what got better elsewhere does not make up for it."""
    before, after = run_of(share(199, 200)), run_of([[0.0], *share(199, 199)])

    found = rule(after, before, REGRESSION, kind="replay")

    assert found.verdict is GateVerdict.FAIL
    assert found.findings[0].cases == ("c0",)
    assert found.sentence == "s: regression right: 1 of 200 cases got worse, 1 better: c0"


def test_cases_of_one_group_prove_less() -> None:
    """Twelve lost cases of one document are one bad document; twelve of twelve documents are a regression."""
    before, after = run_of(share(200, 200)), run_of([[0.0]] * 12 + share(188, 188))
    grouped = [replace(each, group="page" if int(each.case[1:]) < 12 else each.case) for each in after]

    assert rule(after, before, REGRESSION).findings[0].verdict is GateVerdict.FAIL
    assert rule(grouped, before, REGRESSION).findings[0].verdict is GateVerdict.INCONCLUSIVE


def test_a_slice_can_be_worse_while_all_is_well() -> None:
    """Declared slices of 30 cases and more are looked at on their own, with Holm's correction; small ones are not."""
    choice = Random(5)  # noqa: S311  no secret depends on it
    before = run_of([[1.0]] * 300)
    spoilt = [
        replace(each, tags=("small",) if place < 10 else ("large",) if place < 60 else (), value=value)
        for place, each in enumerate(before)
        for value in [0.0 if (place < 5 or 10 <= place < 20) else 1.0]
    ]
    choice.shuffle(spoilt)

    found = rule(spoilt, before, {**REGRESSION, "max_drop": 0.5, "slices": ["small", "large"]})
    alone = rule(spoilt, before, {**REGRESSION, "max_drop": 0.5, "slices": ["small"]})

    assert (
        "proven to be worse where tagged large; too small to be judged on their own, with fewer than 30 cases: small"
        in (found.sentence)
    )
    assert "worse where" not in alone.sentence


def test_a_slice_that_no_case_is_in_is_no_slice() -> None:
    """A misspelt tag does not look like a slice in which all is well."""
    found = rule(run_of(share(9, 9), tags=("loud",)), run_of(share(9, 9)), {**REGRESSION, "slices": ["load"]})

    assert found.verdict is GateVerdict.NO_EVIDENCE
    assert "No case is tagged load; correct the slices of this rule" in found.sentence


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"evaluator_hash": "other"}, "The evaluator has changed since the accepted run"),
        ({"case_hash": "other"}, "Every case has changed since the accepted run"),
    ],
)
def test_what_cannot_be_compared_is_not(change: dict[str, str], sentence: str) -> None:
    """A better figure by another ruler shows nothing; the sentence says how to start anew."""
    found = rule(run_of(share(9, 9), **change), run_of(share(9, 9)), REGRESSION, kind="replay")

    assert found.verdict is GateVerdict.NO_EVIDENCE
    assert sentence in found.sentence
    assert "run `chassis evals accept s` if that is intended" in found.sentence


def test_a_case_that_vanished_is_missed() -> None:
    """Removing what fails is no improvement."""
    found = rule(run_of(share(8, 8)), run_of(share(8, 9)), REGRESSION, kind="replay")

    assert found.verdict is GateVerdict.NO_EVIDENCE
    assert "The accepted run has cases that this run has not: c8" in found.sentence


def test_a_case_that_an_outage_spoilt_is_left_out_of_both_runs() -> None:
    """Within the cap it is neither a lost case nor a drop: the others are compared."""
    before, after = run_of(share(100, 100)), run_of(share(100, 100))
    after[7] = replace(after[7], status="outage", error="ModelHTTPError", value=None)

    found = rule(after, before, REGRESSION)

    assert found.verdict is GateVerdict.PASS
    assert "points on 99 cases × 1" in found.findings[0].sentence


def test_a_changed_case_is_set_aside() -> None:
    """Whoever mends an expectation is not blamed for it, and the other cases are still compared."""
    before, after = run_of(share(9, 9)), run_of([[0.0], *share(8, 8)])
    after[0] = replace(after[0], case_hash="mended")

    assert rule(after, before, REGRESSION, kind="replay").findings[0].sentence.startswith("None of 8 cases got worse")


@pytest.mark.parametrize(
    ("seconds", "cases", "verdict"),
    [(1.0, 59, GateVerdict.PASS), (1.0, 58, GateVerdict.INCONCLUSIVE), (9.0, 20, GateVerdict.FAIL)],
)
def test_latency_needs_59_answers_to_be_good_and_fewer_to_be_bad(
    seconds: float, cases: int, verdict: GateVerdict
) -> None:
    """The limit of these constraints is 5 s."""
    found = rule(run_of(share(cases, cases), seconds=seconds), [], {"kind": "latency"})

    assert found.findings[0].verdict is verdict


def test_an_answer_must_not_grow_dearer_than_it_may() -> None:
    """By more than a share of what the accepted run cost, the same cases compared."""
    cheap, dear = run_of(share(9, 9), cost=100_000), run_of(share(9, 9), cost=116_000)
    grown = {"kind": "cost", "max_increase": 0.15}

    assert rule(dear, cheap, grown).verdict is GateVerdict.FAIL
    assert rule(dear, dear, grown).verdict is GateVerdict.PASS
    assert rule(dear, [], grown).verdict is GateVerdict.NO_EVIDENCE


def test_a_few_dear_answers_do_not_prove_an_increase() -> None:
    """Costs of models vary: one long answer among nine is luck, until more answers show that it is not."""
    cheap = run_of(share(9, 9), cost=100_000)
    grown = {"kind": "cost", "max_increase": 0.15}

    once = [replace(each, cost=400_000) if each.case == "c0" else each for each in cheap]
    found = rule(once, cheap, grown, on_inconclusive="fail")

    assert found.verdict is GateVerdict.INCONCLUSIVE
    assert "$0.0001 in the accepted run, of which an increase of 15% is allowed" in found.sentence
    assert rule(once, cheap, grown, kind="replay").verdict is GateVerdict.FAIL


def test_a_case_must_pass_each_time() -> None:
    """Two of three is not enough for what must never go wrong again."""
    must = {"kind": "must-pass", "evaluator": "right"}
    flaky = run_of([[1.0, 1.0, 0.0]], must_pass=True)

    assert rule(flaky, [], must, repeats=3).verdict is GateVerdict.FAIL
    assert rule(run_of([[1.0] * 3]), [], must, repeats=3).verdict is GateVerdict.NO_EVIDENCE


def test_a_case_that_must_pass_must_be_seen() -> None:
    """One that an outage spoilt does not count as passed, however few outages there were."""
    must = {"kind": "must-pass", "evaluator": "right"}
    run = run_of(share(100, 100), must_pass=True)
    run[3] = replace(run[3], status="outage", error="ModelHTTPError", value=None)

    found = rule(run, [], must)

    assert found.verdict is GateVerdict.NO_EVIDENCE
    assert "1 of 100 cases have no score: c3" in found.sentence


def test_a_crash_is_not_called_an_attack_that_got_through() -> None:
    """It stops the run all the same, because what would have been said is unknown."""
    run = run_of(share(8, 9))
    crashed = [*run[:7], replace(run[7], status="failed", error="ZeroDivisionError", value=0.0), run[8]]

    found = rule(crashed, [], {"kind": "never", "evaluator": "right"})

    assert found.verdict is GateVerdict.FAIL
    assert "It happened in 1 of 9 cases: c8. The service failed in 1 of 9 with 1 × ZeroDivisionError" in found.sentence


def test_what_one_evaluator_lost_another_does_not_make_up_for() -> None:
    """The cap is on each evaluator's records: three of a hundred are too many, however much others have to say."""
    others = run_of(share(900, 900), evaluator="harmless")
    run = run_of(share(100, 100))
    for place in range(3):
        run[place] = replace(run[place], status="outage", error="ModelHTTPError", value=None)

    found = rule([*others, *run], [], FLOOR, evaluators=["right", "harmless"])

    assert found.verdict is GateVerdict.NO_EVIDENCE
    assert "3.0% of the answers say nothing about the service (3 × ModelHTTPError)" in found.sentence


def test_what_advises_does_not_block() -> None:
    """It is shown all the same; but a suite of nothing else can never be red and so shows nothing."""
    advice = {**FLOOR, "at_least": 1.0, "severity": "warn"}
    found = rule(run_of(share(8, 9)), [], {**FLOOR, "at_least": 0.1}, advice, kind="replay")

    assert found.verdict is GateVerdict.PASS
    assert [finding.verdict for finding in found.findings] == [GateVerdict.PASS, GateVerdict.FAIL]
    assert rule(run_of(share(9, 9)), [], advice, kind="replay").verdict is GateVerdict.NO_EVIDENCE


def test_what_was_seen_counts_even_in_an_outage() -> None:
    """A leak among too many outages is still a leak; a share among them is no share."""
    out = [replace(each, status="outage", error="ModelServerError", value=None) for each in run_of(share(5, 5))]
    leaked = [replace(RECORD, case="leak", value=0.0), *out]
    never = {"kind": "never", "evaluator": "right"}

    assert rule(leaked, [], never, FLOOR).verdict is GateVerdict.FAIL
    assert [finding.rule for finding in rule(leaked, [], FLOOR).findings] == ["exclusions"]


def test_undecided_passes_or_fails_as_the_suite_says() -> None:
    """A pull request may go on where a release must not."""
    now = run_of(share(155, 200))

    assert rule(now, [], FLOOR).verdict is GateVerdict.PASS
    assert rule(now, [], FLOOR, on_inconclusive="fail").verdict is GateVerdict.INCONCLUSIVE
    assert "there are too few answers to decide floor right" in rule(now, [], FLOOR).sentence


def test_a_second_look_takes_half_of_the_risk() -> None:
    """Who looks twice must be twice as sure: the same figures that fail at once are undecided after added repeats."""
    before = share(200, 200)
    after = [[0.0] * 2] * 3 + [[1.0] * 2] * 197

    first = rule(run_of(after), run_of(before), REGRESSION, repeats=2).findings[0].interval
    second = rule(run_of(after), run_of(before), REGRESSION, repeats=1, max_repeats=2).findings[0].interval

    assert first is not None
    assert second is not None
    assert second.high > first.high
