"""The names of all spans, metrics, attributes and events.

They are in one file because OpenTelemetry still renames its conventions for generative AI. These are the names of
semantic conventions 1.44, which backends read today. Names that no convention has start with `chassis.`.
"""

from chassis.config.constraints import Provider

# Resource attributes
SERVICE_NAME = "service.name"
SERVICE_VERSION = "service.version"
SERVICE_INSTANCE_ID = "service.instance.id"
DEPLOYMENT_ENVIRONMENT_NAME = "deployment.environment.name"
OWNER = "chassis.owner"  # the conventions have no name for the team that owns a service

# Span attributes of the conventions
ERROR_TYPE = "error.type"
HTTP_RESPONSE_STATUS_CODE = "http.response.status_code"
OPERATION_NAME = "gen_ai.operation.name"
PROVIDER_NAME = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_MAX_TOKENS = "gen_ai.request.max_tokens"
RESPONSE_MODEL = "gen_ai.response.model"
RESPONSE_FINISH_REASONS = "gen_ai.response.finish_reasons"
USAGE_INPUT_TOKENS = "gen_ai.usage.input_tokens"
USAGE_OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
DATA_SOURCE_ID = "gen_ai.data_source.id"
REQUEST_TOP_K = "gen_ai.request.top_k"
TOOL_NAME = "gen_ai.tool.name"
TOOL_TYPE = "gen_ai.tool.type"
EVALUATION_NAME = "gen_ai.evaluation.name"
EVALUATION_LABEL = "gen_ai.evaluation.score.label"
TOKEN_TYPE = "gen_ai.token.type"  # noqa: S105 - not a password

# Our own span attributes
CALL_ID = "chassis.call.id"
TASK = "chassis.task"
CALLER = "chassis.caller"
OUTCOME = "chassis.outcome"
ANSWERED_BY = "chassis.answered_by"
DEGRADED = "chassis.degraded"
FALLBACK_REASON = "chassis.fallback_reason"
CONFIDENCE = "chassis.confidence"
ATTEMPTS = "chassis.attempts"
CACHED = "chassis.cached"
INPUT_TOKENS = "chassis.input_tokens"
OUTPUT_TOKENS = "chassis.output_tokens"
MODEL = "chassis.model"
SUBJECT = "chassis.circuit_breaker"
COST_USD = "chassis.cost.usd"
PERIOD = "chassis.period"
TABLE = "chassis.table"
VERDICT = "chassis.verdict"
SIGNAL = "chassis.signal"
SUCCESS_METRIC = "chassis.success.metric"

# Metrics of the conventions
OPERATION_DURATION = "gen_ai.client.operation.duration"
TOKEN_USAGE = "gen_ai.client.token.usage"  # noqa: S105 - not a password

# Our own metrics, and `COST_USD`, which is a metric and a span attribute
CALL_DURATION = "chassis.call.duration"
CALLS = "chassis.calls"
DEGRADED_CALLS = "chassis.calls.degraded"
SLOW_CALLS = "chassis.calls.slow"
MODEL_ATTEMPTS = "chassis.model.attempts"
CIRCUIT_BREAKERS_OPEN = "chassis.circuit_breaker.open"
KILL_SWITCH_ON = "chassis.kill_switch.on"
REFERRALS = "chassis.referrals"
BUDGET_SPENT = "chassis.budget.spent"
BUDGET_RESERVED = "chassis.budget.reserved"
BUDGET_REMAINING = "chassis.budget.remaining"
BUDGET_LIMIT = "chassis.budget.limit"
BUDGET_FORECAST = "chassis.budget.forecast"
BUDGET_LOST_RESERVATIONS = "chassis.budget.lost_reservations"
REVIEW_OPEN = "chassis.review.open"
REVIEW_OVERDUE = "chassis.review.overdue"
RETENTION_DELETED = "chassis.retention.deleted"
FEEDBACK = "chassis.feedback"
NOTIFICATIONS_FAILING = "chassis.notifications.failing"
DRIFT_EVIDENCE = "chassis.quality_drift.evidence"
DRIFT_ALARMS = "chassis.quality_drift.alarms"
DRIFT_LAST_CHECK = "chassis.quality_drift.last_check"
SUCCESS_VALUE = "chassis.success.value"
SUCCESS_OBSERVATIONS = "chassis.success.observations"
DATABASE_UP = "chassis.database.up"
LOG_LOST_LINES = "chassis.log.lost_lines"

# The one log event of each call
CALL_FINISHED = "call.finished"

OTHER_MODEL = "other"
"""Stands for every model that answered but is not known. Its name could be anything, and metrics keep each name."""
CHAT, EXECUTE_TOOL, RETRIEVAL = "chat", "execute_tool", "retrieval"
"""The GenAI operations of the chassis and of the team's code."""


def call_span(task: str) -> str:
    """Return the name of a call's span."""
    return f"call {task}"


def chat_span(model: str) -> str:
    """Return the name of the span of a request to a model."""
    return f"{CHAT} {model}"


def provider_name(provider: Provider) -> str:
    """Return the conventions' name for a provider. A provider that they do not list keeps its own name."""
    return "gcp.gemini" if provider == "google" else provider
