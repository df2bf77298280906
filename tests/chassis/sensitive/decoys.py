"""Makers of values that look sensitive and are not: wrong check digits, references, hashes, article numbers."""

import base64
from random import Random
from string import ascii_uppercase

from sensitive import checksums, makers
from sensitive.credentials import ALNUM, HEX, some
from sensitive.makers import digits


def wrong(number: str, at: int = -1) -> str:
    """Return a number with one digit turned into the next, so that no check digit fits any more."""
    place = at % len(number)
    return number[:place] + str((int(number[place]) + 1) % 10) + number[place + 1 :]


def not_card(random: Random) -> str:
    """Return sixteen digits that fail Luhn."""
    start = random.choice("456") + digits(random, 14)
    return wrong(start + checksums.luhn(start))


def not_iban(random: Random) -> str:
    """Return an IBAN with a wrong check digit."""
    return wrong(makers.iban(random).replace("-", " ").upper(), at=3)


def not_steuer_id(random: Random) -> str:
    """Return eleven digits with a wrong check digit."""
    return wrong(makers.steuer_id(random).replace(" ", ""))


def not_nir(random: Random) -> str:
    """Return a French social security number with a wrong key."""
    return wrong(makers.nir(random))


def order10(random: Random) -> str:
    """Return a ten-digit order number, such as shops print; 4 to 9 in front."""
    return random.choice(("4500", "5000", "7001")) + digits(random, 6)


def part(random: Random) -> str:
    """Return the number of an article."""
    return random.choice(
        (
            f"{digits(random, 3)}-{digits(random, 5)}",
            f"A{digits(random, 4)}.{digits(random, 3)}",
            f"XK-{digits(random, 6)}",
        )
    )


def parcel(random: Random) -> str:
    """Return a tracking number (UPU S10, UPS, or digits only)."""
    return random.choice(
        (
            f"RR{digits(random, 9)}DE",
            f"1Z{some(random, ascii_uppercase + '0123456789', 16)}",
            "00340" + digits(random, 15),
        )
    )


def invoice(random: Random) -> str:
    """Return the number of an invoice."""
    return random.choice((f"RE-2026-{digits(random, 5)}", f"2026/{digits(random, 6)}", f"INV{digits(random, 8)}"))


def isbn(random: Random) -> str:
    """Return an ISBN-13 with its check digit."""
    number = "978" + digits(random, 9)
    number += str(-checksums.weighed(map(int, number), (1, 3) * 6) % 10)
    return f"{number[:3]}-{number[3]}-{number[4:7]}-{number[7:12]}-{number[12]}"


def ean(random: Random) -> str:
    """Return an EAN-13 with its check digit."""
    number = "40" + digits(random, 10)
    return number + str(-checksums.weighed(map(int, number), (1, 3) * 6) % 10)


def abn(random: Random) -> str:
    """Return eleven digits written like an Australian business number."""
    return f"51 {digits(random, 3)} {digits(random, 3)} {digits(random, 3)}"


def siret(random: Random) -> str:
    """Return fourteen digits written like a French company's number."""
    return f"{digits(random, 3)} {digits(random, 3)} {digits(random, 3)} 000{digits(random, 2)}"


def voucher(random: Random) -> str:
    """Return the code of a gift voucher."""
    return "-".join(some(random, ascii_uppercase + "23456789", 4) for _ in range(4))


def imei(random: Random) -> str:
    """Return the number of a phone (the device): fifteen digits that pass Luhn and start like no card."""
    start = "86" + digits(random, 12)
    return start + checksums.luhn(start)


def snowflake(random: Random) -> str:
    """Return an id of nineteen digits that fails Luhn."""
    start = "1" + digits(random, 17)
    return wrong(start + checksums.luhn(start))


def nanos(random: Random) -> str:
    """Return a moment in nanoseconds that fails Luhn."""
    start = "17672256" + digits(random, 10)
    return wrong(start + checksums.luhn(start))


def container(random: Random) -> str:
    """Return the number of a shipping container."""
    return f"MSKU{digits(random, 7)}"


def licence(random: Random) -> str:
    """Return the key of a software licence, five groups of five."""
    return "-".join(some(random, ascii_uppercase + "23456789", 5) for _ in range(5))


def vin(random: Random) -> str:
    """Return the number of a car."""
    return "WVWZZZ1JZ" + some(random, "ABCDEFGHJKLMNPRSTUVWXYZ0123456789", 8)


def vat(random: Random) -> str:
    """Return a VAT number of a company."""
    return random.choice(
        ("DE" + digits(random, 9), "FR83" + digits(random, 9), "GB" + digits(random, 9), "ATU" + digits(random, 8))
    )


def build(random: Random) -> str:
    """Return a version of four numbers, one of them too large for an address."""
    return f"{random.randint(90, 140)}.0.{random.randint(3000, 7000)}.{random.randint(20, 200)}"


def mac(random: Random) -> str:
    """Return a MAC address."""
    return random.choice(":-").join(some(random, HEX, 2) for _ in range(6))


def sha1(random: Random) -> str:
    """Return the id of a commit."""
    return some(random, HEX, 40)


def sha256(random: Random) -> str:
    """Return a digest."""
    return some(random, HEX, 64)


def hex16(random: Random) -> str:
    """Return the id of a span."""
    return some(random, HEX, 16)


def hex32(random: Random) -> str:
    """Return the id of a trace."""
    return some(random, HEX, 32)


def uuid(random: Random) -> str:
    """Return a UUID of version 4."""
    h = some(random, HEX, 32)
    return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-a{h[17:20]}-{h[20:]}"


def sri(random: Random) -> str:
    """Return the digest of a script, as HTML holds it."""
    return base64.b64encode(random.randbytes(48)).decode()


def png(random: Random) -> str:
    """Return the beginning of a picture in base64."""
    return "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ" + some(random, ALNUM, 24) + "=="
