"""What may be processed at all, and what may be sent where. Whatever nobody has allowed is forbidden."""

from collections.abc import Iterator
from typing import get_args

from pydantic import BaseModel

from chassis.config.constraints import FILE, Constraints, Data, DataClass, ModelConfig
from chassis.contract import Json, Recognizer
from chassis.errors import ConfigError, InputNotAllowed
from chassis.privacy.finder import Finder


def check_question(question: BaseModel, data: Data, recognizers: tuple[Recognizer, ...] = ()) -> None:
    """Let a question in, unless it holds what `data.refuse` names.

    Raises:
        InputNotAllowed: It does; the message names the rule and never the value.
    """
    finder = Finder(data.refuse, recognizers)
    for text in _texts(question.model_dump(mode="json")):
        for found in finder.find(text):
            raise InputNotAllowed(
                f"The question seems to contain a {found.kind.replace('_', ' ')}, which the rule data.refuse forbids; "
                "remove it and ask again"
            )


def _texts(value: Json, key: str = "") -> Iterator[str]:
    """Yield every text and number with the key that it stands under, which may be what gives it away."""
    match value:
        case str() | int():
            yield f"{key}: {value}"
        case list():
            for item in value:
                yield from _texts(item, key)
        case dict():
            for name, item in value.items():
                yield from _texts(item, name)
        case _:
            return


def check_destination(link: ModelConfig, constraints: Constraints) -> None:
    """Let a model into the chain only where the class of the data is known, and allowed at its destination.

    The file has passed the same rule already; this one also holds for constraints that come from no file.

    Raises:
        ConfigError: The destination or the class is unknown, or the one does not allow the other.
    """
    where, data_class = f"{FILE}: the model {link.name!r}", constraints.data.data_class
    destination = constraints.destinations.get(link.destination)
    if destination is None:
        raise ConfigError(
            where, f"the destination {link.destination!r} is unknown", f"Add [destinations.{link.destination}]"
        )
    if data_class not in get_args(DataClass.__value__):
        raise ConfigError(f"{FILE}: data.class", f"the class {data_class!r} is unknown", "Use one that is listed there")
    if data_class not in destination.classes:
        remedy = f"Allow it in destinations.{link.destination}.classes or remove the model"
        raise ConfigError(where, f"it may not receive {data_class!r} data", remedy)


def check_recognizers(constraints: Constraints, recognizers: tuple[Recognizer, ...]) -> None:
    """Let nobody believe that names are found where nothing looks for them.

    Raises:
        ConfigError: The constraints want names to be refused or redacted, and the task has no recognizer.
    """
    wanted = {"data.refuse": constraints.data.refuse}
    wanted |= {f"destinations.{name}.redact": place.redact for name, place in constraints.destinations.items()}
    for key, kinds in wanted.items():
        if "name" in kinds and not recognizers:
            remedy = "Give the Task a recognizer, or remove it from the list"
            raise ConfigError(f"{FILE}: {key}", "nothing here can find a 'name'", remedy)
