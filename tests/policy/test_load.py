"""A policy file loads whole or is refused with file, line, column and a hint; secrets show nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import PolicyError
from router.policy.load import load_policy, parse_policy
from router.policy.shipped import shipped_policy
from tests.policy.making import ENV

DEFAULT = shipped_policy("default").read_text("utf-8")


def changed(old: str, new: str, **env: str):
    assert old in DEFAULT, old
    return parse_policy(DEFAULT.replace(old, new, 1), "p.yaml", {**ENV, **env})


def place_of(part: str, text: str = DEFAULT) -> tuple[int, int]:
    at = text.index(part)
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)


MISTAKES = [
    # what stands there, what is written instead, where in the new text the error points, what it says
    ("fallback: []", "fallbak: []", "fallbak", "unknown key `fallbak`; did you mean `fallback`?"),
    ("tier: large", "tire: large", "tire", "unknown key `tire`; did you mean `tier`?"),
    ("models:", "model:", "model:", "unknown key `model`; did you mean `models`?"),
    ("cache: {exact", "cache: {exat", "exat", "unknown key `exat`; did you mean `exact`?"),
    ("use: small, fallback: []", "use: smal", "smal}", "no model is called `smal`; did you mean `small`?"),
    ("fallback: [large]", "fallback: [lrge]", "lrge]", "no model is called `lrge`; did you mean `large`?"),
    ("among: [small, large]", "among: [small, small]", "small], keep", "`small` is there twice"),
    ("baseline: large", "baseline: lagre", "lagre", "did you mean `large`?"),
    ("default: small ", "default: smol ", "smol", "no model is called `smol`; did you mean `small`?"),
    ("ask.housekeeping", "ask.houskeeping", "houskeeping", "`ask` has no `houskeeping`; did you mean `housekeeping`?"),
    ("ask.housekeeping", "has(ask.privat)", "privat)", "`ask` has no `privat`; did you mean `private`?"),
    ("ask.housekeeping", "ask['tasks'] == 'x'", "'tasks'", "`ask` has no `tasks`"),
    ("ask.housekeeping", "complexty > 1.0", "complexty", "unknown name `complexty`; did you mean `complexity`?"),
    ("ask.housekeeping", "quality['smal'] > 0.5", "'smal'", "`quality` has no `smal`; did you mean `small`?"),
    ("ask.housekeeping", "cost.lagre > 0.5", "lagre", "`cost` has no `lagre`; did you mean `large`?"),
    ("ask.housekeeping", "key.tag == 'x'", "tag ==", "`key` has no `tag`; did you mean `tags`?"),
    ("ask.housekeeping", "headers['X-Team'] == 'a'", "'X-Team'", "header names are in lower case here: x-team"),
    ("ask.housekeeping", "ask.private.exists(ask, true)", "ask, true", "`ask` is a name of ours"),
    ("ask.housekeeping", "complexity > ", ' ", use', "this is no CEL expression"),
    ('"ask.housekeeping"', '"complexity"', '"complexity",', "a condition must be true or false; this one gives float"),
    ('"ask.housekeeping"', '"complexity > \'a\'"', '"complexity > \'', "the condition errs"),
    ('"ask.housekeeping"', '"ask.task.matches(\'[\')"', '"ask.task', "not a valid regex"),
    ('"ask.housekeeping"', '"shout(ask.task)"', '"shout', "Undefined variable or function: 'shout'"),
    ("version: 1", "version: 2", "2", "this program reads `version: 1`"),
    ("version: 1\n", "", "models", "`version` is missing"),
    ("tier: large", "tier: large, context: many", "many", "valid integer"),
    ("tier: large", "tier: large, context: 0", "0, provider", "greater than 0"),
    ("tier: large", "tier: large, retries: true", "true, provider", "should be a number"),
    ("tier: large", "tier: large, price: {input: -1, output: 2}", "-1", "greater than or equal to 0"),
    ("tier: large", "tier: large, price: {input: .inf, output: 2}", ".inf", "valid number"),
    ("tier: large", "tier: large, price: {input: 1.0e+7, output: 2}", "1.0e+7", "less than or equal to 1000000"),
    ("tier: large", "tier: large, supports: [tool]", "tool]", "'tools', 'json_schema', 'images' or 'logprobs'"),
    ("tier: large", "tier: large, timeouts: {total: 1 hour}", "1 hour", "a duration like"),
    ("provider: litellm", "provider: lightllm", "lightllm", "'openai' or 'litellm'"),
    ("tier: large, provider: litellm", "tier: large", "{tier: large", "needs a `base_url`"),
    ("tier: large, provider: litellm", 'tier: large, base_url: ""', "{tier: large", "needs a `base_url`"),
    (":-http://", ":-htp://", '"${SIGNALBOX_SMALL_URL', "should be an http:// or https:// URL"),
    (":-http://", ":-http://user:pass@", '"${SIGNALBOX_SMALL_URL', "without user and password"),
    ("ttl: 1h", "ttl: 1hour", "1hour", "a duration like"),
    ("ttl: 1h", "ttl: 0", "0}", "a duration like"),
    ("keep_quality: 0.95", "keep_quality: 2", "2}", "less than or equal to 1"),
    ("    baseline: large", "    #", "0.95", "`keep_quality` needs the route to name its `baseline`"),
    ("choose: cheapest, ", "use: small, ", "among: [small", "`among` goes with `choose`"),
    ("choose: cheapest, among: [small, large], ", "", "{name: keep", "needs either `use` or `choose`"),
    ("name: easy", "name: pinned", "pinned", "is a name of ours"),
    ("name: easy", "name: housekeeping", "housekeeping,                when: \"complexity", "two rules are called"),
    ("  auto:", "  small:", "small:                                  #", "is a model already"),
    ("  auto:", "  'a b':", "'a b'", "a name is made of letters"),
    ("  auto:", "  größe:", "größe:", "a name is made of letters A to Z"),
    ("    baseline: large", "    baseline: large\n    conversation: true", "true", "should have keys of its own"),
    ("default: small ", "retrievers: {h: {url: localhost}}\ndefault: small ", "localhost}}", "http:// or https:// URL"),
    ("default: small ", "default: small\ndefault: large ", "default: large", "`default` is there twice (first on line"),
    ("${ANTHROPIC_API_KEY}", "${NO_SUCH_VARIABLE}", '"${NO_SUCH', "environment variable NO_SUCH_VARIABLE is not set"),
    ("${ANTHROPIC_API_KEY}", "${NOT A NAME}", '"${NOT A', "write `${NAME}` or `${NAME:-default}`"),
    ("${ANTHROPIC_API_KEY}", "${UNCLOSED", '"${UNCLOSED', "write `${NAME}`"),
    ("default: small ", "default: !!python/name:os.system x ", "!!python", "tags like"),
    ("default: small ", "default: &a [*a] ", "&a", "an alias that holds itself"),
    ("default: small ", "\tdefault: small ", "\tdefault", "YAML: "),
    ("default: small ", "default: *nobody ", "*nobody", "YAML: "),
    ("default: small ", "privacy: {countries: [XX]}\ndefault: small ", "XX", "'xx' is not a country"),
    ("default: small ", "privacy: {phone_region: ZZ}\ndefault: small ", "ZZ", "not a region"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "points_at", "says"), MISTAKES)
def test_a_mistake_is_told_with_its_place_and_a_hint(old: str, new: str, points_at: str, says: str) -> None:
    with pytest.raises(PolicyError) as caught:
        changed(old, new)
    text = DEFAULT.replace(old, new, 1)
    after = text.index(new) if new else 0
    window = max(0, after - 200) if points_at.startswith(('"', "{", "0.95", "models")) else after
    at = text.index(points_at, 0 if points_at == "models" else window)
    line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
    error = caught.value
    assert says in error.message
    assert error.line == line, (error, line, column)
    assert error.column is not None and abs(error.column - column) <= 1, (error, line, column)
    assert str(error).startswith(f"p.yaml:{error.line}:{error.column}: ")
    assert "sekret" not in str(error)


@pytest.mark.parametrize(
    "text", ["", "# nothing", "- a list", "just words", "a: 1\n---\nb: 2", "\x00", "a: [", "? [1]\n: 2"]
)
def test_what_is_no_policy_at_all_is_refused(text: str) -> None:
    with pytest.raises(PolicyError):
        parse_policy(text, env={})


@given(st.text(max_size=80))
def test_any_text_is_a_policy_or_a_policy_error(text: str) -> None:
    with pytest.raises(PolicyError):
        parse_policy(text, env={})


@given(
    st.integers(0, len(DEFAULT)),
    st.sampled_from(["", "x", "{", "]", ":", "\n", '"', "${", "- ", "\t"]),
    st.integers(0, 12),
)
def test_a_damaged_policy_loads_or_is_refused_and_nothing_else(at: int, put_in: str, cut: int) -> None:
    text = DEFAULT[:at] + put_in + DEFAULT[at + cut :]
    try:
        parse_policy(text, env=ENV)
    except PolicyError as error:
        assert "sekret" not in str(error)


def test_a_file_that_cannot_be_read_is_a_policy_error(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="cannot be read"):
        load_policy(tmp_path / "missing.yaml", {})
    (tmp_path / "latin.yaml").write_bytes(b"version: 1\n# caf\xe9\n")
    with pytest.raises(PolicyError, match=r"latin\.yaml:2:1: not UTF-8"):
        load_policy(tmp_path / "latin.yaml", {})
    (tmp_path / "huge.yaml").write_bytes(b"#" * (1024 * 1024 + 1))
    with pytest.raises(PolicyError, match="larger than 1 MB"):
        load_policy(tmp_path / "huge.yaml", {})


def test_aliases_made_to_grow_are_cut_short() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(PolicyError, match="more than 20000 values"):
        parse_policy("\n".join(lines), env={})


def test_variables_are_filled_in_with_their_defaults() -> None:
    policy = changed("context: 32768", 'context: "${SIZE:-4096}"')
    assert policy.models["small"].context == 4096
    assert changed("context: 32768", 'context: "${SIZE:-4096}"', SIZE="9000").models["small"].context == 9000
    assert changed("private: true", 'private: "${P:-false}"').models["small"].private is False
    assert changed("private stays local", '"costs $${money}"').routes["auto"].rules[0].name == "costs ${money}"
    with pytest.raises(PolicyError, match="ANTHROPIC_API_KEY is empty"):
        parse_policy(DEFAULT, env={"ANTHROPIC_API_KEY": ""})


def test_values_of_variables_are_never_shown() -> None:
    for old, new in (
        ("default: small ", 'default: "${SECRET}" '),
        ("baseline: large", 'baseline: "${SECRET}"'),
        ("ask.housekeeping", "${SECRET}"),
        ("tier: large", 'tier: large, context: "${SECRET}"'),
        ("tier: large", 'tier: large, base_url: "${SECRET}"'),
        ("provider: litellm", 'provider: "${SECRET}"'),
        ("ttl: 1h", 'ttl: "${SECRET}"'),
    ):
        with pytest.raises(PolicyError) as caught:
            changed(old, new, SECRET="hush-hush (")
        assert "hush" not in str(caught.value) and "hush" not in repr(caught.value)


def test_keys_are_in_no_repr_and_no_digest() -> None:
    one = parse_policy(DEFAULT, env={"ANTHROPIC_API_KEY": "hush-1"})
    two = parse_policy(DEFAULT, env={"ANTHROPIC_API_KEY": "hush-2"})
    assert one.models["large"].api_key == "hush-1"
    assert "hush" not in repr(one) and "hush" not in str(one)
    assert one.digest == two.digest


def test_the_digest_stays_for_another_spelling_and_changes_with_the_meaning() -> None:
    digest = parse_policy(DEFAULT, env=ENV).digest
    assert parse_policy(DEFAULT, "other-name.yaml", ENV).digest == digest
    assert changed("# what savings are measured against", "# words").digest == digest
    assert changed("ttl: 1h", "ttl: 3600").digest == digest
    assert changed("tier: large", "retries: 1, tier: large").digest == digest
    assert (
        changed(
            "price: {input: 0, output: 0}",
            "price: {output: 0.0, input: 0}",
        ).digest
        == digest
    )
    for old, new in (
        ("0.35", "0.36"),
        ("ttl: 1h", "ttl: 2h"),
        ("private: true", "private: false"),
        ("fallback: []", "fallback: [large]"),
        ("fallback: []", "fallback: [small]"),
        ("default: small ", "default: large "),
        ("name: easy", "name: simple"),
        ("claude-sonnet-4-6", "claude-opus-4-6"),
        (', api_key: "${ANTHROPIC_API_KEY}"', ""),
    ):
        assert changed(old, new).digest != digest, new
    assert changed("version: 1", "version: 1", SIGNALBOX_SMALL_MODEL="phi").digest != digest


def test_the_label_is_the_files_name_and_the_digest() -> None:
    policy = parse_policy(DEFAULT, "/somewhere/my policy.yaml", ENV)
    assert policy.name == "my-policy"
    assert policy.label == f"my-policy@{policy.digest}" and len(policy.digest) == 12


def test_what_the_file_leaves_out_is_looked_up_and_what_it_says_wins() -> None:
    large = changed("tier: large", "tier: large").models["large"]
    assert large.price is not None and large.price.source.startswith("litellm ")
    assert large.context == 1_000_000 and large.supports == {"tools", "json_schema", "images"}
    large = changed("tier: large", "tier: large, price: {input: 1, output: 2}, context: 1000, supports: []").models[
        "large"
    ]
    assert (large.price.input, large.price.source) == (1, "policy")
    assert large.context == 1000 and large.supports == frozenset() and large.max_output == 128_000


def test_a_model_on_this_machine_is_not_priced_as_its_namesake() -> None:
    model = "{tier: small, model: gpt-4.1, base_url: 'http://%s/v1'}"
    text = f"version: 1\nmodels: {{m: {model}}}\ndefault: m\nroutes: {{auto: {{}}}}"
    assert parse_policy(text % "127.0.0.1:8000", env={}).models["m"].price is None
    assert parse_policy(text % "localhost", env={}).models["m"].price is None
    assert parse_policy(text % "gpu.example", env={}).models["m"].price is not None


def test_privacy_is_enforced_where_there_is_a_private_model_and_the_file_says_nothing() -> None:
    assert changed("version: 1", "version: 1").routes["auto"].privacy == "enforce"
    assert changed("private: true", "private: false").routes["auto"].privacy == "observe"
    observed = changed("    baseline: large", "    privacy: observe\n    baseline: large")
    assert (observed.routes["auto"].privacy, observed.pinned_privacy) == ("observe", "observe")


def test_the_cheapest_small_model_is_known() -> None:
    policy = load_policy(shipped_policy("cost-first"), ENV)
    assert policy.cheapest_small is not None and policy.cheapest_small.name == "nano"


def test_comprehension_variables_and_strings_are_not_taken_for_names() -> None:
    for condition in (
        "ask.private.exists(kind, kind == 'email')",
        "'ask.bogus' == ask.task",
        "metadata.all(k, k != 'x') // ask.bogus",
        "[1, 2].map(n, n * 2).exists(n, n > 3)",
        "size(ask.language) == 2 && ask.task.size() > 0",
    ):
        assert changed("ask.housekeeping", condition)


def test_only_the_names_that_conditions_use_are_noted() -> None:
    names = changed("version: 1", "version: 1").names
    assert names.roots == {"ask", "complexity"} and names.ask == {"private", "housekeeping"}


def test_durations_are_read_in_every_unit() -> None:
    for written, seconds in (("90", 90), ("1.5", 1.5), ("500ms", 0.5), ("1h30m", 5400), ("7d", 604800), ("2m", 120)):
        assert changed("ttl: 1h", f"ttl: {written}").routes["auto"].cache.ttl_seconds == seconds
