"""What holds for every test: in CI a skip is a failure, and the garbage collector costs little."""

import gc
import os
from collections.abc import Generator

import pytest

gc.disable()  # nothing that is collected here becomes garbage


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure in CI; elsewhere the reason of the skip says what is missing."""
    report = yield
    if report.skipped and os.environ.get("CI"):
        _, _, reason = report.longrepr if isinstance(report.longrepr, tuple) else ("", 0, report.longrepr)
        report.outcome, report.longrepr = "failed", f"{reason}. In CI it must be installed; see .ci/run"
    return report


def pytest_collection_finish() -> None:
    """Spare the garbage collector what lives as long as the tests; reading it often takes a fifth of the time."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    gc.enable()
