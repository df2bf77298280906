"""The data policy: what may be processed at all, and what may be sent where. What is not allowed is forbidden."""

from collections.abc import Iterable, Iterator, Mapping
from typing import cast, get_args

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from chassis.config.constraints import CONSTRAINTS_FILE, Constraints, Data, DataClass, ModelConfig
from chassis.contract import Recognizer
from chassis.errors import ConfigError, InputNotAllowed
from chassis.privacy.finder import Finder


def check_question(question: BaseModel, data: Data, recognizers: tuple[Recognizer, ...] = ()) -> None:
    """Check that a question contains nothing that `data.refuse` names.

    Raises:
        InputNotAllowed: It does; the message names the kind and the rule, but never the value.
    """
    finder = Finder(data.refuse, recognizers)
    for text in texts_in(question):
        for match in finder.find(text):
            raise InputNotAllowed(
                f"The question seems to contain a {match.kind.replace('_', ' ')}, which the rule data.refuse forbids; "
                "remove it and ask again"
            )


def check_destination(config: ModelConfig, constraints: Constraints) -> None:
    """Check that the class of the data is known, and allowed at the model's destination.

    `constraints.toml` is validated for this when it is read. This check also covers constraints made in code.

    Raises:
        ConfigError: The destination or the class is unknown, or the destination does not allow the class.
    """
    where, data_class = f"{CONSTRAINTS_FILE}: the model {config.name!r}", constraints.data.data_class
    destination = constraints.destinations.get(config.destination)
    if destination is None:
        raise ConfigError(
            where, f"the destination {config.destination!r} is unknown", f"Add [destinations.{config.destination}]"
        )
    if data_class not in get_args(DataClass.__value__):
        known = ", ".join(get_args(DataClass.__value__))
        raise ConfigError(
            f"{CONSTRAINTS_FILE}: data.class", f"the class {data_class!r} is unknown", f"Use one of: {known}"
        )
    if data_class not in destination.classes:
        remedy = f"Allow it in destinations.{config.destination}.classes or remove the model"
        raise ConfigError(where, f"it may not receive {data_class!r} data", remedy)


def check_recognizers(constraints: Constraints, recognizers: tuple[Recognizer, ...]) -> None:
    """Check that something finds names if the constraints want them refused or redacted.

    Raises:
        ConfigError: The constraints list the kind `name`, which no pattern can find, and the task has no recognizer.
    """
    kinds_by_key = {"data.refuse": constraints.data.refuse}
    for name, destination in constraints.destinations.items():
        kinds_by_key[f"destinations.{name}.redact"] = destination.redact
    for key, kinds in kinds_by_key.items():
        if "name" in kinds and not recognizers:
            remedy = "Give the Task a recognizer, or remove 'name' from the list"
            raise ConfigError(f"{CONSTRAINTS_FILE}: {key}", "no recognizer finds a 'name'", remedy)


def texts_in(value: object, key: str = "") -> Iterator[str]:
    """Yield every text and number together with its key, which may be what gives it away.

    Also of fields that are left out of JSON: the task sees them, and may send them to a model.
    """
    match value:
        case None:
            return
        case BaseModel():
            yield from texts_in(value.model_extra)  # their names come from the caller, those of fields do not
            for name, item in vars(value).items():
                yield from texts_in(item, name)
        case Mapping():
            for name, item in cast("Mapping[object, object]", value).items():
                yield str(name)
                yield from texts_in(item, str(name))
        case list() | tuple() | set() | frozenset():
            for item in cast("Iterable[object]", value):
                yield from texts_in(item, key)
        case _:
            yield f"{key}: {to_jsonable_python(value, fallback=str)}"
