"""Detectors for keys, tokens and passwords, and the function that keeps them out of the log."""

import re

from chassis.privacy.detector import Detector

START, WORD, ALNUM = r"(?<![A-Za-z0-9])", r"[A-Za-z0-9_-]", r"[A-Za-z0-9]"
KEY_FORMATS = (
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
KEY = re.compile(START + "(?:" + "|".join(KEY_FORMATS) + ")", re.ASCII)
"""A key or token in the format of a known vendor."""
BEARER = re.compile(rf"{START}bearer\s{{1,4}}(?P<value>[\w.~+/=-]{{16,}})", re.ASCII | re.IGNORECASE)
AUTHORIZATION = re.compile(
    r"authorization[\"']?\s{0,4}[:=]\s{0,4}[\"']?(?:basic|token|apikey)\s{1,4}(?P<value>[\w.~+/=-]{8,})",
    re.ASCII | re.IGNORECASE,
)
URL_PASSWORD = re.compile(r"://[^\s/:@\"'<>]{0,64}:(?P<value>[^\s/@\"'<>]{3,200})@")
PRIVATE_KEY = re.compile(
    r"-----BEGIN (?P<what>[A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?)-----"
    r"(?:(?:[^-]|-(?!----)){1,20000}+-----END (?P=what)-----|(?:(?:\s|\\[nr])*+[A-Za-z0-9+/=]{16,}+)++)"
)
SECRET_NAMES = (
    r"pass(?:word|wd|code|phrase|wort)|\bpwd?\b|kennwort|mot de passe|contraseña|密码|口令|パスワード",
    r"secret|geheimnis|token|jeton|令牌|トークン|api[-_ ]?(?:key|schlüssel)|(?:access|account|auth|signing)[-_ ]?key",
)
SECRET_NAME_PARTS = (
    *("pass", "pw", "kennwort", "contraseña", "密码", "口令", "パスワード"),
    *("secret", "geheimnis", "token", "jeton", "令牌", "トークン", "key", "schlüssel"),
)
"""Every name above contains one of these in lower case, so a text without any of them need not be searched."""
UNQUOTED = r"[^\s\"'<>,;，。；、]"
NAMED_SECRET = re.compile(
    rf"(?:{'|'.join(SECRET_NAMES)})\w{{0,16}}[\"']?"
    r"\s{0,4}(?:[:=：]|\b(?:is|to|ist|lautet|est|es)\b|是|为|は)\s{0,4}[\"']?"
    rf"(?P<value>{UNQUOTED}{{5,199}}[^\s\"'<>,;，。；、.:)])",
    re.IGNORECASE,
)
"""A value that is announced by its name, such as `password: ...` or "the token is ..."."""
CODE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+|.*[()\[\]{}].*|\$.*")
"""An expression: after the name of a secret, source code often has the place that it comes from."""


def has_digit(text: str) -> bool:
    """Return whether there is a digit, which tells keys from words with the same beginning."""
    return any(char.isdigit() for char in text)


def looks_like_password(text: str) -> bool:
    """Return whether there are letters, and digits or punctuation among them, unlike in most words."""
    mixed = any(char in "!$%&*+=?@#^~" for char in text) or has_digit(text)
    return mixed and any(char.isalpha() for char in text) and not CODE.fullmatch(text)


SECRET_DETECTORS = (
    Detector("secret", PRIVATE_KEY, needs=("private key",)),
    Detector("secret", URL_PASSWORD, needs=("://",)),
    Detector("secret", KEY),
    Detector("secret", BEARER, has_digit, needs=("bearer",)),
    Detector("secret", AUTHORIZATION, needs=("authorization",)),
    Detector("secret", NAMED_SECRET, looks_like_password, needs=SECRET_NAME_PARTS),
)


def hide_secrets(text: str) -> str:
    """Replace every credential in a log text by `[SECRET]`.

    It finds fewer forms than the detectors: it runs on every log line, and a line has to stay readable.
    """
    text = KEY.sub("[SECRET]", text)
    if "://" in text:
        text = _hide_value(URL_PASSWORD, text)
    lowered = text.lower()
    if "bearer" in lowered:
        text = _hide_value(BEARER, text)
    return _hide_value(AUTHORIZATION, text) if "authorization" in lowered else text


def _hide_value(pattern: re.Pattern[str], text: str) -> str:
    def replacement(match: re.Match[str]) -> str:
        start, end = (position - match.start() for position in match.span("value"))
        return match[0][:start] + "[SECRET]" + match[0][end:]

    return pattern.sub(replacement, text)
