"""What keys, tokens and passwords look like, for all who must let none out: the redaction, and the log."""

import re

from chassis.privacy.detector import Detector

START, WORD, ALNUM = r"(?<![A-Za-z0-9])", r"[A-Za-z0-9_-]", r"[A-Za-z0-9]"
SHAPES = (
    rf"[sprc]k[-_](?=[A-Za-z_-]{{0,60}}\d){WORD}{{16,}}",  # OpenAI, Anthropic, Stripe, ours; words have no digits
    rf"(?:whsec|gh[pousr]|npm|hf|glsa|shp(?:at|ss)|gsk|xai|nvapi|r8)[_-]{ALNUM}{{20,}}",
    r"(?:github_pat|dop_v1|doo_v1|lin_api)_\w{20,}",
    rf"(?:gl(?:pat|rt|dt)|pypi|xkeysib|xox[abeoprs]|xapp|GOCSPX)-{WORD}{{16,}}",
    rf"A(?:KIA|SIA|BIA|CCA)[A-Z2-7]{{16}}(?!{ALNUM})|AIza{WORD}{{35}}|ya29\.{WORD}{{20,}}",  # AWS, Google
    rf"(?:dapi|SK|key-)[0-9a-f]{{32}}(?!{ALNUM})",  # Databricks, Twilio, Mailgun
    rf"SG\.{WORD}{{16,}}\.{WORD}{{16,}}",  # SendGrid
    rf"\d{{8,10}}:AA{WORD}{{33}}",  # Telegram
    rf"eyJ{WORD}{{8,}}\.{WORD}{{4,}}\.{WORD}*",  # JSON web tokens
    r"https://hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/]{20,}",
)
SHAPED = re.compile(START + "(?:" + "|".join(SHAPES) + ")", re.ASCII)
BEARER = re.compile(rf"{START}bearer\s{{1,4}}(?P<value>[\w.~+/=-]{{16,}})", re.ASCII | re.IGNORECASE)
BASIC = re.compile(
    r"authorization[\"']?\s{0,4}[:=]\s{0,4}[\"']?(?:basic|token|apikey)\s{1,4}(?P<value>[\w.~+/=-]{8,})",
    re.ASCII | re.IGNORECASE,
)
IN_ADDRESS = re.compile(r"://[^\s/:@\"'<>]{0,64}:(?P<value>[^\s/@\"'<>]{3,200})@")


def hide_secrets(text: str) -> str:
    """Return a text in which `[SECRET]` stands for every credential; what is around one stays readable."""
    text = SHAPED.sub("[SECRET]", text)
    if "://" in text:
        text = _without_value(IN_ADDRESS, text)
    lowered = text.lower()
    if "bearer" in lowered:
        text = _without_value(BEARER, text)
    return _without_value(BASIC, text) if "authorization" in lowered else text


def _without_value(pattern: re.Pattern[str], text: str) -> str:
    def shown(found: re.Match[str]) -> str:
        begin, end = (place - found.start() for place in found.span("value"))
        return found[0][:begin] + "[SECRET]" + found[0][end:]

    return pattern.sub(shown, text)


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


SECRET = (
    Detector("secret", PRIVATE_KEY, needs=("private key",)),
    Detector("secret", IN_ADDRESS, needs=("://",)),
    Detector("secret", SHAPED),
    Detector("secret", BEARER, has_a_digit, needs=("bearer",)),
    Detector("secret", BASIC, needs=("authorization",)),
    Detector("secret", NAMED, is_chosen, needs=CALLED),
)
