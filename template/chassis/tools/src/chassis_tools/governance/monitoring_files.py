"""Writes what Prometheus and Alertmanager need to know about this service: objectives, scrape targets, alert routes."""

import json

from chassis_tools.governance.decisions import Decisions

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
    email_configs: [{{to: {email}, send_resolved: true}}]
"""
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
    receivers = (
        RECEIVER.format(team=json.dumps(team), email=json.dumps(ownership.teams[team].email)) for team in teams
    )
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
