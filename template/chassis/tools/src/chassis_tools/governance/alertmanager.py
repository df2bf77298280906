"""Who is told of which alert: a route for each role, to the team that is accountable for it."""

import json

from chassis_tools.governance.decisions import Decisions

SILENCED_BY = {
    "ServiceDown": "(Availability|Latency|Undegraded)Burns.*|DatabaseDown",
    "DatabaseDown": "(Availability|Latency|Undegraded)Burns.*",
    "ModelsOff": "FallbackRateBurns.*",
}
"""What needs no second message, because its cause has already been told."""
HEAD = """\
# For a try it sends mail to the service `mail` of compose.yaml. In production, take all but `global` into your own.
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
INHIBIT = """\
  - source_matchers: [alertname="{cause}"]
    target_matchers: [alertname=~"{effects}"]
    equal: [job]
"""


def alertmanager(decisions: Decisions) -> str:
    """Return `ops/alertmanager.yaml`."""
    ownership = decisions.ownership
    system = json.dumps(ownership.roles.system.accountable)
    teams = sorted({role.accountable for _, role in ownership.roles})
    return (
        HEAD.format(contact=json.dumps(ownership.contact), system=system, job=json.dumps(decisions.project.name))
        + "".join(ROUTE.format(role=name, team=json.dumps(role.accountable)) for name, role in ownership.roles)
        + "receivers:\n"
        + "".join(
            RECEIVER.format(team=json.dumps(team), email=json.dumps(ownership.teams[team].email)) for team in teams
        )
        + "inhibit_rules:\n"
        + "".join(INHIBIT.format(cause=cause, effects=effects) for cause, effects in SILENCED_BY.items())
    )
