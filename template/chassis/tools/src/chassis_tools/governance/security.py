"""Whom to tell of a weakness: for people in `SECURITY.md`, for programs in OpenSSF's `security-insights.yml`."""

import json
from datetime import date

from chassis.errors import ConfigError
from chassis_tools.governance.decisions import Decisions

DAY = "{day}"
"""Stands for the day on which a file last changed, which does not follow from any decision; `sync` fills it in."""
POLICY = """\

# Security

Have you found a weakness in {name}? Write to {email}, and please open no public issue about it.
Say what somebody could do with it and how to see it: the request, what came back, and which release answered.
Leave out what belongs to other people.

{team} answers for the security of this service{deputy}.
"""
INSIGHTS = """\
header:
  schema-version: 2.0.0
  last-updated: '{day}'
  last-reviewed: '{day}'
  url: {url}
  comment: {review}
project:
  name: {name}
  administrators:
    - name: {owner}
      email: {owner_email}
      primary: true
  repositories:
    - name: {name}
      url: {url}
      comment: {description}
  vulnerability-reporting:
    reports-accepted: true
    bug-bounty-available: false
    contact:
      name: {security}
      email: {security_email}
      primary: true
"""


def policy(decisions: Decisions) -> str:
    """Return `SECURITY.md`, which forges link to where an issue is opened."""
    ownership, role = decisions.ownership, decisions.ownership.roles.security
    team, deputy = ownership.accountable(role), ownership.deputy(role)
    return POLICY.format(
        name=decisions.project.name,
        email=team.email,
        team=team.handle,
        deputy=f"; {deputy.handle} stands in" if deputy else "",
    )


def insights(decisions: Decisions) -> str | None:
    """Return `security-insights.yml`, or None where `pyproject.toml` does not say where the repository is.

    Raises:
        ConfigError: What it says there is no address.
    """
    ownership, url = decisions.ownership, decisions.project.repository
    if url is None:
        return None
    if not url.startswith(("https://", "http://")):
        raise ConfigError(
            "pyproject.toml: project.urls.Repository",
            f"the value is {url!r}",
            "Write an address such as https://github.com/acme/acme-help",
        )
    security = ownership.accountable(ownership.roles.security)
    texts = {
        "url": url,
        "name": decisions.project.name,
        "description": decisions.project.description,
        "review": _review(decisions),
        "owner": ownership.owner.handle,
        "owner_email": ownership.contact,
        "security": security.handle,
        "security_email": security.email,
    }
    return INSIGHTS.format(day=DAY, **{key: json.dumps(text, ensure_ascii=False) for key, text in texts.items()})


def _review(decisions: Decisions) -> str:
    """So that whoever confirms the owners, and moves their dates, also moves the day of the last review."""
    dates: list[date] = [role.review_by for _, role in decisions.ownership.roles if role.review_by]
    return f"The owners are asked again by {min(dates)}" if dates else "The owners are asked again on no fixed day"
