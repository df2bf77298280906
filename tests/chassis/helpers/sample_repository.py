"""A small team repository, for tests that run `chassis` as a program."""

from pathlib import Path

from chassis.config.ownership import Roles

TASK = """
import time

from pydantic import BaseModel

from chassis import Draft, Task


class Text(BaseModel):
    text: str


def repeat(question: Text) -> Draft[Text]:
    time.sleep(float(question.text))
    return Draft(question, confidence=1)


async def run(question: Text, model: object) -> Draft[Text]:
    return repeat(question)


TASK = Task(name="wait", takes=Text, gives=Text, run=run, baseline=repeat)
"""
CONSTRAINTS = """
[risk]
tier = "standard"
[success]
metric = "answered_without_person"
target = 0.6
stop_at = 0.3
review_on = 2030-01-01
stop_when = "Three complaints in a week"
[latency]
deadline_seconds = 10
p95_seconds = 10
[reliability]
availability = 0.99
without_fallback = 0.9
[quality]
confidence_floor = 0.5
accuracy_floor = 0.5
max_regression = 0.05
[cost]
per_request_usd = 1
per_caller_day_usd = 1
per_day_usd = 1
per_month_usd = 1
mean_usd = 1
[limits]
max_body_bytes = 1000
calls_per_minute = 1_000_000
concurrent_calls = 4
queued_calls = 4
model_requests_per_call = 1
concurrent_requests_per_model = 4
queued_requests_per_model = 4
retries_per_model = 0
[cache]
ttl_seconds = 0
[data]
class = "public"
refuse = []
[fallback]
low_confidence = "baseline"
models_failed = "baseline"
budget_exhausted = "baseline"
database_down = "error"
[review]
due_hours = 1
"""


def write_repository(root: Path) -> Path:
    """Write a service without models. The question says how many seconds its task takes."""
    roles = "".join(f'[roles.{role}]\naccountable = "us"\n' for role in Roles.model_fields)
    owners = f'lifecycle = "experimental"\n[teams.us]\nhandle = "@us"\nemail = "us@example.com"\n{roles}'
    (root / "pyproject.toml").write_text(
        '[project]\nname = "waiter"\nversion = "1"\n[tool.chassis]\ntask = "wait:TASK"\n'
    )
    (root / "constraints.toml").write_text(CONSTRAINTS)
    (root / "ownership.toml").write_text(owners)
    (root / "wait.py").write_text(TASK)
    return root
