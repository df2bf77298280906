"""Faults of one vendor's reply: its status, its form, and the usage that it reports."""

from dataclasses import replace

from fault import BREAKER_OPENED, MEGABYTE, NOTHING, USAGE, WORST, Fault, Result, failed
from faulty_vendor import WELL, answer_with, calling, completion, raw, status, using

ANSWER = '{"text": "Four."}'
HALF_PAIR = "\ud83d"
"""Half of a surrogate pair: JSON can contain it, but no encoding of Unicode can."""
LISTS = "[" * 300 + "]" * 300
SHORT_CALL = {"id": "", "type": "function", "function": {"name": "f", "arguments": ""}}
CUSTOM_CALL = {"id": "t1", "type": "custom", "custom": {"name": "look_up", "input": "four"}}
IMPLAUSIBLE = "usage.implausible"

STATUSES = (
    Fault("402, payment required", failed("ModelQuotaExceededError", BREAKER_OPENED), status(402)),
    Fault("303, the result is elsewhere", failed("ModelAPIError", charged=WORST), status(303, Location="/result")),
    Fault(
        "307, the model is elsewhere",
        Result(logged=("egress.refused", "model.failed EgressRefused")),
        status(307, Location="/elsewhere"),
    ),
    *(
        Fault(f"{code}, {meaning}", failed(error, charged=charged), status(code))
        for code, meaning, error, charged in (
            (204, "no content", "ModelAPIError", WORST),
            (405, "method not allowed", "ModelHTTPError", NOTHING),
            (410, "the model is gone", "ModelHTTPError", NOTHING),
            (413, "the request is too large", "ModelHTTPError", NOTHING),
            (422, "an invalid parameter", "ModelRequestRejectedError", NOTHING),
            (425, "too early", "ModelHTTPError", WORST),
            (431, "the headers are too large", "ModelHTTPError", NOTHING),
            (451, "not available in this country", "ModelHTTPError", NOTHING),
            (499, "a gateway believes that its client is gone", "ModelHTTPError", WORST),
            (520, "a gateway does not understand the answer", "ModelServerError", WORST),
            (522, "a gateway could not connect in time", "ModelServerError", WORST),
            (524, "a gateway got no answer in time", "ModelServerError", WORST),
            (600, "not a status of HTTP", "ModelHTTPError", WORST),
        )
    ),
)

UNREADABLE = (
    *(
        Fault(what, failed("UnreadableReply", charged=USAGE), raw(body))
        for what, body in (
            ("half a surrogate pair in the text", completion(content=HALF_PAIR)),
            ("half a surrogate pair in the name of a tool", calling(HALF_PAIR, "{}")),
            ("half a surrogate pair in the arguments of a tool", calling("look_up", f'{{"word": "{HALF_PAIR}"}}')),
            ("half a surrogate pair, escaped, in the arguments of a tool", calling("look_up", r'{"word": "\ud83d"}')),
            ("half a surrogate pair in the name of the model", calling("final_result", ANSWER, model=HALF_PAIR)),
            ("half a surrogate pair in the id of the reply", calling("final_result", ANSWER, id=HALF_PAIR)),
            ("arguments of a tool with 300 nested lists", calling("look_up", f'{{"word": {LISTS}}}')),
        )
    ),
    *(
        Fault(
            what,
            failed("UnreadableReply", charged=WORST, logged=(IMPLAUSIBLE, "model.failed UnreadableReply")),
            raw(body),
        )
        for what, body in (
            ("arguments of a tool with a number of 5,000 digits", calling("look_up", f'{{"word": {"9" * 5000}}}')),
            ("arguments of a tool with 3,000 brackets", calling("look_up", '{"word": ' + "[" * 3000)),
        )
    ),
    *(
        Fault(what, failed("UnreadableReply", charged=WORST), raw(body))
        for what, body in (
            ("no choices", calling("final_result", ANSWER, choices=[])),
            ("a kind of tool call that does not exist here", completion("tool_calls", tool_calls=[CUSTOM_CALL])),
            ("a time that no calendar has", calling("final_result", ANSWER, created=10**300)),
            ("a body of 20,000 brackets", b"[" * 20_000),
            ("a number of 5,000 digits", b'{"id": ' + b"9" * 5_000 + b"}"),
        )
    ),
    *(
        Fault(what, failed("OversizedReply", charged=WORST), raw(body))
        for what, body in (
            ("a text of a megabyte", completion(content="x" * MEGABYTE)),
            ("a tool with a name of a megabyte", calling("x" * MEGABYTE, "{}")),
            ("an id of a megabyte", calling("final_result", ANSWER, id="x" * MEGABYTE)),
            ("300,000 tool calls", completion("tool_calls", tool_calls=[{}] * 300_000)),
            ("9 megabytes of spaces", b" " * 9 * MEGABYTE),
        )
    ),
    *(
        Fault(what, failed(error, charged=charged), behavior)
        for what, error, charged, behavior in (
            (
                "300 tool calls",
                "OversizedReply",
                USAGE,
                raw(completion("tool_calls", tool_calls=[SHORT_CALL] * 300)),
            ),
            (
                "a text block without text",
                "EmptyReply",
                USAGE,
                raw(completion(content=[{"type": "text", "text": None}])),
            ),
            ("server-sent events", "UnexpectedModelBehavior", WORST, raw(b"data: {}\n\n", "text/event-stream")),
            ("a compressed body", "ModelConnectionError", WORST, raw(WELL, Content_Encoding="gzip")),
            (
                "half a megabyte of headers",
                "ModelConnectionError",
                WORST,
                answer_with(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 500_000),
            ),
            ("bytes that are not HTTP", "ModelConnectionError", WORST, answer_with(b"Hello\r\n\r\n")),
        )
    ),
)

ENDS = (
    *(
        Fault(what, failed(error, charged=USAGE), raw(body))
        for what, error, body in (
            ("a text of characters without width", "EmptyReply", completion(content="\u200b\u2060 \n")),
            ("a text of control characters", "EmptyReply", completion(content="\0\x1b")),
            ("a text that a gateway ended with an error", "TruncatedReply", completion("error", content="Fo")),
            ("a text that a server aborted", "TruncatedReply", completion("abort", content="Fo")),
            ("a text that ended for lack of resources", "TruncatedReply", completion("insufficient_system_resource")),
            ("a text that a guardrail ended", "RefusedReply", completion("guardrail_intervened", content="Fo")),
        )
    ),
)

WORST_CASE = Result(answered_by="first", fallback_reason=None, charged=WORST, logged=(IMPLAUSIBLE,))
USAGES = (
    Fault("no usage", replace(WORST_CASE, logged=()), raw(calling("final_result", ANSWER, usage=None))),
    Fault("a word", failed("UnexpectedModelBehavior", charged=WORST), using(completion_tokens="some")),
    *(
        Fault(what, WORST_CASE, using(**usage))
        for what, usage in (
            ("no tokens", {"prompt_tokens": 0, "completion_tokens": 0}),
            ("a text of 0 tokens", {"completion_tokens": 0}),
            ("-10 input tokens", {"prompt_tokens": -10}),
            ("-5 output tokens", {"completion_tokens": -5}),
            ("2^32 - 1 input tokens", {"prompt_tokens": 2**32 - 1}),
            ("2^64 - 1 input tokens", {"prompt_tokens": 2**64 - 1}),
            ("10^400 output tokens", {"completion_tokens": 10**400}),
            ("one output token more than the cap", {"completion_tokens": 101}),
            ("more cached than input tokens", {"prompt_tokens_details": {"cached_tokens": 11}}),
            ("-5 cached tokens", {"prompt_tokens_details": {"cached_tokens": -5}}),
            (
                "more tokens read from and written to a cache than input tokens",
                {"prompt_tokens_details": {"cached_tokens": 6, "cache_write_tokens": 6}},
            ),
            ("more reasoning than output tokens", {"completion_tokens_details": {"reasoning_tokens": 6}}),
            ("audio tokens, although only text was sent", {"prompt_tokens_details": {"audio_tokens": 5}}),
        )
    ),
    Fault("5 tokens for 1,000 characters", WORST_CASE, raw(calling("final_result", f'{{"text": "{"x" * 1000}"}}'))),
)
