"""What an answer must pass before it goes out in place of a dearer one."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.plans.checks import CHECKS, code, empty, first_failed, refusal, schema, truncated, units, worth_giving
from router.policy.rule_schema import CHECKS as NAMES
from tests.plans.saying import answer, asking

HI = asking("hi")


def test_every_check_of_the_policy_is_one() -> None:
    assert tuple(CHECKS) == NAMES


# empty


@pytest.mark.parametrize("text", [None, "", "   \n\t"])
def test_an_answer_without_words_or_calls_is_empty(text: str | None) -> None:
    assert empty(answer(text), HI) is not None


def test_a_call_or_a_refusal_in_words_is_not_empty() -> None:
    assert empty(answer(None, calls=[("weather", "{}")]), HI) is None
    assert empty(answer(None, refusal="No."), HI) is None


# refusal

REFUSALS = [
    "I'm sorry, but I can't help with that.",
    "I’m sorry, but I can’t assist with that request.",
    "As an AI language model, I cannot provide medical advice.",
    "**Sorry**, I am not able to do this.",
    "I don't know.",
    "Es tut mir leid, aber ich kann diese Anfrage nicht erfüllen.",
    "Leider kann ich Ihnen dabei nicht helfen.",
    "Je suis désolé, mais je ne peux pas vous aider.",
    "Lo siento, no puedo ayudarte con eso.",
    "Desculpe, não posso ajudar com isso.",
    "Mi dispiace, non posso aiutarti.",
    "Het spijt me, maar ik kan u niet helpen.",
    "Przykro mi, ale nie mogę pomóc.",
    "К сожалению, я не могу ответить на этот вопрос.",
    "Üzgünüm, bu konuda yardımcı olamam.",
    "عذرًا، لا يمكنني المساعدة في ذلك.",
    "माफ़ कीजिए, मैं इसमें मदद नहीं कर सकता।",
    "抱歉，我无法提供这些信息。",
    "申し訳ありませんが、お答えできません。",
    "죄송하지만 도와드릴 수 없습니다.",
    "Xin lỗi, tôi không thể giúp bạn.",
    "Maaf, saya tidak dapat membantu.",
]


@pytest.mark.parametrize("text", REFUSALS)
def test_a_short_text_that_begins_as_refusals_do_is_one(text: str) -> None:
    assert refusal(answer(text), HI) is not None


NO_REFUSALS = [
    "I'm sorry to hear that. Try turning it off and on again.",
    "I cannot recommend this book enough.",
    "I can't help but admire it.",
    "I can't say enough good things about it.",
    "Unfortunately, the last train left at nine.",
    "No.",
    "The error says: \"I'm sorry, but I can't help with that.\" It comes from the filter.",
    "Ich kann das sehr empfehlen.",
    "Ich kann dir zwei Wege nennen.",
    "Lo siento mucho por tu pérdida.",
    "Désolé du retard ! La réponse est 42.",
    "I can't help with the first part, as it is private. " + "The second part works like this. " * 30,
    "I can't do that:\n```python\nprint(1)\n```",
]


@pytest.mark.parametrize("text", NO_REFUSALS)
def test_what_only_sounds_alike_is_none(text: str) -> None:
    assert refusal(answer(text), HI) is None


def test_a_refusal_that_the_question_quotes_is_no_refusal() -> None:
    question = asking("Say this politely: I can't help with that")
    assert refusal(answer("I can't help with that, I'm afraid."), question) is None


def test_what_the_model_or_its_provider_says_outright_is_believed() -> None:
    assert refusal(answer(None, refusal="No."), HI) is not None
    assert refusal(answer("Well", finish="content_filter"), HI) is not None


# truncated


def test_an_answer_that_ran_out_of_tokens_is_truncated() -> None:
    assert truncated(answer("and then", finish="length"), HI) is not None
    assert truncated(answer("and then."), HI) is None


def test_an_answer_that_ends_within_a_code_block_is_truncated() -> None:
    assert truncated(answer("So:\n```python\nprint(1)"), HI) is not None
    assert truncated(answer("So:\n```python\nprint(1)\n```\nDone."), HI) is None
    assert truncated(answer("So:\n~~~\n```\n~~~\n"), HI) is None
    assert truncated(answer("Use ``` for blocks."), HI) is None


# schema

PLACE = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "size": {"enum": ["s", "m"]}},
    "required": ["city"],
    "additionalProperties": False,
}


def shaped(wanted: Any = PLACE) -> dict[str, Any]:
    return asking("where?", response_format={"type": "json_schema", "json_schema": {"name": "p", "schema": wanted}})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"city": "Ulm"}', None),
        (' {"city": "Ulm", "size": "s"}\n', None),
        ("Ulm", "not JSON"),
        ('```json\n{"city": "Ulm"}\n```', "not JSON"),
        ('{"city": 7}', "`type`"),
        ('{"size": "s"}', "`required`"),
        ('{"city": "Ulm", "size": "xl"}', "`enum`"),
        ('{"city": "Ulm", "more": 1}', "`additionalProperties`"),
    ],
)
def test_an_answer_is_held_to_its_schema(text: str, says: str | None) -> None:
    found = schema(answer(text), shaped())
    assert (found is None) if says is None else (says in (found or ""))


def test_reasons_hold_no_words_of_the_answer() -> None:
    found = schema(answer('{"city": "Ulm", "size": "secret-word"}'), shaped())
    assert found is not None and "secret-word" not in found


def test_a_json_object_is_wanted_as_such() -> None:
    wanted = asking("hi", response_format={"type": "json_object"})
    assert schema(answer("{}"), wanted) is None
    assert schema(answer("[]"), wanted) is not None
    assert schema(answer("no"), asking("hi", response_format={"type": "text"})) is None


TOOLS = {"tools": [{"type": "function", "function": {"name": "weather", "parameters": PLACE}}]}


@pytest.mark.parametrize(
    ("calls", "says"),
    [
        ([("weather", '{"city": "Ulm"}')], None),
        ([("wether", '{"city": "Ulm"}')], "not offered"),
        ([("weather", '{"city": "Ulm"')], "not JSON"),
        ([("weather", '["Ulm"]')], "no JSON object"),
        ([("weather", '{"city": "Ulm"}'), ("weather", "{}")], "`required`"),
    ],
)
def test_calls_are_held_to_the_tools_that_were_offered(calls: list[tuple[str, str]], says: str | None) -> None:
    found = schema(answer(None, calls=calls, finish="tool_calls"), asking("hi", **TOOLS))
    assert (found is None) if says is None else (says in (found or ""))


def test_a_tool_that_had_to_be_called_is_missed() -> None:
    assert schema(answer("It rains."), asking("hi", **TOOLS, tool_choice="required")) is not None
    assert schema(answer("It rains."), asking("hi", **TOOLS)) is None


HOSTILE_SCHEMAS: dict[str, tuple[Any, Any]] = {
    "a pattern that backtracks": ({"type": "string", "pattern": "(a+)+$"}, "a" * 60 + "!"),
    "patterns for names": ({"patternProperties": {"(a+)+$": {}}, "additionalProperties": False}, {"a" * 60 + "!": 1}),
    "a reference to elsewhere": ({"$ref": "http://127.0.0.1:9/schema.json"}, {}),
    "a reference to itself": ({"$ref": "#"}, {}),
    "a tree of references": (
        {
            "$defs": {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)} | {"d40": {}},
            "$ref": "#/$defs/d0",
        },
        {},
    ),
    "more objects than are looked at": ({"items": PLACE}, [{"city": "Ulm"}] * 20_000),
    "many choices for many": ({"items": {"enum": [str(n) for n in range(30_000)]}}, ["29999"] * 3_000),
    "many names for many": ({"items": {"required": ["city"] * 200_000}}, [{"city": "Ulm"}] * 3_000),
    "many parts for many": ({"items": {"properties": {str(n): {} for n in range(100_000)}}}, [{}] * 3_000),
    "no schema": ({"type": "objekt", "required": 5, "properties": [1]}, {}),
}


@pytest.mark.parametrize(("wanted", "value"), HOSTILE_SCHEMAS.values(), ids=HOSTILE_SCHEMAS)
def test_a_schema_cannot_take_our_time_or_call_anybody(wanted: Any, value: Any) -> None:
    import orjson

    started = time.perf_counter()
    assert schema(answer(orjson.dumps(value).decode()), shaped(wanted)) is None
    assert time.perf_counter() - started < 2


# code


@pytest.mark.parametrize(
    ("language", "text", "is_fine"),
    [
        ("python", "def f(x):\n    return x", True),
        ("py", "def f(x):\nreturn x", False),
        ("python", "print(1", False),
        ("python", "    indented = 1\n    more = 2", True),
        ("python", ">>> f(1)\n2", True),
        ("python", "!pip install x\nimport x", True),
        ("python", "re.match('\\d', x)", True),
        ("json", '{"a": 1}', True),
        ("json", '{"a": 1,}', False),
        ("json", '{"a": ...}', True),
        ("json", '{"a": 1}\n{"a": 2}', True),
        ("java", 'class A { String s = "}"; }', True),
        ("c", "int main() { if (1) { return 0; }", False),
        ("go", "func f() {\n\t// ...\n", True),
        ("text", "print(1", True),
        ("", "print(1", True),
    ],
)
def test_marked_blocks_must_parse(language: str, text: str, is_fine: bool) -> None:
    assert (code(answer(f"So:\n```{language}\n{text}\n```\n"), HI) is None) is is_fine


# units


@pytest.mark.parametrize(
    ("question", "text", "is_fine"),
    [
        ("How many legs has a spider?", "Eight.", True),
        ("How many legs has a spider?", "8", True),
        ("How many legs has a spider?", "It is an arachnid.", False),
        ("Wie viele Beine hat eine Spinne?", "Acht Beine.", True),
        ("How far is the moon in km?", "About 384,400 km.", True),
        ("How far is the moon in km?", "384400", True),
        ("How far is the moon in km?", "238,855 miles", False),
        ("How far is the moon in kilometres?", "About 384,400 km (238,855 miles).", True),
        ("What percentage of the Earth is water?", "About 71 %.", True),
        ("What percentage of the Earth is water?", "About 71 of every hundred parts are covered.", False),
        ("How much is it in euros?", "12 dollars", False),
        ("How much is it in euros?", "12 €", True),
        ("How many people live in Euro zone countries?", "340 million people", True),
        ("Tell me about spiders.", "They are arachnids.", True),
    ],
)
def test_a_number_is_there_where_one_was_asked_for_in_its_unit(question: str, text: str, is_fine: bool) -> None:
    assert (units(answer(text), asking(question)) is None) is is_fine


FALSE_SUMS = [
    "12 * 7 = 85",
    "12 × 7 = 85",
    "So 2 + 2 = 5.",
    "$3 \\times 4 = 13$",
    "100 / 8 = 12.6",
    "1,200 + 300 = 1,600",
]
NO_FALSE_SUMS = [
    "12 * 7 = 84",
    "10 / 3 = 3.33",
    "22/7 = 3.14",
    "0.1 + 0.2 = 0.3",
    "1.200 + 300 = 1.500",
    "2 + 3 * 4 = 14",
    "10 -3 * 2 = 4",
    "x^2 - 5 = 4",
    "3x - 5 = 4",
    "f(2) - 5 = 4",
    "5 - 3 = 2 - 0",
    "100 - 20% = 80",
    "7 + 8 = 3 (mod 12)",
    "In binary, 1 + 1 = 10.",
    "It is not true that 2 + 2 = 5.",
    "`2 + 2 = 5`",
    "```\n2 + 2 = 5\n```",
    "1.2.3 + 4 = 5",
    "8 / 0 = 7",
]


@pytest.mark.parametrize("text", FALSE_SUMS)
def test_a_false_sum_is_caught(text: str) -> None:
    assert units(answer(text), HI) is not None


@pytest.mark.parametrize("text", NO_FALSE_SUMS)
def test_what_is_no_false_sum_is_left_alone(text: str) -> None:
    assert units(answer(text), HI) is None


def test_a_false_sum_of_the_question_may_be_repeated() -> None:
    assert units(answer("2 + 2 = 5 is a slogan in 1984."), asking("Who said 2 + 2 = 5?")) is None


@given(st.integers(-(10**6), 10**6), st.integers(1, 10**6), st.sampled_from("+-*"))
def test_no_true_sum_of_whole_numbers_is_ever_called_false(a: int, b: int, op: str) -> None:
    result = {"+": a + b, "-": a - b, "*": a * b}[op]
    assert units(answer(f"So {a} {op} {b} = {result}."), HI) is None
    assert units(answer(f"So {a:,} {op} {b:,} = {result:,}."), HI) is None
    assert units(answer(f"So {a} {op} {b} = {result + 1}."), HI) is not None


# all of them


def test_only_the_checks_that_are_named_are_made() -> None:
    assert first_failed(answer("12 * 7 = 85"), HI, ("empty", "refusal")) is None
    assert (first_failed(answer("12 * 7 = 85"), HI, NAMES) or "").startswith("units: ")


def test_an_answer_that_was_not_accepted_is_worth_giving_unless_it_says_nothing_or_refuses() -> None:
    assert worth_giving(answer("12 * 7 = 85"), HI)
    assert not worth_giving(answer(""), HI)
    assert not worth_giving(answer(REFUSALS[0]), HI)


HOSTILE = {
    "backticks": "`" * 1_000_000,
    "fences": "```\n" * 250_000,
    "python fences": "```python\n(((\n" * 60_000,
    "one long block": "```python\n" + "a=" * 500_000,
    "deep python": "```python\n" + "(" * 15_000 + "\n```",
    "minus signs in python": "```python\n" + "-" * 30_000 + "1\n```",
    "nested json": "```json\n" + "[" * 30_000 + "\n```",
    "quotes in c": '```c\n"' + '\\"' * 15_000 + "\n```",
    "digits": "1" * 1_000_000,
    "sums": "1 + 1 = 3 * " * 80_000,
    "numbers with commas": "1,1," * 250_000,
    "spaces": " " * 1_000_000 + "x",
    "line ends": "\n" * 1_000_000,
    "letters": "a" * 1_000_000,
    "apologies": "sorry " * 160_000,
    "words of refusal": "ich kann " * 110_000,
    "NUL and half of a pair": "\0\ud800" * 400_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_text_takes_long_to_check(text: str) -> None:
    question = asking("How many km? " + text, **TOOLS, response_format={"type": "json_object"})
    started = time.perf_counter()
    for check in CHECKS.values():
        check(answer(text), question)
        check(answer(text[:700]), question)
    assert time.perf_counter() - started < 3


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(
    st.text() | st.sampled_from(["```python\n", "```json\n{", "I can't help", "2 + 2 = 5"]),
    st.fixed_dictionaries(
        {},
        optional={"messages": ANY_JSON, "tools": ANY_JSON, "response_format": ANY_JSON, "tool_choice": ANY_JSON},
    ),
    ANY_JSON,
)
def test_no_check_ever_raises(text: str, values: dict[str, Any], message: Any) -> None:
    drafted = answer(
        text, **(message if isinstance(message, dict) and not message.keys() & {"text", "finish", "calls"} else {})
    )
    first_failed(drafted, values, NAMES)
    first_failed(drafted, asking(text, tools=values.get("tools"), response_format=values.get("response_format")), NAMES)
