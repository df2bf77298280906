"""How often somebody may come."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from chassis.limits import MINUTE, RateLimiter


@given(st.integers(1, 5), st.lists(st.floats(0, 40), max_size=40))
def test_no_minute_has_more_than_the_limit(per_minute: int, pauses: list[float]) -> None:
    """Whichever minute one looks at; and whoever is refused may come at the time that they are told."""
    now = 0.0
    rate = RateLimiter(per_minute, lambda: now)
    entered: list[float] = []
    for pause in pauses:
        now += pause
        wait = rate.check("alice")
        if wait is None:
            entered.append(now)
        else:
            assert 0 < wait <= MINUTE
            assert entered[-per_minute] + MINUTE <= now + wait + 1e-6
    for first, last in zip(entered, entered[per_minute:], strict=False):
        assert last - first >= MINUTE - 1e-6
    assert all(earlier <= later for earlier, later in pairwise(entered))


def test_callers_do_not_count_for_each_other() -> None:
    """One who comes too often keeps nobody else out."""
    rate = RateLimiter(1, lambda: 0.0)

    assert [rate.check(who) is None for who in ("alice", "bob", "alice", "bob")] == [True, True, False, False]
