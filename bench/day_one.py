"""What the judge is worth on day one: held-out chat prompts under a policy, with the trivial alternatives beside it.

    python bench/day_one.py [--policy policies/default.yaml] [--judge shipped|heuristic] [--json]

Shares carry Wilson 95% intervals, spend a bootstrap one. Prices come from the policy. No model is called: how long
answers are is an ESTIMATE, stated in OUTPUT_TOKENS. Prompt length and random are given the same number of large calls
as the judge makes, so that only the choice differs.

There are two sets, both made up rather than collected, each by somebody who saw neither training prompts nor the
judge's mistakes. Nothing was trained on them, but they were looked at: ways of training were compared on the first, and
where complexity 0.35 falls was chosen on both together, so shares at that threshold are somewhat optimistic. In the
first set length tells nothing about the level, which is harder than what people write; in the second it tells much.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path

import numpy as np

from classifiers.contract import Classifier
from router.ask import read_ask
from router.domain import Ask, Price
from router.policy.compiled import Facts, Policy
from router.policy.decide import decide, resolve
from router.policy.load import load_policy

ROOT = Path(__file__).resolve().parent.parent
EVEN = ROOT / "tests/data/chat_even_lengths.jsonl"
NATURAL = ROOT / "tests/data/chat_natural_lengths.jsonl"
NEVER_LARGE = ROOT / "tests/data/chat_never_large.jsonl"
SETS: Mapping[str, Path] = {"lengths that tell nothing": EVEN, "natural lengths": NATURAL}
LEVELS = ("trivial", "easy", "hard", "expert")

OUTPUT_TOKENS: Mapping[str, int] = {"trivial": 40, "easy": 250, "hard": 450, "expert": 600}
"""ESTIMATED length of the large model's answer. That the hardest quarter of questions takes two to three times the
tokens of the easiest is what the outcome files of MMLU-Pro show; the absolute figures are a guess at chat."""

RESAMPLES = 2000
Z = 1.96

Choice = Sequence[bool]
"""For each prompt: does it go to the large model?"""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One held-out prompt, with the ask that the gateway would read out of it."""

    text: str
    earlier: tuple[str, ...]
    level: str
    task: str
    language: str


@dataclass(frozen=True, slots=True)
class Share:
    """k of n, with its 95% Wilson interval."""

    k: int
    n: int

    @property
    def value(self) -> float:
        return self.k / self.n

    @property
    def interval(self) -> tuple[float, float]:
        p, n = self.value, self.n
        middle = (p + Z * Z / (2 * n)) / (1 + Z * Z / n)
        half = Z * math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n)) / (1 + Z * Z / n)
        return max(0.0, middle - half), min(1.0, middle + half)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:4.0%} [{low:.0%}, {high:.0%}]"


@dataclass(frozen=True, slots=True)
class Worth:
    """One way of choosing, measured. spend is a share of what always-large costs, with a bootstrap 95% interval."""

    name: str
    large: Mapping[str, Share]
    spend: float
    spend_low: float
    spend_high: float

    @property
    def trivial_to_small(self) -> float:
        return 1 - self.large["trivial"].value

    @property
    def expert_to_large(self) -> float:
        return self.large["expert"].value


def held_out(*files: Path) -> list[Prompt]:
    """The sets that measure the judge and never train it: those named, else all."""
    rows = (json.loads(line) for file in files or SETS.values() for line in file.read_text("utf-8").splitlines())
    return [Prompt(r["prompt"], tuple(r["earlier"]), r["level"], r["task"], r["language"]) for r in rows]


def never_large() -> list[Prompt]:
    """Greetings, thanks and plain translations."""
    rows = (json.loads(line) for line in NEVER_LARGE.read_text("utf-8").splitlines())
    return [Prompt(r["prompt"], (), "trivial", r["kind"], r["language"]) for r in rows]


def ask_of(prompt: Prompt, policy: Policy) -> Ask:
    """The ask as the gateway reads it: earlier turns come with an answer between them."""
    messages: list[dict[str, str]] = []
    for turn in prompt.earlier:
        messages += [{"role": "user", "content": turn}, {"role": "assistant", "content": "(an answer)"}]
    messages.append({"role": "user", "content": prompt.text})
    return read_ask({"messages": messages}, policy.scanner)


def choose(prompts: Sequence[Prompt], judge: Classifier, policy: Policy, route: str = "auto") -> Choice:
    """What the policy does with each prompt under this judge."""
    facts = Facts(at=datetime(2026, 1, 5, 12, tzinfo=UTC))
    target = resolve(policy, route)

    def tier(prompt: Prompt) -> str:
        ask = ask_of(prompt, policy)
        verdict = decide(policy, target, ask, judge.assess(ask.text, policy.cards), facts)
        return policy.models[verdict.decision.model].tier

    return [tier(prompt) == "large" for prompt in prompts]


def by_length(prompts: Sequence[Prompt], calls: int) -> Choice:
    """The `calls` longest prompts go to large."""
    longest = sorted(range(len(prompts)), key=lambda i: -len(prompts[i].text))[:calls]
    return [i in set(longest) for i in range(len(prompts))]


def by_chance(prompts: Sequence[Prompt], calls: int, seed: int = 1) -> Choice:
    """Any `calls` of them go to large."""
    drawn = set(random.Random(seed).sample(range(len(prompts)), calls))
    return [i in drawn for i in range(len(prompts))]


def dollars(prompts: Sequence[Prompt], policy: Policy, tier: str) -> np.ndarray:
    """What each prompt costs at the price of the tier's first model, answer length estimated. Shape (n,)."""
    price: Price | None = next(model for model in policy.models.values() if model.tier == tier).price
    assert price is not None, f"the policy knows no price for its {tier} model"
    tokens_in = np.array([ask_of(prompt, policy).input_tokens for prompt in prompts])
    tokens_out = np.array([OUTPUT_TOKENS[prompt.level] for prompt in prompts])
    return (tokens_in * price.input + tokens_out * price.output) / 1e6


def worth(name: str, prompts: Sequence[Prompt], choice: Choice, policy: Policy) -> Worth:
    """Measures one way of choosing."""
    large, small = dollars(prompts, policy, "large"), dollars(prompts, policy, "small")
    spent = np.where(choice, large, small)
    drawn = np.random.default_rng(1).integers(0, len(prompts), (RESAMPLES, len(prompts)))
    low, high = np.quantile(spent[drawn].sum(1) / large[drawn].sum(1), [0.025, 0.975])
    return Worth(
        name,
        {level: _goes_to_large(prompts, choice, level) for level in LEVELS},
        float(spent.sum() / large.sum()),
        float(low),
        float(high),
    )


def _goes_to_large(prompts: Sequence[Prompt], choice: Choice, level: str) -> Share:
    goes = [large for prompt, large in zip(prompts, choice, strict=True) if prompt.level == level]
    return Share(sum(goes), len(goes))


def shipped_judge() -> Classifier:
    """The artefact that comes with the package."""
    from classifiers.learned import LearnedClassifier

    return LearnedClassifier.load()


def heuristic_judge() -> Classifier:
    """The rules that serve when no artefact can."""
    from classifiers.heuristic import HeuristicClassifier

    return HeuristicClassifier()


JUDGES: Mapping[str, Callable[[], Classifier]] = {"shipped": shipped_judge, "heuristic": heuristic_judge}


def table(prompts: Sequence[Prompt], policy: Policy, judge: str) -> list[Worth]:
    """The judge, and beside it chance and prompt length with as many large calls, the heuristic, and always-large."""
    choice = choose(prompts, JUDGES[judge](), policy)
    rows = [worth(judge, prompts, choice, policy)]
    if judge != "heuristic":
        rows.append(worth("heuristic", prompts, choose(prompts, heuristic_judge(), policy), policy))
    return [
        *rows,
        worth("prompt length", prompts, by_length(prompts, sum(choice)), policy),
        worth("random", prompts, by_chance(prompts, sum(choice)), policy),
        worth("always large", prompts, [True] * len(prompts), policy),
    ]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--policy", type=Path, default=ROOT / "policies/default.yaml")
    options.add_argument("--judge", choices=JUDGES, default="shipped")
    options.add_argument("--json", action="store_true", help="print the tables as JSON, by set")
    given = options.parse_args()
    policy = load_policy(given.policy, {"ANTHROPIC_API_KEY": "unused"})
    sets = {"both": held_out(), **{name: held_out(file) for name, file in SETS.items()}}
    tables = {name: table(prompts, policy, given.judge) for name, prompts in sets.items()}
    if given.json:
        print(json.dumps({name: [asdict(row) for row in rows] for name, rows in tables.items()}, indent=2))
        return
    judge = JUDGES[given.judge]()
    print(f"chat prompts under {policy.label}; ESTIMATED answers: {dict(OUTPUT_TOKENS)} tokens")
    for name, prompts in sets.items():
        print(f"\n== {name}: {len(prompts)} prompts ==")
        print_rows(tables[name])
        choice = choose(prompts, judge, policy)
        print_by("language", prompts, choice)
        print_by("task", prompts, choice)
    everyday = never_large()
    wrong = [p.text for p, large in zip(everyday, choose(everyday, judge, policy), strict=True) if large]
    print(f"\ngreetings, thanks, translations that go to large: {len(wrong)} of {len(everyday)} {wrong or ''}")


def print_rows(rows: Sequence[Worth]) -> None:
    print(f"\n{'goes to large':<16}" + "".join(f"{level:>18}" for level in LEVELS) + f"{'spend / always-large':>24}")
    for row in rows:
        spend = f"{row.spend:.0%} [{row.spend_low:.0%}, {row.spend_high:.0%}]"
        print(f"{row.name:<16}" + "".join(f"{row.large[level]!s:>18}" for level in LEVELS) + f"{spend:>24}")


def print_by(word: str, prompts: Sequence[Prompt], choice: Choice) -> None:
    print(f"\nby {word:<13}{'trivial and easy':>24}{'hard and expert':>24}   (share that goes to large)")
    value_of = attrgetter(word)
    for value in sorted({value_of(prompt) for prompt in prompts}):
        halves = []
        for levels in (LEVELS[:2], LEVELS[2:]):
            fits = [value_of(prompt) == value and prompt.level in levels for prompt in prompts]
            goes = [large for large, fit in zip(choice, fits, strict=True) if fit]
            halves.append(f"{Share(sum(goes), len(goes))} of {len(goes):>2}" if goes else "-")
        print(f"{value:<16}" + "".join(f"{half:>24}" for half in halves))


if __name__ == "__main__":
    main()
