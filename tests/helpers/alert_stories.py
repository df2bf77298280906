"""What a service shows when all is well, and what changes in its worst hours."""

from prometheus_rules import MINUTES

JOB = 'job="acme-help"'
HTTP = "http_server_request_duration_seconds_count"
CALLS, LATE, DEGRADED = "chassis_calls_total", "chassis_calls_slow_total", "chassis_calls_degraded_total"


def always(value: float) -> str:
    """Return a gauge that stands still."""
    return f"{value}x{MINUTES}"


def each_minute(count: float) -> str:
    """Return a counter that grows by this much in a minute."""
    return f"0+{count}x{MINUTES}"


def series(name: str, *labels: str) -> str:
    """Return the name of a series of the one service."""
    return f"{name}{{{','.join((JOB, *labels))}}}"


OK, ERROR = series(HTTP, 'http_response_status_code="200"'), series(HTTP, 'http_response_status_code="503"')
SPENT = {period: series("chassis_budget_spent", f'chassis_period="{period}"') for period in ("day", "month")}
HELD = {period: series("chassis_budget_reserved", f'chassis_period="{period}"') for period in ("day", "month")}
CEILING = {period: series("chassis_budget_limit", f'chassis_period="{period}"') for period in ("day", "month")}

NORMAL = {
    series("up"): always(1),
    OK: each_minute(60),
    ERROR: each_minute(0.2),
    series(CALLS): each_minute(60),
    series(LATE): each_minute(1),
    series(DEGRADED): each_minute(2),
    series("chassis_database_up"): always(1),
    series("chassis_kill_switch_on"): always(0),
    series("chassis_circuit_breaker_open", 'chassis_circuit_breaker="model:gpt"'): always(0),
    series("chassis_review_overdue"): always(0),
    series("chassis_budget_lost_reservations"): always(0),
    series("chassis_budget_forecast"): always(90),
    **{SPENT[period]: always(3) for period in SPENT},
    **{HELD[period]: always(1) for period in HELD},
    CEILING["day"]: always(20),
    CEILING["month"]: always(300),
}
ALL_FAIL = {OK: each_minute(0), ERROR: each_minute(60)}
WORST: dict[str, tuple[dict[str, str], set[str]]] = {
    "every request fails": (ALL_FAIL, {"AvailabilityBurnsFast", "AvailabilityBurnsSlowly"}),
    "every call is late": ({series(LATE): each_minute(60)}, {"LatencyBurnsFast", "LatencyBurnsSlowly"}),
    "the first model is dead": (
        {series(DEGRADED): each_minute(60)},
        {"FallbackRateBurnsFast", "FallbackRateBurnsSlowly"},
    ),
    "more fail than may": ({ERROR: each_minute(1.2)}, {"AvailabilityBurnsSlowly"}),
    "no replica answers": ({series("up"): always(0)}, {"ServiceDown"}),
    "one database is gone": ({series("chassis_database_up", 'instance="2"'): always(0)}, {"DatabaseDown"}),
    "the models are off": ({series("chassis_kill_switch_on"): always(1)}, {"KillSwitchOn"}),
    "a model rests": (
        {series("chassis_circuit_breaker_open", 'chassis_circuit_breaker="model:gpt"'): always(1)},
        {"CircuitBreakerOpen"},
    ),
    "the day's money is gone": ({SPENT["day"]: always(19.5)}, {"BudgetUsedUp", "BudgetNearlyUsed"}),
    "the month's money is held": ({HELD["month"]: always(270)}, {"BudgetNearlyUsed"}),
    "somebody waits too long": ({series("chassis_review_overdue"): always(1)}, {"ReviewOverdue"}),
    "holds are lost": ({series("chassis_budget_lost_reservations"): always(2)}, {"ReservationsLost"}),
    "another service has no objectives": ({'chassis_database_up{job="other"}': always(1)}, {"ObjectivesMissing"}),
}
"""What is different from normal, and which alerts that makes fire; the forecast is slower, and has its own test."""
