"""Shows whether the service answers well enough: run, score, gate, report, each a function of the files before it.

Only `run` asks anybody. A finished run can be judged again under other thresholds for nothing.
"""

from chassis_tools.evals.cases import Case
from chassis_tools.evals.outcomes import CaseOutcome, Refused

__all__ = ["Case", "CaseOutcome", "Refused"]
