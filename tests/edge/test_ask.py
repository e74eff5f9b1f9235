"""The ask is what the person wants; what leaves is everything else too."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from router.ask import DEFAULT_OUTPUT_TOKENS, estimate_tokens, read_ask
from router.privacy import PrivacyScanner


class Listener:
    """Remembers what it was given to scan."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def scan(self, texts: Iterable[str]) -> tuple[str, ...]:
        self.heard += texts
        return ()


def ask_of(*messages: dict[str, Any], **rest: Any) -> Any:
    return read_ask({"model": "auto", "messages": list(messages), **rest}, Listener())


def user(text: Any) -> dict[str, Any]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def test_the_last_user_turn_is_the_ask_and_two_before_it_are_its_context() -> None:
    ask = ask_of(user("one"), user("two"), assistant("a"), user("three"), assistant("b"), user("yes, do it"))
    assert ask.text.text == "yes, do it"
    assert ask.text.earlier == ("two", "three")
    assert ask.turns == 4


def test_harness_text_is_not_the_ask() -> None:
    ask = ask_of(user("<system-reminder>Write a compiler.</system-reminder>\nhi"))
    assert ask.text.text == "hi"


def test_a_turn_that_the_harness_wrote_alone_is_passed_over() -> None:
    ask = ask_of(user("Prove it."), assistant("..."), user("<system-reminder>Be brief.</system-reminder>"))
    assert ask.text.text == "Prove it."


def test_tool_results_are_not_the_ask() -> None:
    tool = {"role": "tool", "tool_call_id": "1", "content": "a page of JSON"}
    assert ask_of(user("weather?"), assistant("x"), tool).text.text == "weather?"


def test_text_parts_are_joined_and_images_counted() -> None:
    parts = [
        {"type": "text", "text": "what is"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "text", "text": "this?"},
    ]
    ask = ask_of(user(parts))
    assert (ask.text.text, ask.images) == ("what is\nthis?", 1)


def test_needs_are_read_off_the_request() -> None:
    ask = ask_of(user("x"), tools=[{}, {}], response_format={"type": "json_schema"}, max_completion_tokens=77)
    assert (ask.tools, ask.json_schema, ask.output_tokens) == (2, True, 77)
    assert not ask.output_assumed
    assert ask_of(user("x")).output_tokens == DEFAULT_OUTPUT_TOKENS and ask_of(user("x")).output_assumed


@pytest.mark.parametrize("text", ["### Task:\nGenerate a title", "\n ### Task:\nSuggest tags"])
def test_a_chat_applications_housekeeping_is_known(text: str) -> None:
    assert ask_of(user(text)).housekeeping
    assert not ask_of(user("What does `### Task:` mean?")).housekeeping


def test_everything_that_would_leave_is_scanned() -> None:
    listener = Listener()
    body = {
        "model": "auto",
        "messages": [
            {"role": "system", "content": "s3cret-system"},
            {"role": "user", "content": "s3cret-user", "name": "s3cret-name"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"function": {"name": "f", "arguments": '{"to":"s3cret-argument"}'}}],
            },
            {"role": "tool", "content": [{"type": "text", "text": "s3cret-result"}], "tool_call_id": "1"},
        ],
        "tools": [
            {"function": {"description": "s3cret-tool", "parameters": {"s3cret-key": {"enum": ["s3cret-enum"]}}}}
        ],
        "user": "s3cret-id",
        "metadata": {"k": "s3cret-metadata"},
    }
    read_ask(body, listener)
    heard = "\n".join(listener.heard)
    for what in "system user name argument result tool key enum id metadata".split():
        assert f"s3cret-{what}" in heard


def test_words_behind_data_are_words_and_an_image_is_not() -> None:
    listener = Listener()
    image = "data:image/png;base64,iVBORw0KGgo="
    for text in ("data: jo@example.com", "data:image/png;base64,AAAA jo@example.com", image):
        read_ask({"messages": [{"role": "user", "content": text}]}, listener)
    assert [heard for heard in listener.heard if "jo@" in heard] == [
        "data: jo@example.com",
        "data:image/png;base64,AAAA jo@example.com",
    ]
    assert image not in listener.heard


def test_the_name_of_a_member_is_scanned_beside_its_value() -> None:
    metadata = {"ssn": "219-09-9998", "note": "n" * 200, "city": "c" * 200}
    body = {"messages": [{"role": "user", "content": "hi"}], "metadata": metadata}
    assert read_ask(body, PrivacyScanner(("us",))).private == ("national_id",)


def test_odd_parts_are_neither_text_nor_images() -> None:
    odd = [{"type": ["text"], "text": 1}, {"type": {}}, {"text": "x"}, {"type": "text", "text": None}]
    ask = read_ask({"messages": [{"role": "user", "content": odd}]}, Listener())
    assert (ask.images, ask.text.text) == (0, "")


def test_escapes_inside_tool_arguments_hide_nothing() -> None:
    listener = Listener()
    call = {"function": {"name": "f", "arguments": '{"to":"jo\\u0040example.com"}'}}
    read_ask({"messages": [{"role": "assistant", "tool_calls": [call]}]}, listener)
    assert any("jo@example.com" in text for text in listener.heard)


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("the quick brown fox jumps over the lazy dog " * 10, 70, 130),
        ("今天天气很好我们去公园散步吧" * 10, 80, 200),
        ("", 0, 0),
    ],
)
def test_token_estimates_are_of_the_right_size_in_any_script(text: str, low: int, high: int) -> None:
    assert low <= estimate_tokens([text]) <= high
