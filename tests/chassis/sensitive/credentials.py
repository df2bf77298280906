"""Makers of invented keys, tokens and passwords, in the shapes that vendors publish; none was ever issued."""

import base64
import json
from collections.abc import Callable
from random import Random
from string import ascii_letters, ascii_uppercase
from string import digits as numerals

ALNUM = ascii_letters + numerals
URL_SAFE = ALNUM + "-_"
HEX = numerals + "abcdef"
WORDS = ("Sommer", "tiger", "Kaffee", "blue", "Winter", "horse", "maison", "Drache")


def some(random: Random, alphabet: str, count: int) -> str:
    """Return so many characters."""
    return "".join(random.choices(alphabet, k=count))


KEYS: dict[str, Callable[[Random], str]] = {
    "openai": lambda random: "sk-" + random.choice(("proj-", "svcacct-", "")) + some(random, ALNUM, 48),
    "anthropic": lambda random: "sk-ant-api03-" + some(random, URL_SAFE, 93) + "AA",
    "github": lambda random: random.choice(
        ("ghp_" + some(random, ALNUM, 36), "github_pat_" + some(random, ALNUM, 22) + "_" + some(random, ALNUM, 59))
    ),
    "gitlab": lambda random: "glpat-" + some(random, URL_SAFE, 20),
    "google": lambda random: random.choice(
        ("AIza" + some(random, URL_SAFE, 35), "GOCSPX-" + some(random, URL_SAFE, 28))
    ),
    "stripe": lambda random: random.choice(("sk_live_", "rk_live_", "sk_test_", "whsec_")) + some(random, ALNUM, 32),
    "slack": lambda random: "-".join(
        ("xox" + random.choice("bp"), some(random, numerals, 12), some(random, numerals, 12), some(random, ALNUM, 24))
    ),
    "sendgrid": lambda random: f"SG.{some(random, URL_SAFE, 22)}.{some(random, URL_SAFE, 43)}",
    "npm": lambda random: "npm_" + some(random, ALNUM, 36),
    "pypi": lambda random: "pypi-AgEIcHlwaS5vcmc" + some(random, URL_SAFE, 120),
    "huggingface": lambda random: "hf_" + some(random, ascii_letters, 34),
    "digitalocean": lambda random: "dop_v1_" + some(random, HEX, 64),
    "telegram": lambda random: some(random, "123456789", 10) + ":AA" + some(random, URL_SAFE, 33),
    "databricks": lambda random: "dapi" + some(random, HEX, 32),
    "mailgun": lambda random: "key-" + some(random, HEX, 32),
    "own": lambda random: "ck_" + some(random, URL_SAFE, 32),
}
"""Keys in the shape of each vendor, and of this chassis."""


def api_key(random: Random, vendor: str | None = None) -> str:
    """Return a key of one vendor, any if none is named."""
    return KEYS[vendor or random.choice(tuple(KEYS))](random)


def aws_id(random: Random) -> str:
    """Return the id of an AWS access key."""
    return random.choice(("AKIA", "ASIA")) + some(random, ascii_uppercase + "234567", 16)


def aws_secret(random: Random) -> str:
    """Return the secret half of an AWS access key."""
    return some(random, ALNUM + "/+", 40)


def slack_hook(random: Random) -> str:
    """Return the address of a Slack webhook, which is a secret as a whole."""
    team, channel = ("".join((c, some(random, ascii_uppercase + numerals, 10))) for c in "TB")
    return f"https://hooks.slack.com/services/{team}/{channel}/{some(random, ALNUM, 24)}"


def azure_key(random: Random) -> str:
    """Return the key of an Azure storage account: 64 bytes in base64."""
    return base64.b64encode(random.randbytes(64)).decode()


def hex_key(random: Random) -> str:
    """Return a key without any shape of its own."""
    return some(random, HEX, random.choice((32, 40, 64)))


def bearer(random: Random) -> str:
    """Return an opaque bearer token (RFC 6750)."""
    return some(random, ALNUM + "-._~+/", random.choice((24, 40, 64))) + random.choice("ab")


def basic(random: Random) -> str:
    """Return a user and a password as in an `Authorization: Basic` header."""
    return base64.b64encode(f"{random.choice(WORDS)}:{password(random)}".encode()).decode()


def jwt(random: Random) -> str:
    """Return a signed JSON web token (RFC 7519)."""
    header = {"alg": random.choice(("HS256", "RS256")), "typ": "JWT"}
    payload = {"sub": some(random, numerals, 8), "iat": random.randint(1_700_000_000, 1_800_000_000)}
    parts = [json.dumps(part, separators=(",", ":")).encode() for part in (header, payload)]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (*parts, random.randbytes(32)))


def private_key(random: Random) -> str:
    """Return a PEM private key (RFC 7468, or OpenSSH's own), its body random bytes."""
    kinds = ("RSA ", "", "EC ", "OPENSSH ", "ENCRYPTED ")
    kind = random.choice(kinds) + "PRIVATE KEY"
    body = base64.b64encode(random.randbytes(180)).decode()
    lines = (f"-----BEGIN {kind}-----", *(body[i : i + 64] for i in range(0, len(body), 64)), f"-----END {kind}-----")
    return random.choice(("\n", "\n", "\\n")).join(lines)


def password(random: Random) -> str:
    """Return a password as people choose or machines make them."""
    word = random.choice(WORDS)
    return random.choice(
        (
            f"{word}{random.randint(10, 9999)}{random.choice('!?$#%')}",
            f"{word}-{random.choice(WORDS)}-{random.choice(WORDS)}-{random.randint(1, 99)}",
            some(random, ALNUM + "!$%&*+=?@#", random.choice((12, 16, 20))) + "x",
            f"P@ss{some(random, ALNUM, 6)}1",
        )
    )


def password_word(random: Random) -> str:
    """Return a password of letters and digits, which needs no quotes anywhere."""
    return f"{random.choice(WORDS)}{some(random, ALNUM, 6)}{random.randint(10, 99)}"


def two_words(random: Random) -> str:
    """Return a password with spaces, as a passphrase has."""
    return f"{random.choice(WORDS)} {random.choice(WORDS)} {random.randint(10, 99)}!"


def url_password(random: Random) -> str:
    """Return a password as it stands in an address: anything special is escaped there."""
    return some(random, ALNUM, random.choice((8, 14, 20))) + random.choice(("", "%40", "%21x", "-_~"))
