"""The rate limit for each caller."""

from itertools import pairwise

from chassis.web.middleware import MINUTE, RateLimiter
from hypothesis import given
from hypothesis import strategies as st


@given(st.integers(1, 5), st.lists(st.floats(0, 40), max_size=40))
def test_no_minute_exceeds_the_limit(per_minute: int, pauses: list[float]) -> None:
    """In any period of 60 seconds; and after the returned wait the next call is within the limit."""
    now = 0.0
    limiter = RateLimiter(per_minute, lambda: now)
    calls: list[float] = []
    for pause in pauses:
        now += pause
        wait = limiter.check("alice")
        if wait is None:
            calls.append(now)
        else:
            assert 0 < wait <= MINUTE
            assert calls[-per_minute] + MINUTE <= now + wait + 1e-6
    for first, last in zip(calls, calls[per_minute:], strict=False):
        assert last - first >= MINUTE - 1e-6
    assert all(earlier <= later for earlier, later in pairwise(calls))


def test_callers_have_separate_limits() -> None:
    """A caller that exceeds the limit does not affect others."""
    limiter = RateLimiter(1, lambda: 0.0)

    assert [limiter.check(caller) is None for caller in ("alice", "bob", "alice", "bob")] == [True, True, False, False]
