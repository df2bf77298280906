"""What may not be processed at all, whoever would process it."""

from pydantic import BaseModel

from chassis.constraints import Data
from chassis.errors import NotAllowed
from chassis.guard.redaction import find


def admit(question: BaseModel, data: Data) -> None:
    """Let a question in, unless it holds what `data.refuse` names.

    Raises:
        NotAllowed: It does; the message names the rule and never the value.
    """
    for found in find(question.model_dump_json(), data.refuse):
        raise NotAllowed(
            f"The question seems to contain a {found.kind.replace('_', ' ')}, which the rule data.refuse forbids; "
            "remove it and ask again"
        )
