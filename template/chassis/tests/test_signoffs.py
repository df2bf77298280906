"""Sign-offs: what each covers, what voids it, and what a voided one stops."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from chassis_tools.governance.signoff import Condition, SignOff, load_signoffs, save
from chassis_tools.governance.signoff_kinds import KINDS, egress_hosts, fingerprint
from chassis_tools.governance.signoff_status import BLOCKS_CHANGE, BLOCKS_RELEASE, State, standings
from cli_runner import run
from ownership_file import OWNERSHIP, write

from chassis.config.constraints import VENDOR_URLS, Constraints
from chassis.testing import CONSTRAINTS, constraints_for_tests

TODAY = date(2030, 1, 1)
MODELS: list[dict[str, Any]] = CONSTRAINTS["models"]
VENDOR: dict[str, Any] = CONSTRAINTS["destinations"]["vendor"]
OWN = MODELS[0] | {"provider": "openai-compatible", "base_url": "https://gpu.example.com/v1"}

CHANGES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "a model": ({"models": [*MODELS, MODELS[0] | {"name": "third", "model": "third"}]}, {"procurement", "legal"}),
    "a data class": ({"destinations": {"vendor": VENDOR | {"classes": ["internal", "personal"]}}}, {"privacy"}),
    "what callers send": (
        {"data": {"class": "public"}, "destinations": {"vendor": VENDOR | {"classes": ["internal", "public"]}}},
        {"privacy", "legal"},
    ),
    "a tool": ({"tools": {"look": {"destination": "vendor", "side_effects": False}}}, {"security", "privacy", "risk"}),
    "a tool that acts": (
        {"tools": {"pay": {"destination": "vendor", "side_effects": True}}},
        {"security", "privacy", "risk"},
    ),
    "the tier": ({"risk": {"tier": "critical"}}, {"legal", "risk"}),
    "the budget": ({"cost": {"per_month_usd": 2000}}, {"procurement"}),
    "a region": ({"destinations": {"vendor": VENDOR | {"region": "eu"}}}, {"privacy"}),
    "the answer to an outage": ({"fallback": {"models_failed": "error"}}, {"risk"}),
    "the deadline": ({"latency": {"deadline_seconds": 6}}, set()),
    "the review of success": ({"success": {"review_on": "2031-01-01"}}, set()),
}
"""A change of the constraints, and the sign-offs that cover it: these and no others."""


def given(kind: str, constraints: Constraints, **changes: Any) -> SignOff:
    """Return a sign-off of these constraints."""
    facts = KINDS[kind].covers(constraints)
    fields = {"decision": "approved", "approver": "Ada Lovelace", "team": "ai", "decided_on": TODAY - timedelta(1)}
    bound = {"expires_on": TODAY + timedelta(30), "covers": facts, "covers_sha256": fingerprint(facts)}
    return SignOff.model_validate(fields | bound | changes)


def stale(before: Constraints, after: Constraints) -> dict[str, set[str]]:
    """Return the sign-offs of the one that the other voids, each with the facts that are new or gone."""
    signed = {kind: given(kind, before) for kind in KINDS}
    found = standings(after, signed, TODAY)
    return {each.kind: set(each.added | each.gone) for each in found if each.state is State.STALE}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_voids_exactly_what_covers_it(what: str) -> None:
    """Each sign-off that covers the change is void and says which lines changed; every other one stands."""
    changes, voided = CHANGES[what]

    found = stale(constraints_for_tests(), constraints_for_tests(**changes))

    assert set(found) == voided
    assert all(found.values())


SIGNED = {
    "security": "f60f9b1750835788f3729d712336303d4330a9d9211822b8a532e640413777a6",
    "privacy": "1f2de0137ded729434ed1967985d0355629546962e7404b8a53dac653588572b",
    "legal": "34f10ab2fce7fae38fb1d7aba5fec5b719a4dba7efff28d1828615033339eaf2",
    "procurement": "1d6ea7d6c7fca3b5bfd7227d986f2a236baaa5ef73942aeedd087f55c3c5285c",
    "risk": "ab11f746b23261137515b9320851f653d39cb45ab76b2ba971bb9e12f08ae652",
}
"""The fingerprints of the constraints of the tests, with a tool and a host."""


def test_an_update_voids_nothing() -> None:
    """The same constraints have the same fingerprints in each release; who changes one voids signatures everywhere."""
    tool = {"destination": "vendor", "side_effects": True, "hosts": ["x.example"]}
    constraints = constraints_for_tests(models=[OWN, *MODELS[1:]], tools={"look": tool})

    assert {name: fingerprint(kind.covers(constraints)) for name, kind in KINDS.items()} == SIGNED


def test_an_egress_host_voids_the_security_review() -> None:
    """A tool that reaches one more host, or a model at another address, is a matter of security alone."""
    tool = {"destination": "vendor", "side_effects": False}
    before = constraints_for_tests(tools={"look": tool}, models=[OWN])
    more = constraints_for_tests(tools={"look": tool | {"hosts": ["x.example"]}}, models=[OWN])
    moved = constraints_for_tests(tools={"look": tool}, models=[OWN | {"base_url": "https://elsewhere.example.com/v1"}])

    assert stale(before, more) == {"security": {"hosts: x.example"}}
    assert stale(before, moved) == {"security": {"hosts: gpu.example.com", "hosts: elsewhere.example.com"}}


def test_hosts_are_those_that_the_guard_reaches() -> None:
    """What a reviewer reads is where requests go."""
    for provider, address in VENDOR_URLS.items():
        bought = constraints_for_tests(models=[MODELS[0] | {"provider": provider}])
        assert egress_hosts(bought) == {address.split("/")[2]}
    assert egress_hosts(constraints_for_tests()) == {"api.openai.com"}


@pytest.mark.parametrize(
    ("changes", "needed"),
    [
        ({"risk": {"tier": "experiment"}}, set[str]()),
        ({}, {"security", "procurement"}),
        ({"models": [OWN]}, {"security"}),
        (
            {"data": {"class": "personal"}, "destinations": {"vendor": VENDOR | {"classes": ["personal"]}}},
            {"security", "procurement", "privacy", "legal"},
        ),
        ({"tools": {"pay": {"destination": "vendor", "side_effects": True}}}, {"security", "procurement", "risk"}),
        ({"risk": {"tier": "critical"}}, {"security", "procurement", "legal", "risk"}),
    ],
)
def test_what_is_needed_follows_from_the_constraints(changes: dict[str, Any], needed: set[str]) -> None:
    """Tier, data class, destinations and tools decide, and the reason is said."""
    missing = [each for each in standings(constraints_for_tests(**changes), {}, TODAY) if each.state is State.MISSING]

    assert {each.kind for each in missing} == needed
    assert all(each.because.startswith("needed because ") for each in missing)


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, State.VALID),
        ({"expires_on": TODAY}, State.EXPIRED),
        ({"decision": "rejected", "reason": "Keys in the log"}, State.REJECTED),
        ({"decision": "not_required", "reason": "Nobody but us uses it"}, State.VALID),
    ],
)
def test_a_decision_counts_until_its_day(changes: dict[str, Any], state: State) -> None:
    """It ends on the day that it names; a no is a no; that none is required is a decision like any other."""
    constraints = constraints_for_tests()

    found = standings(constraints, {"security": given("security", constraints, **changes)}, TODAY)[0]

    assert found.state is state


@pytest.mark.parametrize(("done", "state"), [(False, State.OVERDUE), (True, State.VALID)])
def test_a_condition_has_a_day(*, done: bool, state: State) -> None:
    """An approval on a condition ends when the condition is not met in time."""
    constraints = constraints_for_tests()
    condition = Condition(text="Rotate the keys", due_on=TODAY, done=done)
    signed = given("security", constraints, decision="approved_with_conditions", conditions=(condition,))

    assert standings(constraints, {"security": signed}, TODAY)[0].state is state


def test_dates_stop_releases_and_never_repairs() -> None:
    """Only what a change has voided stops the change."""
    assert {State.STALE} == BLOCKS_CHANGE
    assert set(State) - {State.VALID, State.OPTIONAL} == BLOCKS_RELEASE


def test_a_record_survives_its_file(tmp_path: Path) -> None:
    """Quotes, umlauts and conditions come back as they were."""
    condition = Condition(text='Say "no" — später', due_on=TODAY)
    signed = given("risk", constraints_for_tests(), decision="approved_with_conditions", conditions=(condition,))

    save(tmp_path, "risk", signed)

    assert load_signoffs(tmp_path) == {"risk": signed}


@pytest.fixture
def sample(project: Path) -> Path:
    """Return the sample with two teams and a tier that needs a security review."""
    return write(project, OWNERSHIP)


def record(*options: str, kind: str = "security") -> int:
    """Approve."""
    return run("signoffs", "record", kind, "--approver", "Ada Lovelace", "--decision", "approved", *options)


def change(project: Path, edit: Callable[[str], str]) -> None:
    """Edit the constraints."""
    file = project / "constraints.toml"
    file.write_text(edit(file.read_text()))


def test_the_whole_story(sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Missing stops a release only; recorded, it stands; a change voids it and says so; decided again, it stands."""
    assert run("signoffs", "check") == 0
    assert run("signoffs", "check", "--release") == 1
    assert "? security     missing      needed because the tier is standard" in capsys.readouterr().err

    assert record() == 0
    assert run("signoffs", "check", "--release") == 0

    change(sample, lambda text: text.replace('refuse = ["card"]', 'refuse = ["card", "iban"]'))
    assert run("signoffs", "check") == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[-2:] == [
        "    + refuse: iban",
        "Ask again: `uv run chassis signoffs request security` prints the page for it",
    ]
    assert re.search(r"stale +what Ada Lovelace looked at on .* has changed", lines[0])

    assert record() == 0
    assert run("signoffs", "check") == 0


def test_an_expired_one_stops_no_repair(sample: Path) -> None:
    """A date that has come blocks the release and not the pull request."""
    assert record() == 0
    file = sample / "signoffs/security.toml"
    text = re.sub(r"decided_on = \S+", "decided_on = 2020-01-01", file.read_text())
    file.write_text(re.sub(r"expires_on = \S+", "expires_on = 2021-01-01", text))

    assert run("signoffs", "check") == 0
    assert run("signoffs", "check", "--release") == 1


def test_the_page_of_a_reviewer(sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says what is asked, who decides, every fact, what has changed, and how to answer."""
    assert record() == 0
    change(sample, lambda text: text.replace('refuse = ["card"]', "refuse = []"))

    assert run("signoffs", "request", "security") == 0

    page = capsys.readouterr().out
    assert "# Security sign-off for sample" in page
    assert "| who decides | @acme/ai (security) |" in page
    assert "- gone: `refuse: card`" in page
    assert "uv run chassis signoffs record security --approver" in page


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--expires", "2020-01-01"), "security.toml: expires_on is not after decided_on. Write a later day"),
        (("--expires", "soon"), "signoffs/security.toml: expires_on: the value is 'soon'"),
        (("--decision", "rejected"), "decision is 'rejected' without a reason. Write one sentence as reason"),
        (("--decision", "maybe"), "signoffs/security.toml: decision: the value is 'maybe'"),
        (("--condition", "soon rotate keys"), "--condition: 'soon rotate keys' does not begin with a day"),
        (("--condition", "2030-01-01 rotate keys"), "'approved_with_conditions' and conditions go together"),
    ],
)
def test_a_decision_that_cannot_be_meant(
    sample: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], sentence: str
) -> None:
    """Nothing is written, and the sentence says what to write instead."""
    assert record(*options) == 2

    assert sentence in capsys.readouterr().err
    assert not (sample / "signoffs").exists()


def test_facts_edited_by_hand_are_found(sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody's name ends up under facts that they have not seen."""
    assert record() == 0
    file = sample / "signoffs/security.toml"
    file.write_text(file.read_text().replace('"refuse: card"', '"refuse: iban"'))

    assert run("signoffs", "check") == 2

    assert "covers_sha256 does not fit covers. Record the decision anew" in capsys.readouterr().err


def test_an_unknown_kind(sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The sentence lists the kinds."""
    assert run("signoffs", "request", "safety") == 2

    assert "there is no kind 'safety'. Write one of: security, privacy, legal" in capsys.readouterr().err
    assert not (sample / "signoffs").exists()
