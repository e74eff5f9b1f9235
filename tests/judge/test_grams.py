"""The table of words: each votes once, an opening word once more, and scripts without spaces vote by character."""

from __future__ import annotations

import numpy as np
import pytest

from classifiers.contract import AskText
from classifiers.grams import BUCKETS, GramTable, buckets_of, load_grams, save_grams
from classifiers.reading import read
from classifiers.training.fit import fit_grams
from classifiers.vectors import BOUND
from classifiers.words import WordIndex
from tests.judge.golden import ASKS

INDEX = WordIndex(None)


def buckets(text: str) -> list[int]:
    return buckets_of(read(AskText(text)))


def test_a_word_counts_once_and_its_order_does_not_matter_after_the_opening() -> None:
    opening = "please tell me all there is "
    assert buckets(f"{opening}about rust and about rust") == buckets(f"{opening}rust about and")
    assert buckets("prove it") != buckets("it was long ago that they set out to prove")


def test_how_an_ask_begins_counts_beside_its_words() -> None:
    asked = set(buckets("write a song"))
    assert len(asked & set(buckets("write a plan"))) > len(asked & set(buckets("plan a write")))


def test_scripts_without_spaces_are_read_by_characters_and_pairs() -> None:
    assert len(buckets("请证明")) == 3 + 2
    assert set(buckets("请证明")) & set(buckets("证明这个定理"))
    assert len(buckets("证" * 10_000)) <= 2


@pytest.mark.parametrize("text", ["", "\ud800 lone", "a" * 100_000, "\x00", "word " * 9_000])
def test_odd_texts_have_opinions_within_bounds(text: str) -> None:
    random = np.random.default_rng(0)
    table = GramTable(random.integers(-127, 128, (BUCKETS, 3)).astype(np.int8), np.full(3, 0.5, np.float32))
    said = np.full(3, np.nan, np.float32)
    table.opinions_into(buckets(text), said)
    assert np.isfinite(said).all() and (abs(said) <= BOUND).all()
    assert table.opinions([buckets(text)])[0] == pytest.approx(said, abs=1e-5)


def test_a_saved_table_is_the_same_when_loaded_and_a_wrong_one_is_refused(tmp_path) -> None:
    table = GramTable(np.ones((BUCKETS, 2), np.int8), np.ones(2, np.float32))
    save_grams(table, tmp_path)
    assert load_grams(tmp_path).digest == table.digest
    np.save(tmp_path / "gram_table.npy", np.ones((3, 2), np.int8))
    with pytest.raises(ValueError, match="does not fit"):
        load_grams(tmp_path)


def test_words_that_go_with_hard_asks_say_so_of_asks_never_seen() -> None:
    hard, easy = ["prove", "lemma", "converges", "rigorously"], ["hello", "thanks", "recipe", "weather"]
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(words, 3)) for words in (hard, easy) for _ in range(60)]
    levels = np.repeat([0.2, 0.9], 60)
    tasks = np.repeat(["maths", "chat"], 60).tolist()
    table = fit_grams(np.zeros((120, 1)), [buckets(text) for text in texts], levels, tasks, np.ones(120))
    harder, easier = table.opinions([buckets("a lemma of theirs converges"), buckets("hello, what weather")])
    assert harder[0] > 0.2 > -0.2 > easier[0]


@pytest.mark.parametrize(
    "ask", [*ASKS, AskText("ab" * 400), AskText("İ" * 30 + " x")], ids=lambda ask: repr(ask.text[:16])
)
def test_the_index_of_words_finds_the_same_rows(ask: AskText) -> None:
    assert INDEX.find(read(ask)).grams == buckets_of(read(ask))
