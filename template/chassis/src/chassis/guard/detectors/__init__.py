"""What is looked for, kind by kind in this order: where two findings overlap, the earlier one counts."""

from collections.abc import Callable, Iterable, Mapping

from chassis.guard.detectors import addresses, numbers, phones, secrets
from chassis.sensitive import Found, Sensitive

type Find = Callable[[str, str], Iterable[Found]]
"""From a text, and the same in lower case, to what is found."""

DETECTORS: Mapping[Sensitive, tuple[Find, ...]] = {
    "secret": secrets.DETECTORS,
    "email": addresses.MAIL,
    "iban": (numbers.accounts,),
    "national_id": numbers.NATIONAL,
    "card": (numbers.cards,),
    "ip": addresses.NETWORK,
    "phone": phones.DETECTORS,
}
