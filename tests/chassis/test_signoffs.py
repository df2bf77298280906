"""Sign-offs: which facts each covers, which changes make it stale, and what a stale one blocks."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from chassis.config.constraints import VENDOR_URLS, Constraints
from chassis.testing import CONSTRAINTS, constraints_for_tests
from chassis_tools.governance.signoff_kinds import SIGNOFF_KINDS, egress_hosts, facts_sha256
from chassis_tools.governance.signoffs import (
    BLOCKS_CHANGE,
    BLOCKS_RELEASE,
    Condition,
    SignOff,
    SignOffState,
    load_signoffs,
    save_signoff,
    signoff_statuses,
)
from cli_runner import run
from ownership_file import OWNERSHIP, write

TODAY = date(2030, 1, 1)
MODELS: list[dict[str, Any]] = CONSTRAINTS["models"]
VENDOR: dict[str, Any] = CONSTRAINTS["destinations"]["vendor"]
SELF_HOSTED = MODELS[0] | {"provider": "openai-compatible", "base_url": "https://gpu.example.com/v1"}

CHANGES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "a model": ({"models": [*MODELS, MODELS[0] | {"name": "third", "model": "third"}]}, {"procurement", "legal"}),
    "a data class": ({"destinations": {"vendor": VENDOR | {"classes": ["internal", "personal"]}}}, {"privacy"}),
    "what callers send": (
        {"data": {"class": "public"}, "destinations": {"vendor": VENDOR | {"classes": ["internal", "public"]}}},
        {"privacy", "legal"},
    ),
    "a tool": ({"tools": {"look": {"destination": "vendor", "side_effects": False}}}, {"security", "privacy", "risk"}),
    "a tool with side effects": (
        {"tools": {"pay": {"destination": "vendor", "side_effects": True}}},
        {"security", "privacy", "risk"},
    ),
    "the tier": ({"risk": {"tier": "critical"}}, {"legal", "risk"}),
    "the budget": ({"cost": {"per_month_usd": 2000}}, {"procurement"}),
    "a region": ({"destinations": {"vendor": VENDOR | {"region": "eu"}}}, {"privacy"}),
    "how long answers are kept": ({"retention": {"calls_days": 8}}, {"privacy"}),
    "how long feedback is kept": ({"retention": {"feedback_days": 30}}, {"privacy"}),
    "how long referrals are kept": ({"retention": {"referrals_days": 30}}, {"privacy"}),
    "how long the audit trail is kept": ({"retention": {"audit_days": 30}}, {"privacy"}),
    "how long replies are kept": ({"cache": {"ttl_seconds": 60}}, {"privacy"}),
    "the fallback in an outage": ({"fallback": {"models_failed": "error"}}, {"risk"}),
    "the deadline": ({"latency": {"deadline_seconds": 6}}, set()),
    "the review of success": ({"success": {"review_on": "2031-01-01"}}, set()),
}
"""Changes of the constraints, each with the sign-offs that it makes stale."""


def signed(kind: str, constraints: Constraints, **changes: Any) -> SignOff:
    """Return an approval of these constraints."""
    facts = SIGNOFF_KINDS[kind].covers(constraints)
    fields = {"decision": "approved", "approver": "Ada Lovelace", "team": "ai", "decided_on": TODAY - timedelta(1)}
    bound = {"expires_on": TODAY + timedelta(30), "covers": facts, "covers_sha256": facts_sha256(facts)}
    return SignOff.model_validate(fields | bound | changes)


def stale(before: Constraints, after: Constraints) -> dict[str, set[str]]:
    """Return the sign-offs of `before` that `after` makes stale, each with the facts that were added or removed."""
    statuses = signoff_statuses(after, {kind: signed(kind, before) for kind in SIGNOFF_KINDS}, TODAY)
    return {
        kind: set(status.added | status.removed)
        for kind, status in statuses.items()
        if status.state is SignOffState.STALE
    }


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_affects_only_the_signoffs_that_cover_it(change: str) -> None:
    """Each sign-off that covers the change is stale and names the changed facts; every other one stays valid."""
    changes, expected = CHANGES[change]

    changed_facts = stale(constraints_for_tests(), constraints_for_tests(**changes))

    assert set(changed_facts) == expected
    assert all(changed_facts.values())


FINGERPRINTS = {
    "security": "f60f9b1750835788f3729d712336303d4330a9d9211822b8a532e640413777a6",
    "privacy": "edea114563b85b5c3fb108a16854d952e0d82c210116c9d7fe9ead03e7bbd1e5",
    "legal": "34f10ab2fce7fae38fb1d7aba5fec5b719a4dba7efff28d1828615033339eaf2",
    "procurement": "1d6ea7d6c7fca3b5bfd7227d986f2a236baaa5ef73942aeedd087f55c3c5285c",
    "risk": "5c3651809e84ab778daee71898234133b3d854143f3e1dff2595a462979a9395",
}
"""By kind, `facts_sha256` of the test constraints with one more tool and host."""


def test_fingerprints_are_stable() -> None:
    """The same constraints have the same fingerprints in every release; otherwise an update would void sign-offs."""
    tool = {"destination": "vendor", "side_effects": True, "hosts": ["x.example"]}
    constraints = constraints_for_tests(models=[SELF_HOSTED, *MODELS[1:]], tools={"look": tool})

    assert {name: facts_sha256(kind.covers(constraints)) for name, kind in SIGNOFF_KINDS.items()} == FINGERPRINTS


def test_an_egress_host_affects_the_security_signoff() -> None:
    """One more host for a tool, or another address of a model, concerns security alone."""
    tool = {"destination": "vendor", "side_effects": False}
    before = constraints_for_tests(tools={"look": tool}, models=[SELF_HOSTED])
    more = constraints_for_tests(tools={"look": tool | {"hosts": ["x.example"]}}, models=[SELF_HOSTED])
    moved = constraints_for_tests(
        tools={"look": tool}, models=[SELF_HOSTED | {"base_url": "https://elsewhere.example.com/v1"}]
    )

    assert stale(before, more) == {"security": {"hosts: x.example"}}
    assert stale(before, moved) == {"security": {"hosts: gpu.example.com", "hosts: elsewhere.example.com"}}


def test_egress_hosts_are_the_addresses_of_the_vendors() -> None:
    """The request for a sign-off lists the hosts that requests are really sent to."""
    for provider, address in VENDOR_URLS.items():
        bought = constraints_for_tests(models=[MODELS[0] | {"provider": provider}])
        assert egress_hosts(bought) == {address.split("/")[2]}
    assert egress_hosts(constraints_for_tests()) == {"api.openai.com"}


@pytest.mark.parametrize(
    ("changes", "required"),
    [
        ({"risk": {"tier": "experiment"}}, set[str]()),
        ({}, {"security", "procurement"}),
        ({"models": [SELF_HOSTED]}, {"security"}),
        (
            {"data": {"class": "personal"}, "destinations": {"vendor": VENDOR | {"classes": ["personal"]}}},
            {"security", "procurement", "privacy", "legal"},
        ),
        ({"tools": {"pay": {"destination": "vendor", "side_effects": True}}}, {"security", "procurement", "risk"}),
        ({"risk": {"tier": "critical"}}, {"security", "procurement", "legal", "risk"}),
    ],
)
def test_the_constraints_determine_what_is_required(changes: dict[str, Any], required: set[str]) -> None:
    """Tier, data class, destinations and tools decide, and the status gives the reason."""
    statuses = signoff_statuses(constraints_for_tests(**changes), {}, TODAY).values()
    missing = [status for status in statuses if status.state is SignOffState.MISSING]

    assert {status.kind for status in missing} == required
    assert all(status.reason.startswith("required because ") for status in missing)


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, SignOffState.VALID),
        ({"expires_on": TODAY}, SignOffState.EXPIRED),
        ({"decision": "rejected", "reason": "Keys in the log"}, SignOffState.REJECTED),
        ({"decision": "not_required", "reason": "Only our team uses it"}, SignOffState.VALID),
    ],
)
def test_state_of_a_decision(changes: dict[str, Any], state: SignOffState) -> None:
    """An approval expires on its date, a rejection does not count, and `not_required` counts like an approval."""
    constraints = constraints_for_tests()

    statuses = signoff_statuses(constraints, {"security": signed("security", constraints, **changes)}, TODAY)

    assert statuses["security"].state is state


@pytest.mark.parametrize(("done", "state"), [(False, SignOffState.OVERDUE), (True, SignOffState.VALID)])
def test_a_condition_has_a_due_date(*, done: bool, state: SignOffState) -> None:
    """A conditional approval stops counting if a condition is not met in time."""
    constraints = constraints_for_tests()
    condition = Condition(text="Rotate the keys", due_on=TODAY, done=done)
    signoff = signed("security", constraints, decision="approved_with_conditions", conditions=(condition,))

    assert signoff_statuses(constraints, {"security": signoff}, TODAY)["security"].state is state


def test_dates_block_releases_but_not_changes() -> None:
    """A change is blocked only by a sign-off that it makes stale itself."""
    assert {SignOffState.STALE} == BLOCKS_CHANGE
    assert set(SignOffState) - {SignOffState.VALID, SignOffState.OPTIONAL} == BLOCKS_RELEASE


def test_a_signoff_survives_its_file(tmp_path: Path) -> None:
    """Quotes, umlauts and conditions are read as they were written."""
    condition = Condition(text='Say "no" — später', due_on=TODAY)
    signoff = signed("risk", constraints_for_tests(), decision="approved_with_conditions", conditions=(condition,))

    save_signoff(tmp_path, "risk", signoff)

    assert load_signoffs(tmp_path) == {"risk": signoff}


@pytest.fixture
def sample(project: Path) -> Path:
    """Return the sample project with two teams and a tier that requires a security sign-off."""
    return write(project, OWNERSHIP)


def record(*options: str, kind: str = "security") -> int:
    """Record an approval."""
    return run("signoffs", "record", kind, "--approver", "Ada Lovelace", "--decision", "approved", *options)


def change(project: Path, edit: Callable[[str], str]) -> None:
    """Edit the constraints."""
    file = project / "constraints.toml"
    file.write_text(edit(file.read_text()))


def test_the_life_of_a_signoff(sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Missing, it blocks a release only; recorded, nothing; after a change it is stale until it is recorded again."""
    assert run("signoffs", "check") == 0
    assert run("signoffs", "check", "--release") == 1
    assert "? security     missing      required because the tier is standard" in capsys.readouterr().err

    assert record() == 0
    assert run("signoffs", "check", "--release") == 0

    change(sample, lambda text: text.replace('refuse = ["card"]', 'refuse = ["card", "iban"]'))
    assert run("signoffs", "check") == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[-2:] == [
        "    + refuse: iban",
        "To request one again: `uv run chassis signoffs request security`",
    ]
    assert re.search(r"stale +the facts have changed since Ada Lovelace signed on ", lines[0])

    assert record() == 0
    assert run("signoffs", "check") == 0


def test_an_expired_signoff_blocks_only_a_release(sample: Path) -> None:
    """A date that has passed blocks the release but not a pull request."""
    assert record() == 0
    file = sample / "signoffs/security.toml"
    text = re.sub(r"decided_on = \S+", "decided_on = 2020-01-01", file.read_text())
    file.write_text(re.sub(r"expires_on = \S+", "expires_on = 2021-01-01", text))

    assert run("signoffs", "check") == 0
    assert run("signoffs", "check", "--release") == 1


def test_the_request(sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It contains the question, who decides, the facts and their changes, and the command that records the decision."""
    assert record() == 0
    change(sample, lambda text: text.replace('refuse = ["card"]', "refuse = []"))

    assert run("signoffs", "request", "security") == 0

    page = capsys.readouterr().out
    assert "# Security sign-off for sample" in page
    assert "| Decided by | @acme/ai (security) |" in page
    assert "- removed: `refuse: card`" in page
    assert "uv run chassis signoffs record security --approver" in page


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--expires", "2020-01-01"), "security.toml: expires_on is not after decided_on. Write a later date"),
        (("--expires", "soon"), "signoffs/security.toml: expires_on: the value is 'soon'"),
        (("--decision", "rejected"), "decision is 'rejected' but there is no reason. Give the reason in one sentence"),
        (("--decision", "maybe"), "signoffs/security.toml: decision: the value is 'maybe'"),
        (("--condition", "soon rotate keys"), "--condition: 'soon rotate keys' does not begin with a date"),
        (("--condition", "2030-01-01 rotate keys"), "'approved_with_conditions' and conditions go together"),
    ],
)
def test_an_invalid_decision_is_refused(
    sample: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], sentence: str
) -> None:
    """Nothing is written, and the message says what to write instead."""
    assert record(*options) == 2

    assert sentence in capsys.readouterr().err
    assert not (sample / "signoffs").exists()


def test_facts_edited_by_hand_are_refused(sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Otherwise a sign-off could cover facts that its approver has never seen."""
    assert record() == 0
    file = sample / "signoffs/security.toml"
    file.write_text(file.read_text().replace('"refuse: card"', '"refuse: iban"'))

    assert run("signoffs", "check") == 2

    assert "covers_sha256 does not match covers. Record the decision again" in capsys.readouterr().err


def test_an_unknown_kind(sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The message lists the kinds."""
    assert run("signoffs", "request", "safety") == 2

    assert "there is no kind 'safety'. Use one of: security, privacy, legal" in capsys.readouterr().err
    assert not (sample / "signoffs").exists()
