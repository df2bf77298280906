"""Checks of `constraints.toml`: where data may go, and what of it leaves."""

import re

from chassis_tools.governance.signoff_kinds import OWN
from chassis_tools.readiness.check import Check
from chassis_tools.readiness.evidence import Evidence
from chassis_tools.readiness.promises import need


def regions(evidence: Evidence) -> str:
    """Every destination that a model or a tool uses has a `region`.

    The reviews of privacy and law ask for it; the contract with whoever runs the destination says it.
    """
    return _known(evidence, "region")


def retention(evidence: Evidence) -> str:
    """Every destination that a model or a tool uses has `retention_days`.

    The review of privacy asks for it; the contract with whoever runs the destination says it.
    """
    return _known(evidence, "retention_days")


def _known(evidence: Evidence, key: str) -> str:
    used = {link.destination for link in evidence.constraints.models}
    used |= {tool.destination for tool in evidence.constraints.tools.values()}
    unknown = sorted(name for name in used if getattr(evidence.constraints.destinations[name], key) is None)
    return need(not unknown, f"no {key} for {', '.join(unknown)}", f"{key} is known for {len(used)} destinations")


def secrets(evidence: Evidence) -> str:
    """Every destination has `secret` and `card` among its `redact`.

    Keys and card numbers are then replaced by placeholders before a request leaves.
    """
    places = evidence.constraints.destinations.items()
    leaky = sorted(name for name, place in places if not {"secret", "card"} <= place.redact)
    return need(not leaky, f"secrets or cards reach {', '.join(leaky)}", "secrets and cards are redacted everywhere")


def refused(evidence: Evidence) -> str:
    """`data.refuse` names `secret`.

    A question that holds a password or a key is then refused with 422, and whoever sent it learns why.
    """
    found = "secret" in evidence.constraints.data.refuse
    return need(found, "data.refuse does not name secret", "questions with secrets are refused")


def dated(evidence: Evidence) -> str:
    """The id of every model that is bought holds a date, such as `gpt-5.4-mini-2026-03-17`.

    Behind an id without one the vendor can exchange the model on any day.
    """
    bought = [link for link in evidence.constraints.models if link.provider not in OWN]
    loose = [link.model for link in bought if not re.search(r"20\d\d-?\d\d-?\d\d", link.model)]
    return need(not loose, f"no date in {', '.join(loose)}", f"{len(bought)} bought models, all dated")


CHECKS = (
    Check(
        "DAT101",
        "It is known where data is processed",
        "standard",
        "Look into the contract, and write region under the destination",
        regions,
    ),
    Check(
        "DAT102",
        "It is known how long data is kept",
        "standard",
        "Look into the contract, and write retention_days under the destination",
        retention,
    ),
    Check(
        "DAT103",
        "Secrets and cards are redacted everywhere",
        "experiment",
        "Add secret and card to redact of every destination",
        secrets,
    ),
    Check("DAT104", "Questions with secrets are refused", "standard", "Add secret to data.refuse", refused),
    Check("DAT105", "Bought models carry a date", "critical", "Name the dated version of the model", dated),
)
