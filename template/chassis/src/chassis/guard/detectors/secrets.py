"""Keys, tokens and passwords: by the shapes that vendors give them, by where they stand, by what they are called."""

import re

from chassis.credentials import BASIC, BEARER, IN_ADDRESS, SHAPED
from chassis.guard.detectors.detector import Detector

PRIVATE_KEY = re.compile(
    r"-----BEGIN (?P<what>[A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?)-----"
    r"(?:(?:[^-]|-(?!----)){1,20000}+-----END (?P=what)-----|(?:(?:\s|\\[nr])*+[A-Za-z0-9+/=]{16,}+)++)"
)
NAMES = (
    r"pass(?:word|wd|code|phrase|wort)|\bpwd?\b|kennwort|mot de passe|contraseña|密码|口令|パスワード",
    r"secret|geheimnis|token|jeton|令牌|トークン|api[-_ ]?(?:key|schlüssel)|(?:access|account|auth|signing)[-_ ]?key",
)
CALLED = (
    *(
        "pass",
        "pw",
        "kennwort",
        "contraseña",
        "密码",
        "口令",
        "パスワード",
        "secret",
        "geheimnis",
        "token",
        "jeton",
        "令牌",
    ),
    *("トークン", "key", "schlüssel"),
)
"""In lower case, one of these is part of every name above."""
UNQUOTED = r"[^\s\"'<>,;，。；、]"
NAMED = re.compile(
    rf"(?:{'|'.join(NAMES)})\w{{0,16}}[\"']?"
    r"\s{0,4}(?:[:=：]|\b(?:is|to|ist|lautet|est|es)\b|是|为|は)\s{0,4}[\"']?"
    rf"(?P<value>{UNQUOTED}{{5,199}}[^\s\"'<>,;，。；、.:)])",
    re.IGNORECASE,
)
CODE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+|.*[()\[\]{}].*|\$.*")
"""What follows a name in a program is often no value but where it comes from."""


def has_a_digit(text: str) -> bool:
    """Tell keys from words of the same beginning."""
    return any(char.isdigit() for char in text)


def is_chosen(text: str) -> bool:
    """Tell a password from the word that happens to follow: letters, and digits or signs among them."""
    signs = any(char in "!$%&*+=?@#^~" for char in text) or has_a_digit(text)
    return signs and any(char.isalpha() for char in text) and not CODE.fullmatch(text)


DETECTORS = (
    Detector("secret", PRIVATE_KEY, needs=("private key",)),
    Detector("secret", IN_ADDRESS, needs=("://",)),
    Detector("secret", SHAPED),
    Detector("secret", BEARER, has_a_digit, needs=("bearer",)),
    Detector("secret", BASIC, needs=("authorization",)),
    Detector("secret", NAMED, is_chosen, needs=CALLED),
)
