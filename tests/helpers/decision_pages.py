"""Writes the reference of the handbook: every key of the configuration files.

What stands above the reference in a page is written by hand and stays as it is.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, get_args

from answer_sets import ROOT
from chassis.config.constraints import Constraints
from chassis.config.ownership import Ownership, Role, Roles
from chassis.config.toml_file import Section
from chassis_tools.governance.signoff_kinds import SIGNOFF_KINDS
from chassis_tools.governance.signoffs import SignOff
from chassis_tools.readiness.launch_review import Waivers
from pydantic.fields import FieldInfo

HANDBOOK = ROOT / "template/chassis/handbook"
KEYS = "## Every key"
BOUNDS = {
    "exclusiveMinimum": "more than {}",
    "minimum": "at least {}",
    "exclusiveMaximum": "less than {}",
    "maximum": "at most {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {}",
}
"""How a page calls the bounds of JSON Schema."""


def constraints() -> str:
    """Return the page on `constraints.toml`."""
    return handbook_page("constraints.md", KEYS, "".join(_sections(Constraints, "")))


def ownership() -> str:
    """Return the page on `ownership.toml`, `signoffs/` and `waivers.toml`."""
    files = (("ownership.toml", Ownership), ("signoffs/KIND.toml", SignOff), ("waivers.toml", Waivers))
    keys = "".join(part for file, section in files for part in _sections(section, "", file))
    kinds = (f"- `{name}`, given by the role `{kind.role}`: {kind.question}\n" for name, kind in SIGNOFF_KINDS.items())
    return handbook_page("ownership.md", KEYS, f"{keys}\n### Kinds of sign-off\n\n{''.join(kinds)}")


def handbook_page(name: str, heading: str, reference: str) -> str:
    """Return a page of the handbook: what people wrote, then the reference below `heading`."""
    written = (HANDBOOK / name).read_text(encoding="utf-8").partition(f"\n{heading}\n")[0]
    return f"{written}\n{heading}\n{reference}"


def sections_of(section: type[Section]) -> Iterator[type[Section]]:
    """Yield a section and all that are in it."""
    yield section
    for field in section.model_fields.values():
        if within := _section_in(field):
            yield from sections_of(within)


def words(section: type[Section]) -> dict[str, str]:
    """Return what stands below each field of a class, as one line; nothing if nothing does."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(section))).body[0]
    body: Sequence[ast.stmt] = tree.body if isinstance(tree, ast.ClassDef) else ()
    said: dict[str, str] = {}
    for field, below in zip(body, [*body[1:], ast.Pass()], strict=True):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            text = below.value if isinstance(below, ast.Expr) else None
            said[field.target.id] = " ".join(str(ast.literal_eval(text)).split()) if text else ""
    return said


def _sections(section: type[Section], name: str, file: str = "") -> Iterator[str]:
    """Yield a section, if it has keys of its own, then the sections in it."""
    schema = section.model_json_schema(by_alias=True)
    inner = {key: (field, _section_in(field)) for key, field in section.model_fields.items()}
    own = [key for key, (_, within) in inner.items() if within is None]
    if section is Roles:
        yield from _roles(name)
        return
    if own:
        yield f"\n### `{name or file}`\n\n{inspect.getdoc(section)}\n\n"
        yield from (_key(key, section, schema) for key in own)
    for key, (field, within) in inner.items():
        if within:
            title = _title(f"{name.strip('[]')}.{key}".lstrip("."), field)
            yield from _sections(within, title)


def _roles(name: str) -> Iterator[str]:
    """Yield the keys that all roles have, and the roles themselves."""
    yield from _sections(Role, f"{name[:-1]}.ROLE]")
    yield f"\n{inspect.getdoc(Roles)}\n\n" + "".join(f"- `{role}`: {about}\n" for role, about in words(Roles).items())


def _section_in(field: FieldInfo) -> type[Section] | None:
    """Return the section that a field holds, or holds many of."""
    for part in (field.annotation, *get_args(field.annotation)):
        if isinstance(part, type) and issubclass(part, Section):
            return part
    return None


def _title(path: str, field: FieldInfo) -> str:
    kind = str(field.annotation)
    if "tuple" in kind:
        return f"[[{path}]]"
    return f"[{path}.NAME]" if "Mapping" in kind or "dict" in kind else f"[{path}]"


def _key(key: str, section: type[Section], schema: dict[str, Any]) -> str:
    """Return one line: the key, what may stand there, and what it means."""
    field = section.model_fields[key]
    name = field.alias or key
    about = schema["properties"][name]
    default = "" if field.is_required() else _default(about)
    return f"- `{name}` ({_value(about, schema.get('$defs', {}))}{default}): {words(section)[key]}\n"


def _default(about: dict[str, Any]) -> str:
    match about.get("default"):
        case None | "" | []:
            return "; optional"
        case value:
            return f"; default `{str(value).lower()}`"


def _value(about: dict[str, Any], known: dict[str, Any]) -> str:
    """Return what may stand there, in words."""
    if "$ref" in about:
        return _value(known[about["$ref"].rpartition("/")[2]] | {k: v for k, v in about.items() if k != "$ref"}, known)
    if "anyOf" in about:
        return " or ".join(_value(part, known) for part in about["anyOf"] if part.get("type") != "null")
    if "enum" in about:
        return ", ".join(f"`{value}`" for value in about["enum"])
    if about.get("type") == "array":
        return f"list of {_value(about['items'], known)}"
    if about.get("minLength") == 1:
        return "text"
    kind = {"date": "day", "string": "text", "integer": "whole number", "boolean": "`true` or `false`"}
    word = kind.get(about.get("format", about["type"]), str(about["type"]))
    return ", ".join([word, *(text.format(f"{about[key]:g}") for key, text in BOUNDS.items() if key in about)])
