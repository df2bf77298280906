"""The labelled corpus that redaction is measured on: `python -m sensitive.corpus` writes it, `load` reads it.

Every sentence is one line of `corpus.jsonl`, its values marked in place: `Write to ⟦email:ada@example.org⟧.` The sign ¦
stands inside keys and passwords, so that no scanner takes the invented for the real; reading takes it out again.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from zlib import crc32

from chassis.contract import SensitiveKind
from sensitive.forms import FORMS, Form, as_it_is

HERE = Path(__file__).parent
FILE = HERE / "corpus.jsonl"
SEED = 20260401
RENDERINGS = 4
"""How often a sentence with a slot is written, each time with other values."""

KINDS: dict[SensitiveKind, str] = {
    "email": "email",
    "phone": "phone_us phone_uk phone_de phone_fr phone_cn phone_jp phone_world",
    "card": "card amex card19",
    "iban": "iban",
    "national_id": "ssn ssn_plain nino steuer_id svnr nir",
    "ip": "ipv4 ipv6",
    "secret": "api_key openai_key anthropic_key github_key slack_key stripe_key slack_hook azure_key hex_key aws_id "
    "bearer basic jwt private_key password url_password password_word two_words",
}
"""The kind of what each maker makes."""
CHARACTERS = {"LF": "\n", "TAB": "\t", "NBSP": "\u00a0", "ESC": "\x1b"}
CHARACTER = re.compile("<(" + "|".join(CHARACTERS) + ")>")

type Slot = Callable[[Random, Form], str]
MARK = re.compile(r"⟦(\w+):(.*?)⟧", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Label:
    """A sensitive value in a sentence: `text[start:end]`."""

    start: int
    end: int
    kind: SensitiveKind


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence and what is sensitive in it.

    Args:
        id: Its number in the corpus.
        language: Of the words around the values.
        form: How values are written: `plain`, or a form of `forms.txt`.
        unseen: Whether it was kept away from whoever wrote the patterns.
        text: The sentence.
        labels: The sensitive values in it.
    """

    id: int
    language: str
    form: str
    unseen: bool
    text: str
    labels: tuple[Label, ...]


def load(file: Path = FILE) -> list[Sentence]:
    """Read the corpus."""
    return [_parsed(json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]


def written() -> str:
    """Return the text of the corpus as the seed, the sentences and the makers give it."""
    random = Random(SEED)  # noqa: S311 - invented values need a seed, not secrecy
    rows = [
        {"id": number, "language": language, "form": form, "unseen": crc32(carrier.encode()) % 3 == 0, "text": text}
        for number, (form, language, carrier, text) in enumerate(_sentences(random), start=1)
    ]
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _parsed(row: dict[str, Any]) -> Sentence:
    marked, text, at = row["text"].replace("¦", ""), "", 0
    kinds: dict[str, SensitiveKind] = {kind: kind for kind in KINDS}
    labels: list[Label] = []
    for found in MARK.finditer(marked):
        text += marked[at : found.start()]
        labels.append(Label(len(text), len(text) + len(found[2]), kinds[found[1]]))
        text, at = text + found[2], found.end()
    return Sentence(row["id"], row["language"], row["form"], row["unseen"], text + marked[at:], tuple(labels))


def _sentences(random: Random) -> Iterator[tuple[str, str, str, str]]:
    """Yield form, language, sentence with slots, sentence with values."""
    slots = _slots()
    slot = re.compile(r"\{(" + "|".join(slots) + r")(?:~(\w+))?\}")

    def fill(match: re.Match[str]) -> str:
        return slots[match[1]](random, FORMS[match[2]] if match[2] else as_it_is)

    for name in ("carriers.txt", "lookalikes.txt", "forms.txt"):
        for line in (HERE / name).read_text(encoding="utf-8").splitlines():
            if line.startswith("#"):
                continue
            form, _, rest = line.partition(" | ") if name == "forms.txt" else ("plain", "", line)
            language, _, carrier = rest.partition(" | ")
            for _ in range(RENDERINGS if slot.search(carrier) else 1):
                yield form, language, carrier, CHARACTER.sub(lambda m: CHARACTERS[m[1]], slot.sub(fill, carrier))


def _slots() -> dict[str, Slot]:
    """Return what fills each slot, given how the value is to be written."""
    from sensitive import credentials, decoys, makers

    makes: dict[str, Callable[[Random], str]] = {**vars(credentials), **vars(makers)}
    makes |= {f"{vendor}_key": _key_of(vendor) for vendor in ("openai", "anthropic", "github", "slack", "stripe")}
    labelled = {slot: _labelled(kind, makes[slot]) for kind, slots in KINDS.items() for slot in slots.split()}
    decoy: Mapping[str, Callable[[Random], str]] = vars(decoys)
    return {
        **{name: _unlabelled(decoy[name]) for name in decoy if callable(decoy[name])},
        **labelled,
        "aws_secret_line": lambda random, _: "aws_secret_access_key=" + _mark("secret", credentials.aws_secret(random)),
    }


def _key_of(vendor: str) -> Callable[[Random], str]:
    from sensitive import credentials

    return lambda random: credentials.api_key(random, vendor)


def _labelled(kind: str, make: Callable[[Random], str]) -> Slot:
    return lambda random, form: _mark(kind, form(random, make(random)))


def _unlabelled(make: Callable[[Random], str]) -> Slot:
    return lambda random, form: form(random, make(random))


def _mark(kind: str, value: str) -> str:
    return f"⟦{kind}:{'¦'.join(re.findall('.{1,7}', value, re.DOTALL)) if kind == 'secret' else value}⟧"


if __name__ == "__main__":
    FILE.write_text(written(), encoding="utf-8")
