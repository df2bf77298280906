"""Makes a team's AI task safe to run, observe, pay for and hand over. The team writes a `Task`."""

from chassis.contract import Answered as Answered
from chassis.contract import Draft as Draft
from chassis.contract import Outcome as Outcome
from chassis.contract import Recognizer as Recognizer
from chassis.contract import Referred as Referred
from chassis.contract import SensitiveMatch as SensitiveMatch
from chassis.contract import Task as Task

__all__ = ["Answered", "Draft", "Outcome", "Recognizer", "Referred", "SensitiveMatch", "Task"]
