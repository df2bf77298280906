"""What `Finder` finds and what it does not, how well on the corpus, how fast, and how values are restored."""

import re
import time

import pytest
from chassis.contract import SensitiveKind, SensitiveMatch
from chassis.privacy import contact_details, id_numbers, secrets
from chassis.privacy.detector import LazyPattern, lazy_pattern
from chassis.privacy.finder import Finder
from chassis.privacy.placeholders import Placeholders
from hypothesis import given, settings
from hypothesis import strategies as st
from sensitive.corpus import FILE, load, written
from sensitive.measure import MEASURED, measure

ALL = Finder(MEASURED)
EVERY_PATTERN = {
    f"{module.__name__}.{name}": (vars(value)["_pattern"], vars(value)["_flags"])
    for module in (contact_details, id_numbers, secrets)
    for name, value in vars(module).items()
    if isinstance(value, LazyPattern)
}
NUMBER = re.compile("[0-9]+")
SECONDS_FOR_100_KB = 3.0
"""Ten times what the slowest text takes. A pattern that backtracks takes minutes."""


@pytest.mark.parametrize("name", EVERY_PATTERN)
def test_a_pattern_that_is_compiled_late_is_a_pattern(name: str) -> None:
    """A mistake in one would come to light only when a text needs it."""
    pattern, flags = EVERY_PATTERN[name]

    assert lazy_pattern(pattern, flags).groupindex == re.compile(pattern, flags).groupindex


def test_a_pattern_is_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not when it is written down, and not again."""
    compiled: list[str] = []

    def compile_pattern(pattern: str, _: int) -> re.Pattern[str]:
        compiled.append(pattern)
        return NUMBER

    monkeypatch.setattr(re, "compile", compile_pattern)
    pattern = lazy_pattern("[0-9]+")
    assert compiled == []

    assert [pattern.findall(text) for text in ("1 and 2", "3")] == [["1", "2"], ["3"]]
    assert compiled == ["[0-9]+"]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("email", "ann.o-neil+x@mail.example.co.uk"),
        ("card", "4111 1111 1111 1111"),
        ("card", "378282246310005"),
        ("iban", "DE89 3704 0044 0532 0130 00"),
        ("iban", "GB29NWBK60161331926819"),
        ("national_id", "078-05-1120"),
        ("national_id", "QQ123456C".replace("QQ", "AB")),
        ("national_id", "86 095 742 719"),
        ("national_id", "2 55 08 14 168 025 38"),
        ("ip", "203.0.113.7"),
        ("ip", "2001:db8::8a2e:370:7334"),
        ("secret", "sk-proj-abcdefghijklmnop1234"),
        ("secret", "AKIAIOSFODNN7EXAMPLE"),
        ("phone", "+49 30 901820"),
        ("phone", "(030) 901-82000"),
    ],
)
def test_a_sensitive_value_is_found_with_its_kind(kind: SensitiveKind, value: str) -> None:
    """It is found as a whole, and as the right kind although all kinds are searched."""
    text = f"Please note {value}, thanks."

    assert [(item.kind, text[item.start : item.end]) for item in ALL.find(text)] == [(kind, value)]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("phone", "+1234567"),
        ("phone", "+49 30 901"),
        ("national_id", "AB123456C"),
        ("national_id", "AB 12 34 56 C"),
        ("iban", "GB85ABCDEFGHIJKLMNOPQR"),
        ("card", "4222222222222"),
    ],
)
def test_a_value_with_few_digits_is_found(kind: SensitiveKind, value: str) -> None:
    """A text with fewer digits than `FEWEST_DIGITS` is not searched, so these must not have fewer."""
    assert [item.kind for item in Finder((kind,)).find(f"It is {value}.")] == [kind]


@pytest.mark.parametrize(
    "text",
    [
        "Order 4111 1111 1111 1112 is not a card: its checksum is wrong.",
        "Version 3.12.1 came on 2026-11-23 at 15:04:05.",
        "DE89 3704 0044 0532 0130 01 fails the IBAN check, 86 095 742 718 the German one.",
        "The budget is $300.00 a month, 20.00 a day, for 10000 users.",
        "std::vector and chassis::guard are names.",
    ],
)
def test_similar_text_is_not_found(text: str) -> None:
    """Numbers with a wrong check digit, dates, versions and amounts are not sensitive."""
    assert ALL.find(text) == []


def test_a_value_has_one_placeholder_and_is_restored() -> None:
    """A value has the same placeholder each time, also in a later message."""
    placeholders = Placeholders()
    text = "a@x.example wrote to b@x.example, and a@x.example again"

    redacted = ALL.redact(text, placeholders)

    assert redacted == "[EMAIL_1] wrote to [EMAIL_2], and [EMAIL_1] again"
    assert ALL.redact("b@x.example", placeholders) == "[EMAIL_2]"
    assert placeholders.restore(redacted) == text


def test_an_invented_placeholder_is_not_restored() -> None:
    """What a model makes up stays as it is, and no later value takes its place."""
    placeholders = Placeholders()
    ALL.redact("a@x.example", placeholders)

    assert placeholders.restore("[EMAIL_1], [EMAIL_2] and [NOTHING_7]") == "a@x.example, [EMAIL_2] and [NOTHING_7]"
    assert ALL.redact("[EMAIL_2] is not b@x.example", placeholders) == "[EMAIL_2] is not [EMAIL_3]"


def test_typographic_characters_do_not_hide_values() -> None:
    """Narrow spaces, dashes and full-width digits are searched as ASCII, and the value is restored as it was typed."""
    text = "携帯：０９０−１２３４−５６７８、Tél. 01\u202f99\u202f00\u202f12\u202f34"
    placeholders = Placeholders()

    redacted = ALL.redact(text, placeholders)

    assert redacted == "携帯：[PHONE_1]、Tél. [PHONE_2]"
    assert placeholders.restore(redacted) == text


@given(st.text(alphabet=st.sampled_from("[]EMAIL_12@. ax:-+0435"), max_size=60) | st.text(max_size=60))
def test_every_text_is_restored_exactly(text: str) -> None:
    """Also a text that contains placeholders itself."""
    placeholders = Placeholders()

    assert placeholders.restore(ALL.redact(text, placeholders)) == text


def find_people(text: str) -> list[SensitiveMatch]:
    """Find the names of two people, with the address after one of them."""
    names = [("Ada Byron", len("Ada Byron")), ("Bo <", len("Bo <bo@x.example>"))]
    return [
        SensitiveMatch("name", text.index(name), text.index(name) + length) for name, length in names if name in text
    ]


def test_a_recognizer_adds_matches() -> None:
    """They are redacted like any other, but only if their kind is searched."""
    text, finder = "Ada Byron called.", Finder(("name",), (find_people,))

    assert finder.redact(text, Placeholders()) == "[NAME_1] called."
    assert Finder(("email",), (find_people,)).redact(text, Placeholders()) == text


def test_overlapping_matches_are_redacted_completely() -> None:
    """The pattern keeps its kind, and the rest of the recognizer's match is redacted as the recognizer says."""
    finder, placeholders = Finder(("name", "email"), (find_people,)), Placeholders()

    redacted = finder.redact("Write to Bo <bo@x.example>!", placeholders)

    assert redacted == "Write to [NAME_1][EMAIL_1][NAME_2]!"
    assert placeholders.restore(redacted) == "Write to Bo <bo@x.example>!"


@pytest.mark.parametrize("span", [(-1, 3), (2, 2), (0, 99)])
def test_a_match_outside_the_text_is_an_error(span: tuple[int, int]) -> None:
    """The message names the recognizer, its match and the length of the text."""
    finder = Finder(("name",), (lambda _: [SensitiveMatch("name", *span)],))

    with pytest.raises(ValueError, match=r"returned SensitiveMatch\(kind='name'.*the text has 3 characters"):
        finder.find("Ada")


@pytest.mark.parametrize("unseen", [False, True], ids=["seen", "unseen"])
@pytest.mark.parametrize("kind", MEASURED)
def test_the_quality_on_the_corpus_does_not_fall(kind: SensitiveKind, unseen: bool) -> None:  # noqa: FBT001 - a parameter
    """Recall and precision stay above these floors, also on sentences that no pattern was written for."""
    score = measure(each for each in load() if each.form == "plain" and each.unseen is unseen)[kind]
    recall, precision, leaks = FLOORS[kind]

    assert score.recall >= recall, score
    assert score.precision >= precision, score
    assert score.leaked <= leaks, score


FLOORS: dict[SensitiveKind, tuple[float, float, int]] = {
    "email": (1.0, 1.0, 0),
    "phone": (1.0, 1.0, 0),
    "card": (0.97, 0.95, 1),
    "iban": (1.0, 1.0, 0),
    "national_id": (1.0, 0.98, 0),
    "ip": (1.0, 1.0, 0),
    "secret": (1.0, 1.0, 0),
}
"""By kind: recall, precision, and how many values may be left in the text, wholly or in part."""


def test_the_corpus_is_generated_from_its_sentences() -> None:
    """It is not edited by hand. It is large, in many languages, and a quarter of it is harmless."""
    sentences = load()

    assert FILE.read_text(encoding="utf-8") == written()
    assert len(sentences) >= 600
    assert sum(not sentence.labels for sentence in sentences) >= len(sentences) / 4
    assert {sentence.language for sentence in sentences} == {"en", "de", "fr", "zh", "ja", "ar", "fa", "hi"}


CHARACTERS = st.text(alphabet=st.sampled_from("a1Z0 @.:-+/_=([\"'\\n你,é"), min_size=1, max_size=6)
BEGINNINGS = st.sampled_from(
    [
        *(
            "-----BEGIN " + "PRIVATE KEY-----",
            "password=",
            "bearer ",
            "://a:",
            "eyJaaaaaaaa.",
            "DE11 ",
            "phone is ",
            "电话：",
        ),
        *("ssn 1", "4111 1111 1111 1111 ", "ada@example.com ", "fe80::"),
        *(r"\n", r"\u0040", "%40", "%2540", "&#64;", "&amp;", "\u200b", "\x1b[1m", "<b>", "\t", "４", "٤", "—", "1+"),
        *("password ", "--password ", "**password:** ", "login -p ", "?token=", "密码是", "AB 12 ", "a@", "\u0130"),
    ]
)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.lists(CHARACTERS | BEGINNINGS, min_size=1, max_size=3))
def test_every_text_is_searched_in_linear_time(units: list[str]) -> None:
    """No crafted text of 100 kB can keep the service busy."""
    unit = "".join(units)
    text = (unit * (100_000 // len(unit) + 1))[:100_000]

    started = time.process_time()
    ALL.find(text)

    assert time.process_time() - started < SECONDS_FOR_100_KB
