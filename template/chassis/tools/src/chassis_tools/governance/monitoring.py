"""What Prometheus has to know about this one service: its objectives, as series, and where it can be scraped."""

import json

from chassis_tools.governance.decisions import Decisions

LATENCY = 0.95
"""The share of calls that `latency.p95_seconds` speaks of."""
RULE = """\
      - record: chassis:objective
        labels: {{job: {job}, slo: {slo}}}
        expr: vector({objective})
"""


def objectives(decisions: Decisions) -> str:
    """Return `ops/objectives.yaml`: a series for each objective, for the rules of `ops/alerts.yaml` to compare with."""
    job, promised = json.dumps(decisions.project.name), decisions.constraints.reliability
    shares = {"availability": promised.availability, "latency": LATENCY, "without_fallback": promised.without_fallback}
    head = f"groups:\n  - name: {json.dumps(f'{decisions.project.name} objectives')}\n    rules:\n"
    return head + "".join(RULE.format(job=job, slo=slo, objective=share) for slo, share in shares.items())


def targets(decisions: Decisions) -> str:
    """Return `ops/targets.yaml`: where `compose.yaml` runs the service, under the name that the rules know it by."""
    return f"- targets: [service:8000]\n  labels: {{job: {json.dumps(decisions.project.name)}}}\n"
