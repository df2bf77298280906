"""A vendor that lies: it does the work, keeps books of what it bills for it, and replies as if it had not."""

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from faulty_vendor import Behavior, Exchange, answer_with, completion, drip, hang, hang_up, raw, status

INPUT_NANO, OUTPUT_NANO = 10_000, 100_000
"""The prices of a token in the tests' constraints, in nano-USD."""
BYTES_PER_TOKEN = 4
NUMBER = re.compile(r"number (\d{6})")
CHARGED_STATUSES = (204, 303, 408, 409, 425, 499, 500, 502, 503, 504, 520, 522, 524, 529)
HIDING_STATUSES = (400, 401, 402, 403, 404, 413, 422, 429)


@dataclass(frozen=True, slots=True)
class Work:
    """What the vendor did for one request, in tokens.

    Args:
        read: How many it read.
        written: How many it wrote.
        cap: How many it was allowed to write.
    """

    read: int
    written: int
    cap: int

    @property
    def price(self) -> int:
        """Return what is billed for it, in nano-USD."""
        return self.read * INPUT_NANO + self.written * OUTPUT_NANO

    @property
    def usage(self) -> dict[str, Any]:
        """Return the true usage."""
        total = self.read + self.written
        return {"prompt_tokens": self.read, "completion_tokens": self.written, "total_tokens": total}

    def reply(self, finish_reason: str = "stop", changes: Mapping[str, Any] | None = None, **message: Any) -> bytes:
        """Return a true reply, with changes."""
        text = {"content": "word " * self.written}
        return completion(finish_reason, {"usage": self.usage} | dict(changes or {}), **text | message)

    def using(self, **usage: Any) -> Behavior:
        """Reply with another usage, of which fields that are not given are true."""
        return raw(self.reply(changes={"usage": self.usage | usage}))


type Lie = Callable[[Work], Behavior]

HONEST: dict[str, Lie] = {
    "the truth": lambda work: raw(work.reply()),
    "cut off at the cap": lambda work: raw(work.reply("length")),
}
DROPPED: dict[str, Lie] = {
    "no response": lambda _: hang,
    "a byte every 0.1 s": lambda _: drip,
    "a closed connection": lambda _: hang_up,
    "half a response": lambda work: raw(work.reply(), cut=100),
    **{f"status {code}": lambda _, code=code: status(code, Location="/elsewhere") for code in CHARGED_STATUSES},
}
UNUSABLE: dict[str, Lie] = {
    "no content": lambda work: raw(work.reply(content="")),
    "a refusal": lambda work: raw(work.reply(refusal="no")),
    "half a surrogate pair": lambda work: raw(work.reply(content="\ud83d")),
    "a tool that was not offered": lambda work: raw(work.reply("tool_calls", tool_calls=[_tool_call("mystery", "{}")])),
    "absurd arguments": lambda work: raw(work.reply("tool_calls", tool_calls=[_tool_call("x", "[" * 5000)])),
    "a megabyte": lambda work: raw(work.reply(content="x" * 1_000_000)),
    "a text of 9 megabytes": lambda work: raw(work.reply(content="x" * 9_000_000)),
    "no JSON": lambda work: raw(work.reply()[:-5]),
    "an HTML page": lambda _: raw(b"<html></html>", "text/html"),
    "server-sent events": lambda _: raw(b"data: {}\n\n", "text/event-stream"),
    "no HTTP": lambda _: answer_with(b"hello\r\n\r\n"),
    "no choices": lambda work: raw(work.reply(changes={"choices": []})),
    "an impossible time": lambda work: raw(work.reply(changes={"created": 10**300})),
}
FALSE_USAGES: dict[str, Lie] = {
    "no usage": lambda work: raw(work.reply(changes={"usage": None})),
    "an empty usage": lambda work: raw(work.reply(changes={"usage": {}})),
    "no tokens": lambda work: work.using(prompt_tokens=0, completion_tokens=0),
    "no input": lambda work: work.using(prompt_tokens=0),
    "no output": lambda work: work.using(completion_tokens=0),
    "too little output": lambda work: work.using(completion_tokens=1) if work.written > 25 else hang_up,
    "negative input": lambda work: work.using(prompt_tokens=-work.read),
    "negative output": lambda work: work.using(completion_tokens=-work.written),
    "2^32 - 1": lambda work: work.using(prompt_tokens=2**32 - 1),
    "2^64 - 1": lambda work: work.using(completion_tokens=2**64 - 1),
    "10^15": lambda work: work.using(prompt_tokens=10**15),
    "10^400": lambda work: work.using(prompt_tokens=10**400),
    "more than the cap": lambda work: work.using(completion_tokens=work.cap + 1),
    "more cached than input": lambda work: work.using(prompt_tokens_details={"cached_tokens": work.read + 1}),
    "more reasoning than output": lambda work: work.using(
        completion_tokens_details={"reasoning_tokens": work.written + 1}
    ),
    "audio": lambda work: work.using(prompt_tokens_details={"audio_tokens": 1}),
    "words": lambda work: work.using(prompt_tokens="some"),
    "another model": lambda work: raw(work.reply(changes={"model": "gpt-5.5-pro"})),
    "half a surrogate pair as the model": lambda work: raw(work.reply(changes={"model": "\ud83d"})),
}
LIES = HONEST | DROPPED | UNUSABLE | FALSE_USAGES
"""What a vendor can do without being charged less than it bills."""
HIDDEN_WORK: dict[str, Lie] = {
    "a status that refuses the request": lambda _: status(400),
    **{f"status {code}": lambda _, code=code: status(code) for code in HIDING_STATUSES},
    "a redirect": lambda _: status(307, Location="/elsewhere"),
    "less input than it read": lambda work: work.using(prompt_tokens=1),
    "less output than it wrote": lambda work: work.using(completion_tokens=work.written * 5 // 128 + 1),
}
"""What the handbook lists under what a vendor can bill that the ledger does not know of."""


def _tool_call(name: str, arguments: str) -> dict[str, Any]:
    return {"id": "t1", "type": "function", "function": {"name": name, "arguments": arguments}}


@dataclass
class Bills:
    """What the vendor billed, and how often it told each lie.

    Args:
        lies: What it may do.
        nano_usd: The sum of all bills.
        told: How often it told each lie.
    """

    lies: Mapping[str, Lie]
    nano_usd: int = 0
    told: Counter[str] = field(default_factory=Counter)

    async def behave(self, exchange: Exchange) -> None:
        """Do the work, bill it, and lie: by chance, but in the same way each time that the test runs."""
        request = json.loads(exchange.body)
        chance = random.Random(f"{NUMBER.findall(str(request['messages']))}/{exchange.number}")  # noqa: S311
        cap = min(request["max_tokens"], request["max_completion_tokens"])
        work = Work(len(str(request["messages"])) // BYTES_PER_TOKEN, chance.randint(cap // 2, cap), cap)
        lie = chance.choice(list(self.lies))
        self.nano_usd += work.price
        self.told[lie] += 1
        await self.lies[lie](work)(exchange)
