"""What `policy check` finds in a policy that loads: each part that can never act, by name, place and remedy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as changed

from router.policy.compiled import Facts
from router.policy.conditions import Context, compile_condition
from router.policy.decide import _context
from router.policy.lint.shapes import always, covers, impossible
from router.policy.review import review
from tests.policy.making import MODELS, ask_of, judged, policy_of

USES_ALL = "\n      - {name: all, choose: cheapest}\n"


def found(rules: str, *, models: str = MODELS, route: str = "baseline: large\n    privacy: observe") -> list[str]:
    """The findings about a policy whose last rule asks every model."""
    written = "".join(f"\n      - {{{rule}}}" for rule in rules.split("\n") if rule) + USES_ALL
    return [str(finding) for finding in review(policy_of(written, route, models)).findings]


def only(rules: str, **policy: str) -> str:
    findings = found(rules, **policy)
    assert len(findings) == 1, findings
    return findings[0]


@pytest.mark.parametrize(
    "condition",
    [
        "complexity < 0.2 && complexity > 0.5",
        "complexity > 1.0",
        "gain < -1.0",
        "hour > 24",
        "ask.tools < 1 && ask.tools > 0",
        "ask.input_tokens > 5 && ask.input_tokens < 6",
        "ask.task == 'code' && ask.task == 'maths'",
        "ask.task in ['code', 'maths'] && ask.task != 'code' && ask.task == 'code'",
        "quality['small'] > 0.9 && quality.small < 0.3",
        "ask.housekeeping && !ask.housekeeping",
        "'vip' in key.tags && !('vip' in key.tags)",
        "(complexity > 0.8 && complexity < 0.2) || support > 2.0",
        "false && metadata.x == 1",
    ],
)
def test_a_rule_that_can_never_fire_is_found(condition: str) -> None:
    assert "`r` can never fire" in only(f'name: r, when: "{condition}", use: small')


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        ("ask.task == 'coding'", "asks for the task `coding`, which there is not"),
        ("ask.language in ['en', 'english']", "asks for the language `english`"),
        ("'mail' in ask.private", "asks for the kind of private text `mail`"),
        ("'national_id' in ask.private", "national ids, and none are looked for; name the countries"),
    ],
)
def test_words_that_nobody_is_judged_as_are_found(condition: str, says: str) -> None:
    assert says in only(f'name: r, when: "{condition}", use: small')


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("complexity < 0.5", "complexity < 0.3"),
        ("complexity < 0.5", "complexity < 0.3 && tenant == 'a'"),
        ("metadata.team == 'x'", "metadata.team == 'x'"),
        ("tenant == 'a' || gain > 0.1", "gain > 0.2"),
        ("ask.task in ['code', 'maths']", "ask.task == 'maths'"),
        ("ask.task != 'chat'", "ask.task == 'maths'"),
        ("size(ask.private) > 0", "'card' in ask.private"),
        ("0.5 > complexity", "complexity<0.4"),
    ],
)
def test_a_rule_in_the_shadow_of_an_earlier_one_is_found(first: str, second: str) -> None:
    rules = f'name: wide, when: "{first}", use: small\nname: narrow, when: "{second}", use: large'
    assert "`narrow` stands in the shadow of `wide`" in only(rules)
    turned = f'name: narrow, when: "{second}", use: large\nname: wide, when: "{first}", use: small'
    assert first == second or not found(turned)


def test_a_condition_that_always_holds_shadows_all_behind_it_but_a_selector_does_not() -> None:
    assert "`r` always matches" in only('name: r, when: "complexity >= 0.0", use: small')
    models = MODELS + "options: {o: {use: small, description: x}}\n"
    assert not found("name: s, select: {by: embedding}", models=models)


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("use: small, fallback: [small, large]", "falls back to `small`, which it uses already"),
        ("when: 'size(ask.private) > 0', use: small, fallback: [large]", "falls back to `large`, which is not private"),
        ("when: 'ask.images > 0', use: large, fallback: [small]", "with images, which `small` does not support"),
        ("when: 'ask.json_schema && gain > 0.1', use: small", "with json_schema, which `small` does not support"),
        ("when: 'ask.input_tokens > 70000', use: large, fallback: [medium]", "and `medium` holds 64000"),
        (
            "when: 'gain > 0.1', choose: cheapest, among: [small, large], keep_quality: 0.9, fallback: [medium]",
            "its fallback `medium` is not among its models",
        ),
        (
            "when: 'gain > 0.1', choose: best, among: [small], max_cost: 0.1, fallback: [medium]",
            "its fallback `medium` is dearer than that",
        ),
    ],
)
def test_a_fallback_that_breaks_the_rules_own_constraint_is_found(rule: str, says: str) -> None:
    rules = f"name: r, {rule}" if "when" in rule else f"name: r, when: 'gain > 0.9', {rule}"
    assert says in only(rules)


def test_where_the_route_enforces_the_fallback_of_a_private_rule_just_never_serves() -> None:
    rule = "name: r, when: 'size(ask.private) > 0', use: small, fallback: [large]"
    assert "`large` can never serve" in only(rule, route="baseline: large\n    privacy: enforce")


@pytest.mark.parametrize("verb", ["agree: {ask: [medium, twin], then: large}", "cascade: {first: medium, then: twin}"])
def test_one_upstream_under_two_names_is_found(verb: str) -> None:
    models = MODELS.replace("default:", '  twin: {tier: medium, model: m, base_url: "http://m.test/v1"}\ndefault:')
    assert "asks `m` twice, as `medium` and `twin`" in only(f"name: r, when: 'gain > 0.1', {verb}", models=models)


def test_what_nothing_uses_is_found_by_name() -> None:
    parts = (
        MODELS
        + "retrievers: {shelf: {url: 'http://h.test/s'}}\n"
        + "options: {dusty: {use: small, with: shelf, description: x}}\n"
        + "limits: [{name: free, per: model, only: [small], dollars_per_day: 1}, "
        "{name: idle, per: model, only: [odd], dollars_per_day: 1}]\n"
    )
    rules = "\n      - {name: r, choose: cheapest, among: [small, medium, large]}\n"
    findings = [str(one) for one in review(policy_of(rules, models=parts)).findings]
    assert [finding.split(":")[0] for finding in findings] == [
        "model odd", "retriever shelf", "option dusty", "limit free", "limit idle",
    ]  # fmt: skip


def test_a_baseline_that_is_never_asked_is_worth_a_note_only() -> None:
    seen = review(policy_of("\n      - {name: r, use: small}\n"))
    assert any("its baseline large is never asked" in note for note in seen.notes)


def test_a_finding_stands_where_the_fault_is() -> None:
    seen = review(policy_of("\n      - {name: r, when: 'complexity > 2.0', use: small}" + USES_ALL))
    assert [finding.at for finding in seen.findings] == [("routes", "auto", "rules", 0, "when")]


# --- laws -----------------------------------------------------------------------------------------------------------

_BOUND = st.sampled_from(["0.0", "0.2", "0.5", "0.8", "1.0"])
_SIGN = st.sampled_from(["<", "<=", ">", ">=", "=="])
ATOMS = st.one_of(
    st.builds("{} {} {}".format, st.sampled_from(["complexity", "support", "quality['small']", "gain"]), _SIGN, _BOUND),
    st.builds("{} {} {}".format, _BOUND, _SIGN, st.just("complexity")),
    st.builds("ask.tools {} {}".format, _SIGN, st.integers(0, 2)),
    st.builds("ask.task {} '{}'".format, st.sampled_from(["==", "!="]), st.sampled_from(["code", "maths"])),
    st.sampled_from([
        "ask.task in ['code', 'chat']", "size(ask.private) > 0", "'email' in ask.private", "!('email' in ask.private)",
        "ask.housekeeping", "!ask.housekeeping", "true", "false", "tenant == 'a'", "weekday == 1", "weekday < 8",
    ]),
)  # fmt: skip
CONDITIONS = st.recursive(
    ATOMS,
    lambda inner: st.builds(
        lambda parts, sign: f"({f' {sign} '.join(parts)})",
        st.lists(inner, min_size=2, max_size=3),
        st.sampled_from(["&&", "||"]),
    ),
    max_leaves=5,
)
shares = st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0])


def holds(source: str, ask, assessment, facts: Facts) -> bool:
    condition = compile_condition(source, ["small", "large"])
    context: Context = _context(condition.names, ask, assessment, facts, {})
    return condition.holds(context)[0]


@given(
    CONDITIONS,
    CONDITIONS,
    st.builds(ask_of, tools=st.integers(0, 3), housekeeping=st.booleans(),
              private=st.sampled_from([(), ("email",), ("card",)])),
    st.builds(judged, shares, task=st.sampled_from(["code", "maths", "chat"])),
    st.sampled_from(["a", "b"]),
)  # fmt: skip
def test_what_is_said_of_conditions_holds_for_every_ask(one: str, other: str, ask, assessment, tenant: str) -> None:
    facts = changed(Facts(), tenant=tenant)
    first, second = holds(one, ask, assessment, facts), holds(other, ask, assessment, facts)
    if impossible(one) is not None:
        assert not first
    if always(one):
        assert first
    if covers(one, other) and second:
        assert first


@pytest.mark.parametrize(("budget", "noted"), [(0.001, True), (1, False)])
def test_a_budget_that_no_audit_fits_into_is_noted(budget: float, noted: bool) -> None:
    audit = f"audit: {{rate: 0.1, judge: medium, budget_per_day: {budget}}}"
    policy = policy_of(USES_ALL, f"baseline: large\n    privacy: observe\n    {audit}")
    assert any("one audit of a usual ask takes about $0.01" in note for note in review(policy).notes) is noted
