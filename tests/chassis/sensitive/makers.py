"""Makers of invented values in the public formats that people write: addresses, numbers, accounts, ids."""

import re
from collections.abc import Callable
from random import Random

from sensitive import checksums

type Maker = Callable[[Random], str]

LOCAL_PARTS = (
    *(
        "ada",
        "j.doe",
        "mary-jane",
        "o'neil",
        "first.last+shop",
        "SALES",
        "x",
        "n_okafor99",
        "jürgen",
        "r2d2",
        "m.a.b.c",
    ),
    *("info", "e.lefèvre", "tanaka_yuki", "li.wei", "no-reply+ticket=4711", "1984", "anna/berg", "q&a", "_root"),
)
DOMAINS = (
    *("example.com", "mail.example.org", "acme.example", "example.co.uk", "a-b.example.net", "EXAMPLE.DE", "x.example"),
    *("bücher.example", "xn--bcher-kva.example", "dept.uni.example.edu", "example.museum", "例え.example"),
    "sub1.sub2.example.fr",
)
ODD_ADDRESSES = ('"john doe"@example.com', "postmaster@[192.0.2.25]", "用户@例え.example")

US = (
    *("({a}) {b}-{c}", "{a}-{b}-{c}", "{a}.{b}.{c}", "{a} {b} {c}", "+1 {a} {b} {c}", "+1-{a}-{b}-{c}", "+1{a}{b}{c}"),
    *("1-{a}-{b}-{c}", "{a}{b}{c}", "+1 ({a}) {b}-{c}", "({a}){b}-{c}", "001 {a} {b} {c}"),
)
UK_FIXED = (("20", "7946 0{}"), ("20", "79460{}"), ("113", "496 0{}"), ("1632", "960{}"), ("161", "496 0{}"))
UK_MOBILE = ("07700 900{}", "07700900{}", "+447700900{}", "+44 7700 900{}", "+44 (0)7700 900{}", "0044 7700 900 {}")
DE_FIXED = (("30", "23125"), ("69", "90009"), ("40", "66969"), ("221", "4710"), ("89", "99998"))
DE = (
    *("0{a} {b} {c}", "0{a}/{b}{c}", "0{a}/{b}-{c}", "0{a}-{b}{c}", "(0{a}) {b}{c}", "0{a} {b}-{c}", "+49 {a} {b}{c}"),
    *("+49 (0){a} {b}-{c}", "+49 (0) {a} / {b} {c}", "0049 {a} {b}{c}", "+49{a}{b}{c}", "0{a}{b}{c}"),
)
DE_MOBILE = (("171", "39200"), ("152", "28817"), ("176", "04069"), ("160", "98765"))
FR_STARTS = ("199 00", "261 91", "353 01", "465 71", "536 49", "639 98")
JP = ("03-{a}-{b}", "090-{a}-{b}", "080-{a}-{b}", "+81 3-{a}-{b}", "+81-90-{a}-{b}", "090{a}{b}", "(03) {a}-{b}")
CN = ("13{a}", "13{b} {c} {d}", "13{b}-{c}-{d}", "+86 13{b} {c} {d}", "+8613{a}", "010-{e}", "0755-{e}", "(021) {e}")
WORLD = (
    *(
        "+91 98765 4{}",
        "+61 2 5550 {:.4}",
        "+39 06 4{}",
        "+55 11 9{} {:.4}",
        "+353 20 91{:.5}",
        "+48 22 {:.3} {:.2} {:.2}",
    ),
    *("+31 20 5{}", "+34 91{}", "+41 44 668 {:.2} {:.2}", "+43 1 5{}", "+46 8 4{}", "+971 50 5{}", "+27 21 5{}"),
)

CARDS = (
    *(("4", 16), ("51", 16), ("55", 16), ("2221", 16), ("2720", 16), ("6011", 16), ("65", 16), ("3528", 16)),
    *(("62", 16), ("36", 14), ("6759", 16), ("4", 13)),
)
IBANS = {
    "DE": "18n",
    "GB": "4a14n",
    "FR": "10n11c2n",
    "NL": "4a10n",
    "ES": "20n",
    "IT": "1a10n12c",
    "CH": "5n12c",
    "AT": "16n",
    "BE": "12n",
    "PL": "24n",
    "SE": "20n",
    "NO": "11n",
    "DK": "14n",
    "FI": "14n",
    "PT": "21n",
    "IE": "4a14n",
    "LU": "3n13c",
    "MT": "4a5n18c",
    "GR": "7n16c",
    "CZ": "20n",
    "HU": "24n",
    "RO": "4a16c",
    "TR": "6n16c",
    "AE": "19n",
    "BR": "23n1a1c",
    "SA": "2n18c",
}
"""The account part by country, as the IBAN registry writes it: n digits, a capital letters, c either."""


def digits(random: Random, count: int) -> str:
    """Return so many digits."""
    return "".join(random.choices("0123456789", k=count))


def email(random: Random) -> str:
    """Return an address as RFC 5321 and RFC 6531 allow; one in 25 is an odd one."""
    if random.random() < 0.04:
        return random.choice(ODD_ADDRESSES)
    return f"{random.choice(LOCAL_PARTS)}@{random.choice(DOMAINS)}"


def phone_us(random: Random) -> str:
    """Return an American number of the range 555-01xx, which is kept for fiction."""
    area = random.choice(("212", "415", "312", "206", "617", "800"))
    return random.choice(US).format(a=area, b="555", c="01" + digits(random, 2))


def phone_uk(random: Random) -> str:
    """Return a British number of the ranges that Ofcom keeps for drama."""
    if random.random() < 0.4:
        return random.choice(UK_MOBILE).format(digits(random, 3))
    area, rest = random.choice(UK_FIXED)
    habit = random.choice(("0{} {}", "(0{}) {}", "+44 {} {}", "+44 (0){} {}", "0044 {} {}", "0{}-{}"))
    return habit.format(area, rest.format(digits(random, 3)))


def phone_de(random: Random) -> str:
    """Return a German number, of the Bundesnetzagentur's ranges for drama where it is a landline."""
    area, start = random.choice(DE_FIXED + DE_MOBILE)
    return random.choice(DE).format(a=area, b=start, c=digits(random, random.choice((2, 3))))


def phone_fr(random: Random) -> str:
    """Return a French number of the ranges that ARCEP keeps for fiction, in pairs as the French write it."""
    number = random.choice(FR_STARTS).replace(" ", "") + digits(random, 4)
    pairs = [number[i : i + 2] for i in range(1, 9, 2)]
    start = random.choice(("0{}", "+33 {}", "+33 (0){}", "0033 {}")).format(number[0])
    joint = random.choice((" ", " ", ".", "-", ""))
    return joint.join([start.replace(" ", "") if not joint else start, *pairs])


def phone_jp(random: Random) -> str:
    """Return a Japanese number."""
    return random.choice(JP).format(a=digits(random, 4), b=digits(random, 4))


def phone_cn(random: Random) -> str:
    """Return a Chinese number."""
    return random.choice(CN).format(
        a=digits(random, 9), b=digits(random, 1), c=digits(random, 4), d=digits(random, 4), e="8" + digits(random, 7)
    )


def phone_world(random: Random) -> str:
    """Return a number of another country in the international form (E.164, ITU-T E.123)."""
    rest = (digits(random, 6) for _ in range(3))
    return random.choice(WORLD).format(*rest)


def card(random: Random) -> str:
    """Return a card number that passes Luhn, in groups or in one piece."""
    prefix, length = random.choice(CARDS)
    return _grouped(random, _luhn(random, prefix, length), (4, 6, 4) if length == 14 else (4, 4, 4, 4))


def amex(random: Random) -> str:
    """Return an American Express number: 15 digits, written 4-6-5."""
    return _grouped(random, _luhn(random, random.choice(("34", "37")), 15), (4, 6, 5))


def card19(random: Random) -> str:
    """Return a card number of 19 digits."""
    return _grouped(random, _luhn(random, random.choice(("4", "62", "6304")), 19), (4, 4, 4, 4, 3))


def iban(random: Random) -> str:
    """Return a valid IBAN of one of 26 countries."""
    country, form = random.choice(sorted(IBANS.items()))
    kinds = {"n": "0123456789", "a": "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "c": "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
    account = "".join("".join(random.choices(kinds[kind], k=int(n))) for n, kind in re.findall(r"(\d+)([nac])", form))
    plain = country + checksums.iban(country, account) + account
    groups = [plain[i : i + 4] for i in range(0, len(plain), 4)]
    return random.choice((" ".join(groups), " ".join(groups), plain, plain, plain.lower(), "-".join(groups)))


def ssn(random: Random) -> str:
    """Return an American social security number with dashes or spaces."""
    return ssn_parts(random, random.choice("--- "))


def ssn_plain(random: Random) -> str:
    """Return an American social security number in one piece."""
    return ssn_parts(random, "")


def ssn_parts(random: Random, joint: str) -> str:
    """Return an American social security number: area not 000, 666 or 9xx, group not 00, serial not 0000."""
    area = random.choice([n for n in range(1, 900) if n != 666])
    return joint.join((f"{area:03}", f"{random.randint(1, 99):02}", f"{random.randint(1, 9999):04}"))


def nino(random: Random) -> str:
    """Return a British National Insurance number: no D F I Q U V, no O second, none of the unused prefixes."""
    unused = {"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"}
    while (prefix := random.choice("ABCEGHJKLMNOPRSTWXYZ") + random.choice("ABCEGHJKLMNPRSTWXYZ")) in unused:
        continue
    parts = (prefix, *(digits(random, 2) for _ in range(3)), random.choice("ABCD"))
    return random.choice((" ".join(parts), "".join(parts), "".join(parts).lower()))


def steuer_id(random: Random) -> str:
    """Return a German tax number: among its first ten digits exactly one appears twice."""
    chosen = random.sample("0123456789", 9)
    start = [*chosen, chosen[0]]
    random.shuffle(start)
    if start[0] == "0":
        start.reverse()
    if start[0] == "0":
        return steuer_id(random)
    number = "".join(start) + checksums.steuer_id("".join(start))
    return random.choice((number, f"{number[:2]} {number[2:5]} {number[5:8]} {number[8:]}"))


def svnr(random: Random) -> str:
    """Return a German social insurance number, such as 65 170839 J 003."""
    start = random.choice(("02", "13", "15", "53", "65"))
    birth = f"{random.randint(1, 28):02}{random.randint(1, 12):02}{digits(random, 2)}"
    initial, serial = random.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), digits(random, 2)
    last = checksums.social_insurance(start + birth + serial, initial)
    return random.choice((" ", "")).join((start, birth, initial, serial + last))


def nir(random: Random) -> str:
    """Return a French social security number with its key."""
    dept = random.choice(("01", "13", "2A", "2B", "33", "59", "69", "75", "93"))
    parts = [random.choice("12"), digits(random, 2), f"{random.randint(1, 12):02}", dept]
    parts += [f"{random.randint(1, 600):03}", f"{random.randint(1, 400):03}"]
    return random.choice((" ", " ", "")).join((*parts, checksums.nir("".join(parts))))


def ipv4(random: Random) -> str:
    """Return an address of a private network or of one kept for documentation."""
    start = random.choice(("192.0.2", "198.51.100", "203.0.113", "10.20.30", "192.168.178", "172.16.254"))
    return f"{start}.{random.randint(1, 254)}"


def ipv6(random: Random) -> str:
    """Return an address kept for documentation, a local one, or a mapped one, in the spellings of RFC 4291."""
    a, b, c, d = (f"{random.randint(1, 0xFFFF):x}" for _ in range(4))
    forms = (
        *(f"2001:db8::{a}", f"2001:db8:{a}:{b}::1", f"2001:0db8:0000:0000:{a:0>4}:{b:0>4}:{c:0>4}:{d:0>4}"),
        *(f"fe80::{a}:{b}:{c}:{d}", f"::ffff:192.0.2.{random.randint(1, 254)}", f"2001:DB8:0:0:8:800:{a.upper()}:417A"),
        *(f"fd12:3456:789a:{a}::{b}", f"2001:db8:{a}:{b}:{c}:{d}:1:2"),
    )
    return random.choice(forms)


def _luhn(random: Random, prefix: str, length: int) -> str:
    start = prefix + digits(random, length - len(prefix) - 1)
    return start + checksums.luhn(start)


def _grouped(random: Random, number: str, sizes: tuple[int, ...]) -> str:
    joint = random.choice((" ", "-", ""))
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    return joint.join(number[at : at + size] for at, size in zip(starts, sizes, strict=True))
