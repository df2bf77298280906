"""Short database timeouts, for tests of what follows a timeout. The fault table tests the real ones."""

from collections.abc import Generator
from contextlib import contextmanager
from unittest.mock import patch


@contextmanager
def short_timeouts() -> Generator[None]:
    """Wait almost no time for a locked file, and between attempts to settle."""
    with patch("chassis.store.sqlite.LOCK_TIMEOUT_SECONDS", 0.1), patch("chassis.money.ledger.RETRY_SECONDS", (0.01,)):
        yield
