"""A store that gives up early, for tests of what comes after that; how long it really waits the faults show."""

from collections.abc import Generator
from contextlib import contextmanager
from unittest.mock import patch


@contextmanager
def impatient() -> Generator[None]:
    """Wait for a locked file, and before a settlement is tried again, for as good as nothing."""
    with patch("chassis.store.sqlite.LOCK_TIMEOUT_SECONDS", 0.1), patch("chassis.money.ledger.RETRY_SECONDS", (0.01,)):
        yield
