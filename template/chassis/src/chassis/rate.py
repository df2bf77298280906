"""How often somebody may come: so many times in any minute."""

import math
import time
from collections import deque
from collections.abc import Callable

MINUTE = 60.0


class Rate:
    """Lets everybody in so many times a minute, whichever minute one looks at. It knows only this process.

    Args:
        per_minute: How many times.
        clock: Seconds that never go back; a test may name them.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute, self._clock = per_minute, clock
        self._times: dict[str, deque[float]] = {}

    def enter(self, who: str) -> int | None:
        """Note that somebody comes and return None, or the whole seconds after which they may."""
        moment, times = self._clock(), self._times.setdefault(who, deque(maxlen=self._per_minute))
        if len(times) == self._per_minute and moment - times[0] < MINUTE:
            return math.ceil(MINUTE - (moment - times[0]))
        times.append(moment)
        return None
