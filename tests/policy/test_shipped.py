"""The policies that ship load, say what they need, and decide as their comments promise."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from msgspec.structs import replace

from router.errors import NoEligibleModel, PolicyError, SettingsError
from router.policy.compiled import Facts
from router.policy.decide import decide, resolve
from router.policy.load import load_policy
from router.policy.review import review
from router.policy.schema import json_schema
from router.policy.shipped import shipped_policy
from tests.policy.making import ENV, ask_of, judged

NAMES = ["default", "demo", "local-only", "privacy-first", "cost-first", "every-key", "rehearsal"]
NOON = Facts(at=datetime(2026, 1, 5, 12, tzinfo=UTC))
NIGHT = replace(NOON, at=datetime(2026, 1, 5, 3, tzinfo=UTC), key_tags=("batch",))


def chosen(name: str, ask=None, assessment=None, facts: Facts = NOON, route: str = "auto") -> tuple[str, str]:
    policy = load_policy(shipped_policy(name), ENV)
    quality = assessment or judged(0.5)
    named = {model: quality.quality.get(model, 1 - quality.complexity) for model in policy.models}
    verdict = decide(policy, resolve(policy, route), ask or ask_of(), replace(quality, quality=named), facts)
    return verdict.decision.model, verdict.decision.rule


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_policy_loads_and_has_no_part_that_can_never_act(name: str) -> None:
    policy = load_policy(shipped_policy(name), ENV)
    assert "auto" in policy.routes and review(policy).findings == ()
    assert all(model.price is not None and model.context is not None for model in policy.models.values())
    assert "sekret" not in repr(policy)


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("default", "ANTHROPIC_API_KEY"),
        ("demo", "SIGNALBOX_DEMO_SMALL_URL"),
        ("privacy-first", "ANTHROPIC_API_KEY"),
        ("cost-first", "OPENAI_API_KEY"),
    ],
)
def test_a_missing_variable_is_named_with_its_place(name: str, variable: str) -> None:
    with pytest.raises(PolicyError, match=rf"{name}\.yaml:\d+:\d+: the environment variable {variable} is not set"):
        load_policy(shipped_policy(name), {})


def test_the_local_policy_needs_no_variable() -> None:
    assert load_policy(shipped_policy("local-only"), {}).models["small"].model == "qwen2.5:3b"


def test_the_default_policy_stays_short() -> None:
    assert len(shipped_policy("default").read_text("utf-8").splitlines()) < 30


def test_an_unknown_name_is_refused_with_a_hint() -> None:
    with pytest.raises(SettingsError, match="did you mean `default`"):
        shipped_policy("defautl")


def test_the_published_schema_is_the_one_the_program_prints() -> None:
    published = shipped_policy("default").with_name("policy.schema.json")
    assert orjson.loads(published.read_bytes()) == json_schema()


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_policy_points_editors_at_the_schema(name: str) -> None:
    text = Path(shipped_policy(name)).read_text("utf-8")
    assert text.startswith("# yaml-language-server: $schema=./policy.schema.json\n")


@pytest.mark.parametrize("name", ["default", "demo"])
def test_default_and_demo_do_what_the_readme_says(name: str) -> None:
    assert chosen(name, assessment=judged(0.1)) == ("small", "easy")
    assert chosen(name, assessment=judged(0.9)) == ("large", "keep the promise")
    assert chosen(name, ask_of(housekeeping=True), judged(0.9)) == ("small", "housekeeping")
    assert chosen(name, ask_of(private=("card",)), judged(0.9)) == ("small", "private stays local")
    assert chosen(name, ask_of(input_tokens=50_000), judged(0.1)) == ("large", "easy")


def test_the_local_policy_uses_the_large_model_where_it_gains() -> None:
    assert chosen("local-only", assessment=judged(0.2)) == ("small", "easy")
    assert chosen("local-only", assessment=judged(0.8)) == ("large", "worth the wait")
    assert chosen("local-only", ask_of(private=("email",)), judged(0.8)) == ("large", "worth the wait")
    policy = load_policy(shipped_policy("local-only"), {})
    assert all(model.private for model in policy.models.values())
    assert policy.routes["auto"].cache is not None and policy.routes["auto"].cache.private


def test_the_privacy_policy_keeps_private_text_at_home_whatever_is_asked_for() -> None:
    private = ask_of(private=("national_id",))
    assert chosen("privacy-first", assessment=judged(0.9)) == ("remote", "hard")
    assert chosen("privacy-first", private, judged(0.9)) == ("local", "private stays local")
    assert chosen("privacy-first", facts=replace(NOON, key_tags=("confidential",))) == (
        "local",
        "confidential teams",
    )
    assert chosen("privacy-first", ask_of(tools=2), judged(0.9)) == ("local", "files and tools stay")
    with pytest.raises(NoEligibleModel, match="national_id"):
        chosen("privacy-first", private, route="remote")
    policy = load_policy(shipped_policy("privacy-first"), ENV)
    assert policy.scanner.scan(["my SSN is 536-90-4399"]) == ("national_id",)
    assert policy.scanner.scan(["call (212) 555-0123"]) == ("phone",)


def test_the_cost_policy_pays_only_where_it_must() -> None:
    alike = replace(judged(0.6), quality={"nano": 0.85, "mini": 0.9, "large": 0.92})
    steep = replace(judged(0.6), quality={"nano": 0.2, "mini": 0.4, "large": 0.9})
    middle = replace(judged(0.6), quality={"nano": 0.2, "mini": 0.88, "large": 0.92})
    assert chosen("cost-first", assessment=alike) == ("nano", "nine tenths")
    assert chosen("cost-first", assessment=middle) == ("mini", "nine tenths")
    assert chosen("cost-first", assessment=steep) == ("large", "nine tenths")
    assert chosen("cost-first", assessment=steep, facts=NIGHT) == ("nano", "nights are for batch")
    assert chosen("cost-first", ask_of(input_tokens=30_000), judged(0.3)) == ("nano", "long and light")
    assert chosen("cost-first", ask_of(input_tokens=400_000), judged(0.7, task="x")) == ("large", "nine tenths")
    assert chosen("cost-first", assessment=alike, route="premium") == ("large", "the best")
