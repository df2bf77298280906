"""One review in the forms that people and programs read."""

import json
from typing import Any

from chassis_tools.readiness.review import CHECKS, TIERS, Result, Review

SARIF = "https://json.schemastore.org/sarif-2.1.0.json"


def as_json(review: Review) -> str:
    """Return the facts, for portals to judge by their own scores."""
    facts = {
        "schema": 1,
        "name": review.name,
        "tier": review.tier,
        "level": review.level,
        "waivers_problem": review.waivers_problem,
        "blocking": [result.check.id for result in review.blocking],
        "checks": [_facts(result) for result in review.results],
    }
    return json.dumps(facts, indent=2, ensure_ascii=False) + "\n"


def _facts(result: Result) -> dict[str, str]:
    check = result.check
    return {
        "id": check.id,
        "title": check.title,
        "level": check.level,
        "verdict": result.verdict,
        "evidence": result.evidence,
        "remedy": check.remedy,
        "page": check.page,
    }


def as_sarif(review: Review) -> str:
    """Return what blocks as SARIF 2.1.0, for a forge to show beside the code."""
    rules = [
        {"id": check.id, "shortDescription": {"text": check.title}, "help": {"text": f"{check.remedy} ({check.page})"}}
        for check in CHECKS
    ]
    driver = {"name": "chassis ready", "rules": rules}
    results: list[dict[str, Any]] = [_finding(result) for result in review.results if result.blocks]
    return json.dumps(
        {"$schema": SARIF, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}
    )


def _finding(result: Result) -> dict[str, Any]:
    place = {"physicalLocation": {"artifactLocation": {"uri": result.check.file}, "region": {"startLine": 1}}}
    return {
        "ruleId": result.check.id,
        "level": "error" if result.verdict == "fail" else "warning",
        "message": {"text": f"{result.check.title}: {result.evidence}. {result.check.remedy}"},
        "locations": [place],
    }


def as_markdown(review: Review) -> str:
    """Return a page for a pull request or a release."""
    lines = [f"# {review.name}: {headline(review)}", ""]
    if review.waivers_problem:
        lines += [f"Nothing is waived: {review.waivers_problem}", ""]
    if review.blocking:
        lines += ["| check | what is missing | evidence | remedy |", "|---|---|---|---|"]
        lines += [
            f"| [{check.id}]({check.page}) | {check.title} | {_cell(each.evidence)} | {check.remedy} |"
            for each in review.blocking
            for check in (each.check,)
        ]
    waived = [f"- {each.check.id}: {each.evidence}" for each in review.results if each.verdict == "waived"]
    return "\n".join([*lines, *(["", "Waived:", ""] if waived else []), *waived]).rstrip() + "\n"


def headline(review: Review) -> str:
    """Return the level in one sentence."""
    reached, needed = review.level or "none", review.tier or "unknown"
    if review.blocking or review.tier is None:
        count = len(review.blocking)
        stand = "check stands" if count == 1 else "checks stand"
        return f"level {reached}; its tier is {needed}, and {count} {stand} in the way"
    return f"level {reached}, ready for a release of tier {needed}"


def handbook() -> str:
    """Return the page on every check."""
    head = (
        "# The launch review\n\n`uv run chassis ready` carries it out. A check reads files and never runs your code. "
        "`unknown` means that something could not be read; it blocks as `fail` does. "
        "A level is reached when every check of it and of those below passes or is waived: "
        f"{', '.join(TIERS)}. `risk.tier` in `constraints.toml` says which one a release needs.\n\n"
        "## Waivers\n\nWhat cannot be mended in time is waived in `waivers.toml`, "
        "for 90 days at most, by somebody else than who asks:\n\n"
        '```toml\n[waive.DAT101]\nreason = "The contract is with our lawyers"\nauthor = "Ada Lovelace"\n'
        'approver = "Grace Hopper"\nfrom = 2027-01-10\nuntil = 2027-02-10\n```\n'
    )
    return head + "".join(_section(number) for number in range(len(CHECKS)))


def _section(number: int) -> str:
    check = CHECKS[number]
    about = " ".join((check.look.__doc__ or "").split())
    return (
        f"\n## {check.id}\n\n**{check.title}.** {about}\n\n"
        f"From tier `{check.level}` on. If it does not hold: {check.remedy}.\n"
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
