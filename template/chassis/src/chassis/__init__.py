"""Makes one AI task safe to run, watch, pay for and hand over.

A team writes a `Task`; everything else here carries it.
"""

from chassis.sensitive import Found as Found
from chassis.sensitive import Recogniser as Recogniser
from chassis.task import Task as Task
from chassis.types import Answered as Answered
from chassis.types import Draft as Draft
from chassis.types import Outcome as Outcome
from chassis.types import Referred as Referred

__all__ = ["Answered", "Draft", "Found", "Outcome", "Recogniser", "Referred", "Task"]
