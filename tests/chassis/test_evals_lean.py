"""Judging a finished run imports no model library, because no model is asked."""

import subprocess
import sys


def test_judging_imports_no_model_library() -> None:
    """Importing it would take longer than judging 20,000 records."""
    code = "import sys, chassis_tools.evals.evaluation, chassis_tools.evals.report.text; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert "chassis_tools.evals.evaluation" in loaded
    assert "pydantic_ai" not in loaded
