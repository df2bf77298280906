"""Detectors for secrets: those in the format of a known vendor, and any that follow a name such as `password`."""

import re
from collections.abc import Iterator

from chassis.contract import SensitiveMatch
from chassis.privacy.detector import CJK, Detector, lazy_pattern, without_emphasis

START, WORD, ALNUM = r"(?<![A-Za-z0-9])", r"[A-Za-z0-9_-]", r"[A-Za-z0-9]"
KEY_FORMATS = (
    rf"[sprc]k[-_](?=[A-Za-z_-]{{0,60}}\d){WORD}{{16,}}",  # OpenAI, Anthropic, Stripe, ours; words have no digits
    rf"(?:whsec|gh[pousr]|npm|hf|glsa|shp(?:at|ss)|gsk|xai|nvapi|r8)[_-]{ALNUM}{{20,}}",
    r"(?:github_pat|dop_v1|doo_v1|lin_api)_\w{20,}",
    rf"(?:gl(?:pat|rt|dt)|pypi|xkeysib|xox[abeoprs]|xapp|GOCSPX)-{WORD}{{16,}}",
    rf"A(?:KIA|SIA|BIA|CCA)[A-Z2-7]{{16}}(?!{ALNUM})|AIza{WORD}{{35}}|ya29\.{WORD}{{20,}}",  # AWS, Google
    rf"(?:dapi|key-)[0-9a-f]{{32}}(?!{ALNUM})",  # Databricks, Mailgun
    rf"SG\.{WORD}{{16,}}\.{WORD}{{16,}}",  # SendGrid
    rf"eyJ{WORD}{{8,}}\.{WORD}{{4,}}\.{WORD}*",  # JSON web tokens
    r"https://hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/]{20,}",
)
KEY = lazy_pattern(START + "(?:" + "|".join(KEY_FORMATS) + ")", re.ASCII)
"""A key or token in the format of a known vendor."""
KEY_STARTS = (
    *("sk-", "pk-", "rk-", "ck-", "sk_", "pk_", "rk_", "ck_", "whsec", "ghp", "gho", "ghu", "ghs", "ghr"),
    *("npm", "hf", "glsa", "shpat", "shpss", "gsk", "xai", "nvapi", "r8", "github_pat", "dop_v1", "doo_v1"),
    *("lin_api", "glpat", "glrt", "gldt", "pypi", "xkeysib", "xox", "xapp", "gocspx", "akia", "asia", "abia"),
    *("acca", "aiza", "ya29", "dapi", "key-", "sg.", "eyj", "https://hooks"),
)
"""How these keys start, in lower case."""
LONG_WORD = re.compile(r"(?<![a-z0-9_.:/-])[a-z0-9_.:/-]{17,}")
"""As long as the shortest key, and all that it consists of, in lower case."""
TELEGRAM_KEY = lazy_pattern(rf"{START}\d{{8,10}}:AA{WORD}{{33}}", re.ASCII)
TWILIO_KEY = lazy_pattern(rf"SK(?<!{ALNUM}SK)[0-9a-f]{{32}}(?!{ALNUM})")
"""It begins with what is searched for, not with what is before it, so that it is found fast."""
BEARER = lazy_pattern(rf"{START}bearer\s{{1,4}}(?P<value>[\w.~+/=-]{{16,}})", re.ASCII | re.IGNORECASE)
AUTHORIZATION = lazy_pattern(
    r"authorization[\"']?\s{0,4}[:=]\s{0,4}[\"']?(?:basic|token|apikey)\s{1,4}(?P<value>[\w.~+/=-]{8,})",
    re.ASCII | re.IGNORECASE,
)
URL_PASSWORD = lazy_pattern(r"://[^\s/:@\"'<>]{0,64}:(?P<value>[^\s/@\"'<>]{3,200})@")
PRIVATE_KEY = lazy_pattern(
    r"-----BEGIN (?P<what>[A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?)-----"
    r"(?:(?:[^-]|-(?!----)){1,20000}+-----END (?P=what)-----|(?:(?:\s|\\[nr])*+[A-Za-z0-9+/=]{16,}+)++)"
)

NAME_PARTS = (
    *("pass", "pw", "kennwort", "contraseña", "senha", "wachtwoord", "lösenord", "hasło", "heslo", "salasana", "şifre"),
    *("пароль", "密码", "口令", "パスワード", "비밀번호"),
    *("secret", "geheimnis", "token", "jeton", "令牌", "トークン", "key", "schlüssel"),
)
"""Every name contains one of these, so only what is around them is searched."""
BEFORE_PART, AFTER_PART = 20, 80
"""How many characters at most stand before and from such a part on, in a name and in what decides whether it is one."""
NAME = lazy_pattern(
    r"(?:pass(?:word|wd|code|phrase|wort|(?<![a-z]pass)(?![a-z]))|pw(?<![a-z]pw)d?(?![a-z])|mot de passe|kennwort"
    r"|contraseña|senha|wachtwoord|lösenord|hasło|heslo|salasana|şifre|пароль|密码|口令|パスワード|비밀번호"
    r"|secret|geheimnis|token(?!s\": \d{1,20}[,}])|jeton|令牌|トークン|api[-_ ]?(?:key|schlüssel)"
    r"|(?:access|account|auth|encryption|master|private|session|shared|signing|subscription)[-_ ]?key)"
    # `token_type` names no token, and neither does `"input_tokens": 42`
    r"(?![\w-]{0,24}(?:algorithm|count|file|format|id|length|limit|name|path|policy|ttl|type|uri|url)(?![a-z]))"
    r"[a-z0-9_\u00C0-\u1FFF-]{0,16}"
)
"""The name of a secret, in lower case."""
OPTION = lazy_pattern(r"(?:(?<![\w-])--?(?:[a-z][\w-]{0,32})?|\b(?:env|setenv|setx)\s\w{0,32})\Z")
OPTION_SIGNS = ("-", "env", "setx")
"""One of these is in every option."""
OPTION_REACH = 40
"""How many characters before the name of a secret may make it an option of a command."""
ATTRIBUTES = r"(?:\s[\w:-]{1,40}=[\"'][^\"'<>]{0,80}[\"']){0,4}"
ASSIGNMENT = (
    r"[\"'`*_~\]”’»]{0,4}(?:\s\([^()\n]{1,20}\))?"  # ends what the name stands in
    rf"(?:\s{{0,4}}:\s{{0,4}}[A-Za-z][\w.\[\]]{{1,30}}\s{{0,4}}=|\s{{0,4}}(?:[:=：|]{{1,2}}|[=-]>|→)|\t|\(\s{{0,4}}(?=[\"'])|\s{{1,4}}(?<=[*_`]\s)-\s|{ATTRIBUTES}>|[\"']?{ATTRIBUTES}[\"'\s,:={{]{{1,24}}(?:value|content)[\"']?\s{{0,4}}[:=]"
    r"|[\"']?(?:</[\w:-]{1,20}>|[^<>\n]{0,40}>)\s{0,20}<[\w:-]{1,20}>"
    r"|\s{0,4}(?:\b(?:is|to|ist|lautet|est|es)\b:?|是|为|は))"
    r"(?:\s{0,4}[!&][\w!]{1,20}(?=\s))?"  # a tag or an anchor of YAML
    r"(?:\s{0,4}[|>][+-]?\s{1,16})?[*_~\x1B]{0,4}\s{0,4}\x1B?"  # starts what the value stands in
    r"(?:[bfru]{1,2}(?=[\"']))?"
)
"""Leads from a name to its value: `name: value`, `name" value="value`, `<name>value`, `| name | value`."""
NEXT_ARGUMENT = r"[\"']?[\s,=]{1,4}"
"""Leads from an option to its value: `--name value`, `"--name", "value"`."""
CLOSING = r"[“”»«’‘」』]"
QUOTED = (
    r"(?:[\[(]\s{0,4})?(?:(?P<quote>[\"'`])|[„“«»‚‘「『])"
    rf"(?P<value>(?![\s,;)\]])(?:(?(quote)(?!(?P=quote)(?!\w))|(?!{CLOSING}))[^\r\n]){{6,200}})(?(quote)(?P=quote)|{CLOSING})"
)
"""A value in quotes, which may contain spaces."""
ELEMENT = rf"{ATTRIBUTES}>\s{{0,40}}(?P<value>[^<>\r\n]{{5,200}}[^<>\s])\s{{0,40}}</"
"""The text of an XML element, which may contain spaces too."""
ENDS = r"\s\"'<>,;“”»\0\x1B、。」』】！），；？،؛؟।"
"""What ends a value without quotes."""
SIGN = r"(?!&[\w.-]{1,40}=)(?(mark)(?!(?P=mark)(?!\w)))"
UNQUOTED = (
    r"[\"'`„“«‚‘「『]{0,3}(?:(?P<mark>[*_~]{1,3})(?=\S{6,200}?(?P=mark)(?!\w)))?(?P<value>"
    + "|".join(rf"(?:{SIGN}[^{ends}]){{5,199}}(?![.:)`|]){SIGN}[^{ends}]" for ends in (ENDS + CJK, ENDS))
    + ")"
)
"""A value that ends with the word, before Chinese or Japanese, or where the next parameter of a URL begins."""
NUMBER = r"[\"'`„“«‚‘「『]{0,3}(?P<value>-?\d[\d!#$%&*+./=?@^~_-]{4,198}\d)(?!\w)"
"""A value without letters."""
COUNTED = re.compile("token|jeton|令牌|トークン|key|schlüssel")
"""A number after one of these is a count or an id. After any other name of a secret it is a password."""
COMMAND_ARGUMENT = lazy_pattern(
    r"\b(?:curl|login|mariadb|mysql|psql|redis-cli|sshpass|wget)\b[^\n]{0,120}?\s"
    r"(?:-[ap]\s{0,3}|password\s{1,4}|(?:-u\s{0,3}|--user[\s=]\s{0,3})[\"']?[^\s:\"']{1,64}:)[\"']?"
    rf"(?P<value>[^{ENDS}]{{6,200}})"
)
"""The password in the arguments of a command that is known to take one."""
NETRC = lazy_pattern(
    rf"\b(?:login|machine)\s{{1,20}}\S{{1,100}}\s{{1,20}}password\s{{1,20}}(?P<value>[^{ENDS}]{{6,200}})"
)
"""The password in a `.netrc` file."""
CODE = lazy_pattern(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+|.*[()\[\]{}].*|\$[\w:.>-]+")
"""An expression: after the name of a secret, source code often has the place that it comes from."""
TEMPLATE = lazy_pattern(r"[$%]?[\[({<].*[\])}>]s?|\$\w+")
"""What is replaced by a value later, such as `${PASSWORD}`, or what has replaced one, such as `[SECRET_1]`."""
MAX_WORDS = 5
"""A text in quotes with more words is a sentence, not a password."""


def has_digit(text: str) -> bool:
    """Return whether there is a digit, which tells keys from words with the same beginning."""
    return any(char.isdigit() for char in text)


def is_mixed(text: str) -> bool:
    """Return whether there are letters, and digits or punctuation among them, unlike in most words."""
    mixed = any(char in "!$%&*+=?@#^~" for char in text) or has_digit(text)
    return mixed and any(char.isalpha() for char in text)


def looks_like_password(text: str) -> bool:
    """Return whether this may be a password, and is no expression of source code."""
    return is_mixed(text) and not CODE.fullmatch(text)


def looks_like_argument(text: str) -> bool:
    """Return whether this may be a password where nothing else is expected, so that it may consist of digits."""
    return text.isdigit() or looks_like_password(text)


def looks_like_passphrase(text: str) -> bool:
    """Return whether this may be a password of several words, and is no sentence or template."""
    return is_mixed(text) and len(text.split()) <= MAX_WORDS and not TEMPLATE.fullmatch(text)


ASSIGNED, ARGUMENTS = (
    (
        (lazy_pattern(rf"(?:{ASSIGNMENT}|(?<!pass)\s{{1,4}}){QUOTED}", re.IGNORECASE), looks_like_passphrase),
        (lazy_pattern(ELEMENT), looks_like_passphrase),
        (lazy_pattern(lead + UNQUOTED, re.IGNORECASE), looks_like_password),
        (lazy_pattern(lead + NUMBER, re.IGNORECASE), has_digit),
    )
    for lead in (ASSIGNMENT, rf"(?:{NEXT_ARGUMENT}|{ASSIGNMENT})")
)
"""What may follow a name, and what may follow the name of an option; the last pattern of each is that of numbers."""


def find_keys(text: str, lowered: str) -> Iterator[SensitiveMatch]:
    """Yield what has the format of a key. Only where one can start is it searched for."""
    position, words = 0, "\n".join(LONG_WORD.findall(lowered))
    starts = (
        found.start() for start in KEY_STARTS if start in words for found in re.finditer(re.escape(start), lowered)
    )
    for start in sorted(starts):
        if start >= position and (match := KEY.match(text, start)):
            yield SensitiveMatch("secret", *without_emphasis(text, *match.span()))
            position = match.end()


def find_named_secrets(text: str, lowered: str) -> Iterator[SensitiveMatch]:
    """Yield what follows the name of a secret and looks like one."""
    position = 0
    for start, end in _around_name_parts(lowered):
        position = max(position, start)
        while name := NAME.search(lowered, position, end):
            position = name.start() + 1
            before = lowered[max(0, name.start() - OPTION_REACH) : name.start()]
            is_option = any(sign in before for sign in OPTION_SIGNS) and OPTION.search(before)
            patterns = ARGUMENTS if is_option else ASSIGNED
            for pattern, is_real in patterns[:-1] if COUNTED.search(name[0]) else patterns:
                match = pattern.match(text, name.end())
                if match and is_real(match["value"]):
                    yield SensitiveMatch("secret", *match.span("value"))
                    position = match.end()
                    break


def _around_name_parts(lowered: str) -> list[tuple[int, int]]:
    """Return where the pieces of a text start and end that contain all its names, in order and without overlaps."""
    parts = (match.start() for part in NAME_PARTS if part in lowered for match in re.finditer(part, lowered))
    pieces: list[tuple[int, int]] = []
    for place in sorted(parts):
        start = max(0, place - BEFORE_PART)
        if pieces and start <= pieces[-1][1]:
            start = pieces.pop()[0]
        pieces.append((start, place + AFTER_PART))
    return pieces


SECRET_DETECTORS = (
    Detector("secret", PRIVATE_KEY, needs=("private key",)),
    Detector("secret", URL_PASSWORD, needs=("://",)),
    find_keys,
    Detector("secret", TWILIO_KEY),
    Detector("secret", TELEGRAM_KEY, needs=(":aa",)),
    Detector("secret", BEARER, has_digit, needs=("bearer",)),
    Detector("secret", AUTHORIZATION, needs=("authorization",)),
    find_named_secrets,
    Detector("secret", NETRC, looks_like_argument, needs=("password",)),
    Detector("secret", COMMAND_ARGUMENT, looks_like_argument, needs=("-p", "-a", "-u", "login")),
)
SPREAD_SECRET_DETECTORS = SECRET_DETECTORS[:5]
"""Those whose values have a form of their own."""
