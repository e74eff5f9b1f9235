"""Which answers are replayed, by name: one for each shape that has tripped a gateway or a client somewhere.

How they are written down and cut is in `answers`; whether they came through unchanged is for `laws` to judge.
"""

from __future__ import annotations

import json

from tests.clients.answers import (
    OPENING,
    USAGE,
    Answer,
    choice,
    compact,
    completion,
    delta,
    fragment,
    raw,
    spaced,
    spoken,
)

_WORDS = ["The ", "lamp ", "is ", "green; ", "go ", "on."]
_CALLS = [
    {"id": "call_Oslo", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'}},
    {"id": "call_Turku", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Turku"}'}},
]
_PERSON = '{"name":"Ada Brännström","age":36}'
_GLYPHS = 'naïve café · Ελλάδα · 日本語 · 👩🏽‍🚀🇫🇮 · e\u0301 · \u2028 · \u0000 · \\ " / · مرحبا'
_THOUGHTS = ["Two numbers; ", "add them: ", "17 + 25 = 42."]
_COUNTED = {
    **USAGE,
    "prompt_tokens": 2048,
    "total_tokens": 2065,
    "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0, "cache_creation_tokens": 64},
    "prompt_cache_hit_tokens": 1920,
    "cost": 1.25e-05,
}
_ODD = {"x_vendor": {"trace": [1, 2.50, 1e2, 12345678901234567890, -0.0], "flag": True, "nothing": None}}
_FELL = {"error": {"message": "The model fell over.", "type": "server_error", "param": None, "code": "fell"}}
_LONG = "All work and no play makes a dull line. " * 8000

_PRETTY = json.dumps(completion(choice({"content": "".join(_WORDS)})), indent=2).replace("1763712000", "1.763712e9")


def _odd_fragment(index: int, arguments: str, **named: str) -> dict[str, object]:
    piece = fragment(index, arguments, **named)
    return {**piece, **_ODD, "function": {**piece["function"], **_ODD}}


def _commented(event: str) -> str:
    """Comments within, between and around events; none with the usage, as they would stay where it is taken out."""
    return f"data: {event}\n\n" if '"usage":{' in event else f": beat\ndata: {event}\n:\n\n: beat\n\n"


def _said(token: str) -> dict[str, object]:
    """The log probability of one token."""
    one = {"token": token, "logprob": -0.1053605, "bytes": list(token.encode())}
    return {"content": [{**one, "top_logprobs": [one]}], "refusal": None}


SCENARIOS = {
    answer.name: answer
    for answer in (
        Answer(
            name="words",
            plain=raw(completion(choice({"content": "".join(_WORDS)}), service_tier="default")),
            choices=spoken(_WORDS),
            beside={"service_tier": "default", "obfuscation": "x7Qp"},
        ),
        Answer(
            name="spaced",
            plain=f" \n{_PRETTY}\n".encode(),
            choices=spoken(_WORDS),
            write=spaced,
        ),
        Answer(
            name="parallel-tools",
            kind="tools",
            plain=raw(completion(choice({"tool_calls": _CALLS}, "tool_calls"))),
            choices=[
                OPENING,
                [delta({"tool_calls": [fragment(0, "", id="call_Oslo", name="get_weather")]})],
                [delta({"tool_calls": [fragment(0, '{"ci')]})],
                [delta({"tool_calls": [fragment(1, "", id="call_Turku", name="get_weather")]})],
                [delta({"tool_calls": [fragment(1, '{"city"'), fragment(0, 'ty": "Os')]})],
                [delta({"tool_calls": [fragment(0, 'lo"}')]})],
                [delta({"tool_calls": [fragment(1, ':"Turku"}')]})],
                [delta({}, "tool_calls")],
            ],
        ),
        Answer(
            name="words-and-tool",
            kind="tools",
            plain=raw(completion(choice({"content": "I look. ", "tool_calls": _CALLS[:1]}, "tool_calls")), spaced),
            choices=[
                *spoken(["I ", "look. "])[:-1],
                [delta({"tool_calls": [fragment(0, '{"city": "Oslo"}', id="call_Oslo", name="get_weather")]})],
                [delta({}, "tool_calls")],
            ],
            write=spaced,
        ),
        Answer(
            name="json-schema",
            kind="schema",
            plain=raw(completion(choice({"content": _PERSON}))),
            choices=spoken([_PERSON[at : at + 5] for at in range(0, len(_PERSON), 5)]),
        ),
        Answer(
            name="reasoning",
            plain=raw(
                completion(
                    choice({"reasoning_content": "".join(_THOUGHTS), "content": "42"}),
                    usage={**USAGE, "completion_tokens_details": {"reasoning_tokens": 12}},
                )
            ),
            choices=[
                [delta({"role": "assistant", "content": None, "reasoning_content": ""})],
                *([delta({"content": None, "reasoning_content": thought})] for thought in _THOUGHTS),
                [delta({"content": "42", "reasoning_content": None})],
                [delta({"content": ""}, "stop")],
            ],
            usage={**USAGE, "completion_tokens_details": {"reasoning_tokens": 12}},
        ),
        Answer(
            name="refusal",
            plain=raw(completion(choice({"refusal": "I cannot help with that."}))),
            choices=spoken(["I cannot ", "help ", "with that."], member="refusal"),
        ),
        Answer(
            name="cached-usage",
            plain=raw(completion(choice({"content": "Known."}), usage=_COUNTED)),
            choices=spoken(["Known."]),
            usage=_COUNTED,
        ),
        Answer(
            name="unknown-fields",
            plain=raw(
                completion(
                    choice({"content": "Odd.", "x_parts": [_ODD], **_ODD}, content_filter_results=_ODD, **_ODD),
                    usage={**USAGE, **_ODD, "prompt_tokens_details": {"cached_tokens": 3, **_ODD}},
                    **_ODD,
                )
            ),
            choices=[
                [],
                [delta({"role": "assistant", "content": "Od", **_ODD}, **_ODD)],
                [delta({"content": "d.", **_ODD}, content_filter_results=_ODD, stop_reason=None)],
                [delta({}, "stop", **_ODD)],
            ],
            beside={**_ODD, "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}]},
            usage={**USAGE, **_ODD, "prompt_tokens_details": {"cached_tokens": 3, **_ODD}},
        ),
        Answer(
            name="unknown-in-tools",
            kind="tools",
            plain=raw(
                completion(
                    choice(
                        {"tool_calls": [{**_CALLS[0], **_ODD, "function": {**_CALLS[0]["function"], **_ODD}}]},
                        "tool_calls",
                    )
                )
            ),
            choices=[
                OPENING,
                [delta({"tool_calls": [_odd_fragment(0, "", id="call_Oslo", name="get_weather")]})],
                [delta({"tool_calls": [_odd_fragment(0, '{"city": "Oslo"}')]})],
                [delta({}, "tool_calls")],
            ],
        ),
        Answer(
            name="split-letters",
            plain=raw(completion(choice({"content": 2 * _GLYPHS}))),
            choices=spoken([_GLYPHS, *_GLYPHS]),
            cut=13,
        ),
        Answer(
            name="escaped-letters",
            plain=raw(completion(choice({"content": _GLYPHS})), spaced),
            choices=spoken(list(_GLYPHS)),
            write=spaced,
            cut=7,
        ),
        Answer(
            name="comments",
            plain=raw(completion(choice({"content": "".join(_WORDS)}))),
            choices=spoken(_WORDS),
            before=": PROCESSING\n\n: still at it\n\n\n",
            line=_commented,
        ),
        Answer(
            name="event-fields",
            plain=raw(completion(choice({"content": "".join(_WORDS)}))),
            choices=spoken(_WORDS),
            line=lambda event: f"event: message\nid: 7\nretry: 3000\ndata: {event}\n\n",
        ),
        Answer(
            name="carriage-returns",
            plain=raw(completion(choice({"content": "".join(_WORDS)}))).replace(b",", b",\r\n"),
            choices=spoken(_WORDS),
            before=": PROCESSING\r\n\r\n",
            line=lambda event: f"data: {event}\r\n\r\n",
            after="data: [DONE]\r\n\r\n",
            cut=11,
        ),
        Answer(
            name="tight-lines",
            plain=raw(completion(choice({"content": "".join(_WORDS)}))),
            choices=spoken(_WORDS),
            line=lambda event: f"data:{event}\n\n",
            after="data:[DONE]\n\n",
        ),
        Answer(
            name="long-lines",
            plain=raw(completion(choice({"content": _LONG}))),
            choices=spoken([_LONG, "End."]),
            cut=65_000,
        ),
        Answer(
            name="two-choices",
            plain=raw(
                completion(
                    choice({"content": "Heads"}, logprobs=_said("Heads")),
                    choice({"content": "Tails"}, index=1, logprobs=_said("Tails")),
                )
            ),
            choices=[
                [delta({"role": "assistant", "content": "He"}, logprobs=_said("He"))],
                [delta({"role": "assistant", "content": "Ta"}, index=1, logprobs=_said("Ta"))],
                [delta({"content": "ils"}, index=1), delta({"content": "ads"})],
                [delta({}, "stop"), delta({}, "stop", index=1)],
            ],
        ),
        Answer(
            name="nothing-said",
            plain=raw(completion(choice({"content": ""}, "content_filter"))),
            choices=spoken([], "content_filter"),
        ),
        Answer(
            name="no-done",
            choices=spoken(_WORDS),
            after="",
        ),
        Answer(
            name="late-end",
            choices=spoken(_WORDS),
            lingers=0.3,
        ),
        Answer(
            name="fails-midway",
            outcome="upstream_error",
            choices=spoken(_WORDS)[:3],
            usage=None,
            after=f"data: {compact(_FELL)}\n\n",
        ),
        Answer(
            name="refused-request",
            status=400,
            outcome="caller_error",
            plain=raw(
                {
                    "error": {
                        "message": "Too long by 7 tokens.",
                        "type": "invalid_request_error",
                        "param": "messages",
                        "code": "context_length_exceeded",
                        **_ODD,
                    }
                }
            ),
        ),
    )
}
