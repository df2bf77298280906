"""In CI a skipped test fails, because everything that the tests need is installed there."""

import os
from collections.abc import Generator

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure in CI; elsewhere the reason of the skip says what is missing."""
    report = yield
    if report.skipped and os.environ.get("CI"):
        _, _, reason = report.longrepr if isinstance(report.longrepr, tuple) else ("", 0, report.longrepr)
        report.outcome, report.longrepr = "failed", f"{reason}. In CI it must be installed; see .ci/run"
    return report
