"""Short hashes that tell whether cases, code, evaluators or models changed between two runs."""

import hashlib
import io
import json
import tokenize
from collections.abc import Iterator
from pathlib import Path

HASH_LENGTH = 12
"""In hexadecimal digits: 48 bits are plenty for the few versions of one project."""


def json_hash(value: object) -> str:
    """Return the hash of a JSON value; the order of keys does not matter."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_LENGTH]


def code_hash(code: Path) -> str:
    """Return the hash of every Python file of a package, or of a single module."""
    files, base = ([code], code.parent) if code.is_file() else (sorted(code.rglob("*.py")), code)
    return json_hash({file.relative_to(base).as_posix(): file.read_text(encoding="utf-8") for file in files})


def source_hash(name: str, source: str) -> str:
    """Return the hash of a function's module; comments, blank lines and imports do not change it.

    Args:
        name: The function, so that two functions of one module differ.
        source: The text of the module.
    """
    return json_hash([name, *_significant_tokens(source)])


def _significant_tokens(source: str) -> Iterator[str]:
    in_import = starts_line = True
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if starts_line:
            in_import = token.string in {"import", "from"}
        starts_line = token.type in {tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.NL}
        if not in_import and token.type not in {tokenize.COMMENT, tokenize.NL}:
            yield token.string
