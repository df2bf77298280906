"""Writes the security contacts: `SECURITY.md` for people, OpenSSF's `security-insights.yml` for programs."""

import json
from datetime import date

from chassis.errors import ConfigError
from chassis_tools.governance.decisions import Decisions

DAY = "{day}"
"""Placeholder for the day on which the file last changed. No decision determines it, so `chassis sync` fills it in."""
POLICY = """\

# Security

To report a vulnerability in {name}, write to {email}. Please do not open a public issue.
Describe the impact and how to reproduce it: the request, the response, and the release that you called.
Leave out other people's data.

{team} is responsible for the security of this service{deputy}.
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


def security_policy(decisions: Decisions) -> str:
    """Return the body of `SECURITY.md`, which forges show to people who open an issue."""
    ownership, role = decisions.ownership, decisions.ownership.roles.security
    team, deputy = ownership.accountable(role), ownership.deputy(role)
    return POLICY.format(
        name=decisions.project.name,
        email=team.email,
        team=team.handle,
        deputy=f"; {deputy.handle} is the deputy" if deputy else "",
    )


def security_insights(decisions: Decisions) -> str | None:
    """Return the body of `security-insights.yml`, or None if `pyproject.toml` has no address of the repository.

    Raises:
        ConfigError: The address is not a web address.
    """
    ownership, url = decisions.ownership, decisions.project.repository
    if url is None:
        return None
    if not url.startswith(("https://", "http://")):
        raise ConfigError(
            "pyproject.toml: project.urls.Repository",
            f"{url!r} is not a web address",
            "Write one such as https://github.com/acme/acme-help",
        )
    security = ownership.accountable(ownership.roles.security)
    texts = {
        "url": url,
        "name": decisions.project.name,
        "description": decisions.project.description,
        "review": _next_review(decisions),
        "owner": ownership.owner.handle,
        "owner_email": ownership.contact,
        "security": security.handle,
        "security_email": security.email,
    }
    return INSIGHTS.format(day=DAY, **{key: json.dumps(text, ensure_ascii=False) for key, text in texts.items()})


def _next_review(decisions: Decisions) -> str:
    # The date is part of the file so that moving it also moves `last-reviewed` to today.
    dates: list[date] = [role.review_by for _, role in decisions.ownership.roles if role.review_by]
    return f"The owners will be reviewed by {min(dates)}" if dates else "No review of the owners is scheduled"
