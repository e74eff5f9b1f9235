"""Several labels become one by the documented rule, and one key cannot move the judge far."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.contract import FORM_KEY, Label, LoggedDecision, ModelCard
from classifiers.training.labels import COUNTS, MOST_OF_A_KEY, MOST_OF_A_TENANT, WITNESSES, capped, combined
from classifiers.training.rows import join_repeats


def label(score: float, source: str = "user", weight: float = 1.0, key: str = "k") -> Label:
    return Label("r", score, source, weight, 0.0, key)


def row(number: int, *labels: Label, tenant: str = "t", by: str = "", model: str = "m") -> LoggedDecision:
    return LoggedDecision(
        f"r{number}", float(number), tenant, "code", "en", ModelCard(model, model, "small"), ("m",), {}, 1.0, 0.0, 1, 1,
        np.zeros(3, np.float32), "d", labels, by,
    )  # fmt: skip


def test_a_verifier_is_heard_alone() -> None:
    assert combined([label(0.0), label(0.2, "judge"), label(1.0, "verifier")]) == (1.0, 1.0)


def test_others_are_averaged_by_what_their_source_counts() -> None:
    score, weight = combined([label(0.0, "user"), label(1.0, "judge")])
    assert score == pytest.approx(0.8 / 1.4) and weight == 1.0
    assert combined([label(0.3, "implicit")]) == (0.3, COUNTS["implicit"])


def test_nothing_comes_of_nothing() -> None:
    assert combined([]) is None
    assert combined([label(1.0, weight=0.0), label(1.0, weight=-1.0)]) is None


@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from(list(COUNTS)), st.floats(0, 5)), max_size=6))
def test_score_and_weight_stay_in_bounds(given_labels: list[tuple[float, str, float]]) -> None:
    found = combined([label(score, source, weight) for score, source, weight in given_labels])
    assert found is None or all(0 <= part <= 1 for part in found)


def user_weight(rows: list[LoggedDecision], key: str) -> float:
    return sum(COUNTS["user"] * one.weight for row in rows for one in row.labels if one.key == key)


def test_one_key_that_thumbs_everything_down_is_held_to_a_share() -> None:
    rows = [row(n, label(0.0, key="angry")) for n in range(900)]
    rows += [row(1000 + n, label(1.0, "judge", key="audit")) for n in range(100)]
    held = capped(rows)
    assert user_weight(held, "angry") == pytest.approx(MOST_OF_A_KEY * 100 * COUNTS["judge"])
    assert sum(one.weight for row in held for one in row.labels if one.key == "audit") == 100


def test_a_lone_key_counts_in_full() -> None:
    alone = [row(n, label(1.0, key="only")) for n in range(50)]
    assert capped(alone) == alone
    hardly_watched = [*alone, *(row(100 + n, label(1.0, "judge", key="audit")) for n in range(10))]
    assert capped(hardly_watched) == hardly_watched


@pytest.mark.parametrize("source", ["user", "implicit"])
def test_repeating_what_others_asked_hides_no_key_behind_them(source: str) -> None:
    def asked(number: int, ask: int, one: Label, tenant: str, by: str) -> LoggedDecision:
        return replace(row(number, one, tenant=tenant, by=by), features=np.full(3, ask, np.float32))

    honest = [asked(n, n, label(1.0, "judge", key="audit"), f"t{n % 20}", f"k{n % 20}") for n in range(100)]
    lies = [asked(1000 + n, n % 100, label(0.0, source, key="angry"), "angry", "angry") for n in range(9000)]
    data = join_repeats([*honest, *lies])
    assert len(data.logged) == 100
    held = sum(COUNTS[one.source] * one.weight for row in capped(data.logged) for one in row.labels if not one.score)
    assert held == pytest.approx(MOST_OF_A_KEY * 100 * COUNTS["judge"])


def test_many_keys_that_agree_are_heard() -> None:
    rows = [row(n, label(1.0, key=f"k{n % 20}")) for n in range(200)]
    assert capped(rows) == rows


def weight_of(rows: list[LoggedDecision], tenant: str) -> float:
    return sum(COUNTS[one.source] * one.weight for row in rows if row.tenant == tenant for one in row.labels)


@pytest.mark.parametrize(("source", "label_key"), [("implicit", "implicit"), ("verifier", FORM_KEY)])
def test_what_a_key_can_cause_without_a_thumb_is_held_to_the_same_share(source: str, label_key: str) -> None:
    rows = [row(n, label(0.0, source, key=label_key), by="angry", tenant="a") for n in range(9000)]
    rows += [row(10_000 + n, label(1.0, "judge", key="audit"), by="angry", tenant="a") for n in range(100)]
    held = weight_of(capped(rows), "a") - 100 * COUNTS["judge"]
    assert held == pytest.approx(MOST_OF_A_KEY * 100 * COUNTS["judge"])


def test_programs_that_verify_are_not_held_down() -> None:
    rows = [row(n, label(0.0, "verifier", key="tests"), by="web") for n in range(900)]
    rows += [row(1000 + n, label(1.0, "judge", key="audit")) for n in range(100)]
    assert capped(rows) == rows


def test_keys_of_two_tenants_with_one_name_are_two_keys() -> None:
    rows = [row(n, label(1.0, key="web"), tenant=f"t{n % 20}") for n in range(2000)]
    assert capped(rows) == rows


def test_keys_of_one_tenant_that_conspire_are_held_to_a_share_of_the_others() -> None:
    rows = [row(n, label(0.0, key=f"k{n % 20}"), tenant="angry") for n in range(20_000)]
    rows += [row(30_000 + n, label(1.0, key=f"k{n % 20}"), tenant="calm") for n in range(200)]
    held = capped(rows)
    assert weight_of(held, "angry") == pytest.approx(MOST_OF_A_TENANT * 200 * COUNTS["user"])
    assert weight_of(held, "calm") == pytest.approx(200 * COUNTS["user"])


def test_a_key_that_thumbs_one_model_down_is_held_to_a_share_of_that_models_labels() -> None:
    rows = [row(n, label(0.0, key="angry"), model="small") for n in range(9000)]
    rows += [row(10_000 + n, label(1.0, "judge", key="audit"), model="small") for n in range(100)]
    rows += [row(20_000 + n, label(1.0, "judge", key="audit"), model="large") for n in range(1000)]
    assert user_weight(capped(rows), "angry") == pytest.approx(MOST_OF_A_KEY * 100 * COUNTS["judge"])


def test_of_a_model_that_nobody_else_speaks_of_a_key_weighs_little() -> None:
    rows = [row(n, label(0.0, key="angry"), model="new") for n in range(9000)]
    rows += [row(10_000 + n, label(1.0, "judge", key="audit"), model="old") for n in range(100)]
    assert user_weight(capped(rows), "angry") == pytest.approx(MOST_OF_A_KEY * WITNESSES)


def test_a_lone_tenant_counts_in_full_however_many_keys_it_has() -> None:
    rows = [row(n, label(0.0, key=f"k{n % 20}")) for n in range(2000)]
    rows += [row(9000 + n, label(1.0, key="other"), tenant="hardly seen") for n in range(20)]
    assert capped(rows) == rows


@given(
    st.lists(
        st.tuples(
            st.sampled_from(list(COUNTS)),
            st.sampled_from("abc"),
            st.sampled_from("xyz"),
            st.floats(0, 5),
            st.floats(0, 1),
        ),
        max_size=60,
    )
)
def test_no_label_gains_weight_or_changes_its_score(given_labels: list[tuple[str, str, str, float, float]]) -> None:
    rows = [
        row(n, label(score, source, weight * 20, key), tenant=tenant, by=key)
        for n, (source, key, tenant, weight, score) in enumerate(given_labels)
    ]
    for before, after in zip(rows, capped(rows), strict=True):
        [old], [new] = before.labels, after.labels
        assert 0 <= new.weight <= old.weight and (new.score, new.source) == (old.score, old.source)
