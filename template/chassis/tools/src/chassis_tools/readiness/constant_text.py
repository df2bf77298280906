"""Computes the texts that Python code puts together from constants, such as `"api." + HOST`, without running it."""

import ast
import base64
import binascii
import codecs
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress

MAX_ENCODED = 4096
MAX_COMPUTED = 4096
"""The most characters of a text that is put together, so that no code makes the scan run out of memory."""
BLOCKS = ("body", "handlers", "orelse", "finalbody", "cases")
"""Where a statement has others."""
UNCHANGED = frozenset({"lower", "strip", "decode", "encode", "casefold", "as_posix"})
"""Methods that leave a text as it is, for the purpose of a search."""


class ConstantText:
    """The constants of one file.

    Args:
        tree: The file.
    """

    def __init__(self, tree: ast.AST) -> None:
        self._known: dict[str, str] = {}
        for node in _statements(tree):
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value:
                for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                    self._note(target, node.value)

    def _note(self, target: ast.expr, value: ast.expr) -> None:
        if not isinstance(target, ast.Name | ast.Attribute):
            return
        name = last_name(target)
        if isinstance(value, ast.Dict):
            for key, item in zip(value.keys, value.values, strict=True):
                if key and (place := self.of(key)) and (text := self.of(item)):
                    self._known[f"{name}[{place}]"] = text
        elif (text := self.of(value)) is not None:
            self._known[name] = text

    def of(self, node: ast.expr) -> str | None:
        """Return the text of an expression, or None if no part is known. An unknown part of it is left out."""
        match node:
            case ast.Constant(value=str() | bytes() as value):
                text = _as_text(value)
            case ast.Name() | ast.Attribute():
                text = self._known.get(last_name(node))
            case ast.BinOp():
                text = self._combined(node)
            case ast.JoinedStr(values=values):
                text = "".join(self.of(value) or "" for value in values)
            case ast.FormattedValue(value=value):
                text = self.of(value)
            case ast.Subscript(value=value, slice=ast.Slice() as part):
                text = self._sliced(value, part)
            case ast.Subscript(value=ast.Name() | ast.Attribute() as value, slice=key):
                text = self._known.get(f"{last_name(value)}[{self.of(key)}]")
            case ast.Call():
                text = self._called(node)
            case _:
                text = None
        return text

    def _combined(self, node: ast.BinOp) -> str | None:
        match node:
            case ast.BinOp(op=ast.Add()):
                text = self._joined([node.left, node.right], "")
            case ast.BinOp(op=ast.Mod()):
                text = self._filled(node.left, list(parts(node.right)), r"%s")
            case ast.BinOp(op=ast.Mult(), right=ast.Constant(value=int() as count)):
                text = ((self.of(node.left) or "")[:MAX_COMPUTED] * min(count, MAX_COMPUTED))[:MAX_COMPUTED] or None
            case _:
                text = None
        return text

    def _called(self, node: ast.Call) -> str | None:
        match node:
            case ast.Call(func=ast.Name(id="chr"), args=[ast.Constant(value=int() as code)]):
                text = _characters([code])
            case ast.Call(func=ast.Name(id="bytes" | "bytearray"), args=[ast.List() | ast.Tuple() as items]):
                text = _characters(_integers(items))
            case ast.Call(func=ast.Attribute(attr="join", value=separator), args=[items]):
                text = self._joined_items(items, self.of(separator) or "")
            case ast.Call(func=ast.Attribute(attr="format", value=form), args=arguments):
                text = self._filled(form, arguments, r"\{\w*\}")
            case ast.Call(func=ast.Attribute(attr="replace", value=value), args=[old, new]):
                before, after = self.of(old), self.of(new)
                text = self.of(value)
                if text is not None and before and after is not None:
                    text = text[:MAX_COMPUTED].replace(before, after[:MAX_COMPUTED])[:MAX_COMPUTED]
            case ast.Call(func=ast.Attribute(attr="which"), args=[name]):
                text = self.of(name)
            case ast.Call(func=ast.Attribute(attr=method, value=value)) if method in UNCHANGED:
                text = self.of(value)
            case _:
                text = None
        return text

    def _joined_items(self, items: ast.expr, separator: str) -> str | None:
        match items:
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                return self._joined(elements, separator)
            case ast.Call(func=ast.Name(id="map"), args=[ast.Name(id="chr"), codes]):
                return _characters(_integers(codes))
            case (
                ast.GeneratorExp(elt=ast.Call(func=ast.Name(id="chr")), generators=[loop])
                | ast.ListComp(elt=ast.Call(func=ast.Name(id="chr")), generators=[loop])
            ):
                return _characters(_integers(loop.iter))
            case _:
                return None

    def _joined(self, items: Sequence[ast.expr], separator: str) -> str | None:
        texts = [text for item in items if (text := self.of(item)) is not None]
        return separator.join(texts)[:MAX_COMPUTED] if texts else None

    def _filled(self, form: ast.expr, arguments: Sequence[ast.expr], gap: str) -> str | None:
        text = self.of(form)
        values = iter([self.of(argument) or "" for argument in arguments])
        return None if text is None else re.sub(gap, lambda _: next(values, ""), text)[:MAX_COMPUTED]

    def _sliced(self, value: ast.expr, part: ast.Slice) -> str | None:
        text = self.of(value)
        try:
            bounds = [
                None if bound is None else int(ast.literal_eval(bound)) for bound in (part.lower, part.upper, part.step)
            ]
        except (ValueError, TypeError):
            return text
        return None if text is None or bounds[2] == 0 else text[slice(*bounds)]


def _statements(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the statements of a file, the outer ones first, without their expressions, which are most of a file."""
    found = [tree]
    for node in found:  # a list that grows
        yield node
        for block in BLOCKS:
            found += getattr(node, block, ())


def encoded_forms(text: str) -> Iterator[str]:
    """Yield each form of a text that could be a host: as it is, reversed, rotated by 13 letters, and decoded."""
    if "." in text:
        yield from (text, text[::-1], codecs.encode(text, "rot13"))
    if 12 <= len(text) <= MAX_ENCODED and re.fullmatch(r"[\w+/=-]+", text):  # noqa: PLR2004 - the shortest host
        for decode in (base64.b64decode, base64.urlsafe_b64decode, bytes.fromhex):
            with suppress(ValueError, binascii.Error):
                yield decode(text).decode()


def parts(node: ast.expr) -> Iterator[ast.expr]:
    """Yield the elements of a list or tuple, or the expression itself."""
    if isinstance(node, ast.List | ast.Tuple):
        yield from node.elts
    else:
        yield node


def last_name(node: ast.Name | ast.Attribute) -> str:
    """Return the last name of a chain of attributes, by which the constants of a file are known."""
    return node.id if isinstance(node, ast.Name) else node.attr


def _integers(node: ast.expr) -> list[int]:
    return [item.value for item in parts(node) if isinstance(item, ast.Constant) and isinstance(item.value, int)]


def _characters(codes: Sequence[int]) -> str:
    return "".join(chr(code) for code in codes if 0 < code < 0x110000)  # noqa: PLR2004 - the last character of Unicode


def _as_text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")
