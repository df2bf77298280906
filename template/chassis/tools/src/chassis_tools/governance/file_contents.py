"""The contents of the derived files, each computed from the team's decisions."""

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from chassis.config.constraints import Constraints, load_constraints
from chassis.config.ownership import OWNERSHIP_FILE, Ownership, Role, Team, load_ownership
from chassis.config.project import Project
from chassis.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Decisions:
    """Everything that derived files and sign-offs depend on.

    Args:
        project: Name, purpose, forge and address of the repository, from `pyproject.toml`.
        constraints: From `constraints.toml`.
        ownership: From `ownership.toml`.
    """

    project: Project
    constraints: Constraints
    ownership: Ownership


def load_decisions(project: Project) -> Decisions:
    """Read and validate the decisions of a project.

    Raises:
        ConfigError: A file is missing or invalid.
    """
    return Decisions(project, load_constraints(project.root), load_ownership(project.root))


CODEOWNERS_COMMENT = "# Any one owner on a line can approve. The last line that matches a path applies.\n"
CATALOG_ENTRY = """\
apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: {name}
  description: {description}
  links:
    - url: mailto:{contact}
      title: Contact
spec:
  type: service
  lifecycle: {lifecycle}
  owner: group:default/{team}
"""
SECURITY_POLICY = """\

# Security

To report a vulnerability in {name}, write to {email}. Please do not open a public issue.
Describe the impact and how to reproduce it: the request, the response, and the release that you called.
Leave out other people's data.

{team} is responsible for the security of this service{deputy}.
"""
SECURITY_INSIGHTS = """\
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
DAY_PLACEHOLDER = "{day}"
"""The day on which the file last changed. No decision determines it, so `chassis sync` fills it in."""


def github_codeowners(decisions: Decisions) -> str:
    """Return the body of `.github/CODEOWNERS`.

    Raises:
        ConfigError: A handle has subgroups. GitHub does not know them and would silently ignore the whole line.
    """
    for name, team in decisions.ownership.teams.items():
        if team.handle.count("/") > 1:
            raise ConfigError(
                f"{OWNERSHIP_FILE}: teams.{name}.handle",
                f"{team.handle!r} has more than one slash",
                "On GitHub, write @organization/team or @person",
            )
    return CODEOWNERS_COMMENT + _codeowners_rules(decisions)


def gitlab_codeowners(decisions: Decisions) -> str:
    """Return the body of `.gitlab/CODEOWNERS`. GitLab reads the same patterns as GitHub, and handles with subgroups."""
    return CODEOWNERS_COMMENT + _codeowners_rules(decisions)


def catalog_info(decisions: Decisions) -> str:
    """Return the body of `catalog-info.yaml`, the service's entry in a Backstage catalog."""
    ownership = decisions.ownership
    # In single quotes YAML interprets nothing but the quote itself; line breaks become spaces.
    description = " ".join(decisions.project.description.split()).replace("'", "''")
    return CATALOG_ENTRY.format(
        name=decisions.project.name,
        description=f"'{description}'",
        contact=ownership.contact,
        lifecycle=ownership.lifecycle,
        team=ownership.roles.system.accountable,
    )


def security_policy(decisions: Decisions) -> str:
    """Return the body of `SECURITY.md`, which forges show to people who open an issue."""
    ownership, role = decisions.ownership, decisions.ownership.roles.security
    team, deputy = ownership.accountable(role), ownership.deputy(role)
    return SECURITY_POLICY.format(
        name=decisions.project.name,
        email=team.email,
        team=team.handle,
        deputy=f"; {deputy.handle} is the deputy" if deputy else "",
    )


def security_insights(decisions: Decisions) -> str | None:
    """Return the body of OpenSSF's `security-insights.yml`, or None if `pyproject.toml` has no repository address.

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
    # A JSON string is a valid YAML scalar.
    scalars = {key: json.dumps(text, ensure_ascii=False) for key, text in texts.items()}
    return SECURITY_INSIGHTS.format(day=DAY_PLACEHOLDER, **scalars)


def _codeowners_rules(decisions: Decisions) -> str:
    # The last match applies, so patterns are sorted from broad to narrow.
    ownership, folder = decisions.ownership, _folder_in_repository(decisions.project.root)
    owners = {path: _handles(ownership, role) for _, role in ownership.roles for path in role.paths}
    return "".join(f"{_below(folder, path)} {owners[path]}\n" for path in sorted(owners, key=_specificity))


def _folder_in_repository(root: Path) -> str:
    """Return the folder of a service in a repository of several, such as `/services/help`; empty if it has its own."""
    top = next((folder for folder in (root, *root.parents) if (folder / ".git").exists()), root)
    return f"/{root.relative_to(top)}" if top != root else ""


def _below(folder: str, pattern: str) -> str:
    """Return a pattern for files below a folder; one without a slash in front matches at every depth."""
    if not folder or pattern.startswith("/"):
        return folder + pattern
    return f"{folder}/" if pattern == "*" else f"{folder}/**/{pattern}"


def _handles(ownership: Ownership, role: Role) -> str:
    teams = [team for team in (role.accountable, role.deputy) if team is not None]
    return " ".join(ownership.teams[team].handle for team in teams)


def _specificity(path: str) -> tuple[bool, int, str]:
    """Return a sort key that puts patterns anchored at the root, and deeper ones, after the others."""
    return path.startswith("/"), len(path.strip("/").split("/")), path


def _next_review(decisions: Decisions) -> str:
    # The date is part of the file so that moving it also moves `last-reviewed` to today.
    dates: list[date] = [role.review_by for _, role in decisions.ownership.roles if role.review_by]
    return f"The owners will be reviewed by {min(dates)}" if dates else "No review of the owners is scheduled"


LATENCY_OBJECTIVE = 0.95
"""The share of calls that have to answer within `latency.p95_seconds`."""
INHIBITED_ALERTS = {
    "ServiceDown": "(Availability|Latency|FallbackRate)Burns.*|DatabaseDown",
    "DatabaseDown": "(Availability|Latency|FallbackRate)Burns.*",
    "KillSwitchOn": "FallbackRateBurns.*",
}
"""By alert, a regular expression for the alerts that it causes; these send no notification while it fires."""

OBJECTIVE_RULE = """\
      - record: chassis:objective
        labels: {{job: {job}, slo: {slo}}}
        expr: vector({objective})
"""
ALERTMANAGER_HEAD = """\
# Sends email to the service `mail` of compose.yaml. For production, copy everything except `global` into your own
# configuration.
global:
  smtp_smarthost: mail:1025
  smtp_from: {contact}
  smtp_require_tls: false
route:
  receiver: {system}
  group_by: [job, alertname]
  routes:
    - matchers: [job={job}]
      receiver: {system}
      routes:
"""
ROUTE = """\
        - matchers: [role="{role}"]
          receiver: {team}
"""
RECEIVER = """\
  - name: {team}
"""
ALERT_CHANNELS = {
    "email": "email_configs: [{{to: {email}, send_resolved: true}}]",
    "pagerduty": "pagerduty_configs: [{{routing_key_file: {secrets}-pagerduty-key, severity: {severity}}}]",
    "slack": "slack_configs: [{{api_url_file: {secrets}-slack-url, send_resolved: true}}]",
    "webhook": "webhook_configs: [{{url_file: {secrets}-webhook-url}}]",
}
"""How Alertmanager reaches a team. Secrets are in files, because `ownership.toml` is in git."""
SECRETS_FOLDER = "/run/secrets"
PAGERDUTY_SEVERITY = """'{{ if eq .CommonLabels.severity "page" }}critical{{ else }}warning{{ end }}'"""
"""So that only alerts which page wake the person on call."""
INHIBIT_RULE = """\
  - source_matchers: [alertname="{cause}"]
    target_matchers: [alertname=~"{effects}"]
    equal: [job]
"""


def objective_rules(decisions: Decisions) -> str:
    """Return the body of `ops/objectives.yaml`: one series per objective, which the rules of `ops/alerts.yaml` read."""
    # A JSON string is a valid YAML scalar, whatever characters a name contains.
    job, reliability = json.dumps(decisions.project.name), decisions.constraints.reliability
    objectives = {
        "availability": reliability.availability,
        "latency": LATENCY_OBJECTIVE,
        "without_fallback": reliability.without_fallback,
    }
    head = f"groups:\n  - name: {json.dumps(f'{decisions.project.name} objectives')}\n    rules:\n"
    return head + "".join(OBJECTIVE_RULE.format(job=job, slo=slo, objective=share) for slo, share in objectives.items())


def scrape_targets(decisions: Decisions) -> str:
    """Return the body of `ops/targets.yaml`: the address of the service in `compose.yaml`, and its job name."""
    return f"- targets: [service:8000]\n  labels: {{job: {json.dumps(decisions.project.name)}}}\n"


def alertmanager_config(decisions: Decisions) -> str:
    """Return the body of `ops/alertmanager.yaml`: each alert goes to the team that is accountable for its role."""
    ownership = decisions.ownership
    system = json.dumps(ownership.roles.system.accountable)
    teams = sorted({role.accountable for _, role in ownership.roles})
    routes = (ROUTE.format(role=name, team=json.dumps(role.accountable)) for name, role in ownership.roles)
    receivers = (_receiver(team, ownership.teams[team]) for team in teams)
    inhibit_rules = (INHIBIT_RULE.format(cause=cause, effects=effects) for cause, effects in INHIBITED_ALERTS.items())
    return (
        ALERTMANAGER_HEAD.format(
            contact=json.dumps(ownership.contact), system=system, job=json.dumps(decisions.project.name)
        )
        + "".join(routes)
        + "receivers:\n"
        + "".join(receivers)
        + "inhibit_rules:\n"
        + "".join(inhibit_rules)
    )


def _receiver(name: str, team: Team) -> str:
    values = {"email": json.dumps(team.email), "secrets": f"{SECRETS_FOLDER}/{name}", "severity": PAGERDUTY_SEVERITY}
    channels = (f"    {ALERT_CHANNELS[channel].format(**values)}\n" for channel in sorted(team.alerts))
    return RECEIVER.format(team=json.dumps(name)) + "".join(channels)
