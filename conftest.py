"""Where everything is installed, nothing is skipped: a test that cannot run in CI has failed."""

import os
from collections.abc import Generator

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip red in CI, which installs what the tests need (`.ci/run`); elsewhere a skip says what is missing."""
    report = yield
    if report.skipped and os.environ.get("CI"):
        _, _, reason = report.longrepr if isinstance(report.longrepr, tuple) else ("", 0, report.longrepr)
        report.outcome, report.longrepr = "failed", f"{reason}. In CI, install what it needs: see .ci/run"
    return report
