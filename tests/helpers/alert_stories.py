"""Metrics of a healthy service, and how they change in each kind of incident."""

from prometheus_rules import MINUTES

JOB = 'job="acme-help"'
HTTP = "http_server_request_duration_seconds_count"
CALLS, SLOW, DEGRADED = "chassis_calls_total", "chassis_calls_slow_total", "chassis_calls_degraded_total"

DRIFT_ALARMS, LAST_CHECK = "chassis_quality_drift_alarms", "chassis_quality_drift_last_check_seconds"
REVIEWS = 'chassis_signal="reviews"', 'chassis_task="help"'


def constant(value: float) -> str:
    """Return the values of a gauge that does not change, in promtool's notation."""
    return f"{value}x{MINUTES}"


def per_minute(count: float) -> str:
    """Return the values of a counter that grows by `count` each minute, in promtool's notation."""
    return f"0+{count}x{MINUTES}"


def series(name: str, *labels: str) -> str:
    """Return a series of the service under test."""
    return f"{name}{{{','.join((JOB, *labels))}}}"


OK, ERROR = series(HTTP, 'http_response_status_code="200"'), series(HTTP, 'http_response_status_code="503"')
SPENT = {period: series("chassis_budget_spent", f'chassis_period="{period}"') for period in ("day", "month")}
RESERVED = {period: series("chassis_budget_reserved", f'chassis_period="{period}"') for period in ("day", "month")}
LIMIT = {period: series("chassis_budget_limit", f'chassis_period="{period}"') for period in ("day", "month")}

HEALTHY = {
    series("up"): constant(1),
    OK: per_minute(60),
    ERROR: per_minute(0.2),
    series(CALLS): per_minute(60),
    series(SLOW): per_minute(1),
    series(DEGRADED): per_minute(2),
    series("chassis_database_up"): constant(1),
    series("chassis_kill_switch_on"): constant(0),
    series("chassis_circuit_breaker_open", 'chassis_circuit_breaker="model:gpt"'): constant(0),
    series("chassis_review_overdue"): constant(0),
    series("chassis_budget_lost_reservations"): constant(0),
    series("chassis_budget_forecast"): constant(90),
    series(DRIFT_ALARMS, *REVIEWS): constant(0),
    series(LAST_CHECK): per_minute(60),  # the simulation begins at 0, so this is the current time
    series("chassis_log_lost_lines_total"): constant(0),
    **{SPENT[period]: constant(3) for period in SPENT},
    **{RESERVED[period]: constant(1) for period in RESERVED},
    LIMIT["day"]: constant(20),
    LIMIT["month"]: constant(300),
}
ALL_REQUESTS_FAIL = {OK: per_minute(0), ERROR: per_minute(60)}
INCIDENTS: dict[str, tuple[dict[str, str], set[str]]] = {
    "every request fails": (ALL_REQUESTS_FAIL, {"AvailabilityBurnsFast", "AvailabilityBurnsSlowly"}),
    "every call is slow": ({series(SLOW): per_minute(60)}, {"LatencyBurnsFast", "LatencyBurnsSlowly"}),
    "every call needs a fallback": (
        {series(DEGRADED): per_minute(60)},
        {"FallbackRateBurnsFast", "FallbackRateBurnsSlowly"},
    ),
    "slightly too many requests fail": ({ERROR: per_minute(1.2)}, {"AvailabilityBurnsSlowly"}),
    "no replica can be scraped": ({series("up"): constant(0)}, {"ServiceDown"}),
    "one replica has no database": ({series("chassis_database_up", 'instance="2"'): constant(0)}, {"DatabaseDown"}),
    "the kill switch is on": ({series("chassis_kill_switch_on"): constant(1)}, {"KillSwitchOn"}),
    "a circuit breaker is open": (
        {series("chassis_circuit_breaker_open", 'chassis_circuit_breaker="model:gpt"'): constant(1)},
        {"CircuitBreakerOpen"},
    ),
    "the daily budget is used up": ({SPENT["day"]: constant(19.5)}, {"BudgetUsedUp", "BudgetNearlyUsed"}),
    "the monthly budget is nearly reserved": ({RESERVED["month"]: constant(270)}, {"BudgetNearlyUsed"}),
    "a referral is overdue": ({series("chassis_review_overdue"): constant(1)}, {"ReviewOverdue"}),
    "reservations are lost": ({series("chassis_budget_lost_reservations"): constant(2)}, {"ReservationsLost"}),
    "log lines are lost": ({series("chassis_log_lost_lines_total"): per_minute(1)}, {"LogLinesLost"}),
    "production answers worse": ({series(DRIFT_ALARMS, *REVIEWS): constant(1)}, {"QualityDrift"}),
    "the watch for quality drift stands still": ({series(LAST_CHECK): constant(0)}, {"QualityDriftUnwatched"}),
    "another service has no objectives": (
        {'chassis_database_up{job="other"}': constant(1)},
        {"ObjectivesMissing", "QualityDriftUnwatched"},
    ),
}
"""By incident, the metrics that differ from `HEALTHY`, and the alerts that fire. The forecast has a test of its own."""
