"""A rehearsal plays the loop through the real gateway on recorded outcomes, and its figures add up."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from classifiers.training.dataset import OutcomeRow
from router.cli import app
from router.cli.rehearsing import lines
from router.domain import Price
from router.errors import SettingsError
from router.rehearsal.figures import Prices, compared, fixed_beforehand, hindsight, oracle_trust, recorded_of
from router.rehearsal.recorded import Cast, Take, takes

WORDS = ("river", "lake", "sea", "hill", "tree", "star", "stone", "cloud")


def outcome_rows(count: int) -> list[OutcomeRow]:
    """Queries of two domains; the small model fails those that ask for a proof."""
    rows = []
    for number in range(count):
        hard = number % 3 == 0
        query = f"{'Prove a theorem about' if hard else 'Name'} {WORDS[number % 8]} number {number}."
        scores = {"s": 0.0 if hard else 1.0, "l": 1.0}
        domain = "maths" if hard else "names"
        rows.append(OutcomeRow(str(number), domain, query, scores, dict.fromkeys(scores), dict.fromkeys(scores)))
    return rows


def test_the_order_is_the_seeds_and_every_query_comes_once() -> None:
    rows = outcome_rows(40)
    first, again, other = (takes(rows, "s", "l", 40, seed) for seed in (1, 1, 2))
    assert first == again != other
    assert len({take.query for take in first}) == 40


def test_a_shifted_domain_comes_in_the_second_half_only() -> None:
    found = takes(outcome_rows(60), "s", "l", 40, 0, shift="maths")
    assert {take.domain for take in found[:20]} == {"names"}
    assert {take.domain for take in found[20:]} == {"maths"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("x", "l", 10, 0), "no outcomes of 'x'"),
        (("s", "l", 100, 0), "has 40 queries with both models, 100 were asked for"),
        (("s", "l", 10, 0, "math"), "did you mean `maths`"),
    ],
)
def test_what_cannot_be_rehearsed_is_refused(arguments: tuple, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        takes(outcome_rows(40), *arguments)


def test_noise_turns_a_judged_score_round_once_and_for_all() -> None:
    found = takes(outcome_rows(300), "s", "l", 300, 0)
    cast = Cast(found, 0.1, seed=3)
    turned = [cast.judged(take, "small") != take.small for take in found]
    assert turned == [Cast(found, 0.1, seed=3).judged(take, "small") != take.small for take in found]
    assert 0.05 < np.mean(turned) < 0.16
    assert not any(Cast(found, 0.0, seed=3).judged(take, "large") != take.large for take in found)


def made(small: list[float], large: list[float]):
    prices = Prices(Price(0.1, 0.1), Price(10, 10))
    pairs = enumerate(zip(small, large, strict=True))
    return recorded_of([Take(n, "x" * 40, "d", s, b, 200, 200) for n, (s, b) in pairs], prices)


def test_the_bill_in_hindsight_is_what_one_would_reckon_by_hand() -> None:
    recorded = made([1.0] * 6 + [0.0] * 4, [1.0] * 10)
    right = oracle_trust(recorded)
    assert hindsight(right, recorded) == pytest.approx(0.4 + 0.6 * 0.01)
    wrong = -right
    assert hindsight(wrong, recorded) == pytest.approx(1.0)


def test_a_threshold_is_set_on_other_rows_than_it_is_read_on() -> None:
    audited, recorded = made([1.0] * 60 + [0.0] * 40, [1.0] * 100), made([1.0] * 6 + [0.0] * 4, [1.0] * 10)
    found = fixed_beforehand(recorded.small, recorded, audited.small, audited, 0.95)
    assert found is not None
    assert found["kept"] == 1.0 and found["bill"] == pytest.approx(0.4 + 0.6 * 0.01)


def test_a_better_ranking_is_told_from_a_worse_one_by_its_interval() -> None:
    recorded = made([1.0] * 150 + [0.0] * 100, [1.0] * 250)
    chance = np.random.default_rng(0).random(250)
    found = compared({"learned": recorded.small + 0.1 * chance, "random": chance}, recorded, 0)
    assert found["random"]["bill"]["learned_less"]["high"] < 0 < found["random"]["bill"]["value"]
    assert found["random"]["calls"]["learned_less"]["high"] < 0


@pytest.mark.timeout(120)
def test_the_command_plays_the_loop_and_says_what_is_simulated(tmp_path: Path) -> None:
    file = tmp_path / "outcomes.jsonl.gz"
    with gzip.open(file, "wt") as out:
        for row in outcome_rows(260):
            cells = {model: {"score": score} for model, score in row.scores.items()}
            line = {"query_id": row.query_id, "domain": row.domain, "query": row.query, "outcomes": cells}
            out.write(json.dumps(line) + "\n")
    plot = tmp_path / "rehearsal.png"
    arguments = ["rehearse", str(file), "--small", "s", "--large", "l", "--requests", "240", "--retrain-every", "120",
                 "--audit", "1", "--judge-noise", "0", "--plot", str(plot), "--json"]  # fmt: skip
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert [part["requests"] for part in found["parts"]] == [120, 120]
    assert [part["labels"] for part in found["parts"]] == [120, 240]
    assert found["parts"][0]["audits"] > 0
    assert all(0 <= part["kept"] <= 1.001 and 0 <= part["bill"] <= 1.001 for part in found["parts"])
    assert {"learned", "default", "length", "random", "oracle"} <= set(found["second_half"]["hindsight"])
    assert plot.read_bytes().startswith(b"\x89PNG")
    told = lines(found)
    assert "SIMULATED" in told[0] and len(told) > 20


def test_a_policy_that_cannot_be_rehearsed_says_why(tmp_path: Path) -> None:
    file = tmp_path / "outcomes.jsonl"
    file.write_text(
        '{"query_id": 1, "domain": "d", "query": "q", "outcomes": {"s": {"score": 1}, "l": {"score": 1}}}\n' * 1
    )
    done = CliRunner().invoke(app, ["rehearse", str(file), "--small", "s", "--large", "x", "--requests", "20"])
    assert done.exit_code == 2 and "no outcomes of 'x'" in done.output
