"""What a promise of quality costs, plan by plan: `python -m bench.promise [--data DIR] [--only PART ...] [--show]`.

Keeps the raw figures in bench/results/promise.json and writes docs/cascades.md from them; `--only` measures some parts
again and keeps the others, `--show` measures nothing and prints the page. No model is called: outcomes, answers and
lengths come from the files in DIR (default SIGNALBOX_TEST_DATA). How thresholds are set is told in
`classifiers/training/promise.py`, how votes are counted in `classifiers/training/agreement.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench import promise_page
from bench.promise_material import (
    CASES,
    DEAR_LIST,
    FLASH,
    LLAMA,
    PRO,
    SEED,
    SPLITS,
    TRIO,
    Case,
    Material,
    unharmed,
)
from bench.promise_waiting import waiting
from classifiers.learned import LearnedClassifier
from classifiers.training import agreement, own_labels, promise
from classifiers.training.fit import Floats, folds
from classifiers.training.measures import bootstrap
from classifiers.training.promise import Plan

ROOT: Final = Path(__file__).resolve().parent.parent
RAW: Final = ROOT / "bench/results/promise.json"
PAGE: Final = ROOT / "docs/cascades.md"
KEEP: Final = 0.95

Raw = dict[str, Any]


class Bench:
    def __init__(self, data: Path, looks: int):
        self.data, self.looks = data, looks
        self.judge = LearnedClassifier.load()
        self._made: dict[Case, Material] = {}

    def material(self, case: Case) -> Material:
        if case not in self._made:
            self.looks += case.file == "routellm_mmlu"
            self._made[case] = Material(case, self.data, self.judge)
        return self._made[case]


def number(bench: Bench) -> Any:
    """The promise on each pair of models, plan by plan."""
    return [_number(bench.material(case)) for case in CASES]


def _number(material: Material) -> Raw:
    case, paired = material.case, material.paired
    plans: dict[str, Plan] = {
        name: material.text_only(getattr(material, name))
        for name in ("random", "length", "task_type", "shipped", "unseen", "own_linear", "own")
        if (name != "shipped" or case.held_out) and (name != "unseen" or not case.held_out)
    }
    more: Raw = {}
    if case.checked:
        voters = TRIO if case.small == LLAMA else (case.small, material.second)
        plans |= {
            "cascade": material.cascade(material.own),
            "vote": _vote_alone(material, voters),
            "agree_unseen": material.agree(voters, material.unseen),
            "agree_small": material.agree(voters, material.own_linear_share),
            "agree": material.agree(voters, material.own),
        }
        dear = promise.read_on_unseen([material.agree(voters, material.own, DEAR_LIST)], material.splits, KEEP)
        more = {"voters": list(voters), "agree_at_dear_votes": asdict(dear.bill)}
    if case.file == "routellm_mmlu":
        more["apart"] = _apart(material)
    plans["oracle"] = material.text_only(material.oracle)
    return {
        "file": case.file,
        "n": len(paired),
        "small": case.small,
        "large": case.large,
        "small_mean": float(paired.small.mean()),
        "large_mean": float(paired.large.mean()),
        "small_bill": float(material.cost(case.small).sum() / material.large_cost.sum()),
        "rows": {name: _read(plan, material) for name, plan in plans.items()},
        **more,
    }


def _vote_alone(material: Material, voters: Sequence[str]) -> Plan:
    """Trust is the share of the asked that agree, nothing else."""
    polled = agreement.poll(material.rows, voters)
    all_against = agreement.Poll(polled.votes, polled.asked - polled.votes, polled.score, polled.asked)
    asking = sum((material.cost(voter) for voter in voters), np.zeros(len(material.rows)))
    even = np.full(len(material.rows), 0.5)
    return agreement.agreeing(all_against, even, material.paired.large, asking, material.large_cost)


def _read(plan: Plan, material: Material) -> Raw:
    reading = promise.read_on_unseen([plan], material.splits, KEEP)
    even = promise.read_on_unseen([plan], material.splits, KEEP, None)
    return {
        **asdict(reading),
        "threshold": asdict(promise.spread(plan, KEEP, seed=SEED, times=100)),
        "without_margin": {"kept": even.kept, "bill": even.bill.value, "calls": even.calls.value},
    }


def _apart(material: Material) -> Raw:
    """The strictest order: readers learn from a third of the queries, thresholds are set on and read on the rest."""
    paired = material.paired
    learned_on, rest = next(iter(folds(list(paired.groups), 3, SEED)))[::-1]
    opinions = own_labels.from_others(paired.part(learned_on), paired.part(rest), SEED)
    trust = np.zeros(len(paired))
    trust[rest] = unharmed(opinions.score[0])
    plan = material.text_only(trust).part(rest)
    splits = promise.halves([paired.groups[row] for row in rest], SEED, SPLITS)
    return {"learned_from": len(learned_on), "n": len(rest), **asdict(promise.read_on_unseen([plan], splits, KEEP))}


def agreeing(bench: Bench) -> Any:
    """Ranking by the vote, by the text and by both, in known domains and in unseen ones; domain by domain."""
    material = bench.material(CASES[1])
    paired, small = material.paired, material.paired.small
    vote = _vote_alone(material, TRIO)
    plans = {
        "random": material.text_only(material.random),
        "length": material.text_only(material.length),
        "task_type": material.text_only(material.task_type),
        "unseen": material.text_only(material.unseen),
        "own": material.text_only(material.own),
        "vote": vote,
        "unopposed": material.agree(TRIO, np.full(len(paired), 0.5)),
        "agree_length": material.agree(TRIO, material.length),
        "agree_unseen": material.agree(TRIO, material.unseen),
        "agree_small": material.agree(TRIO, material.own_linear_share),
        "agree_linear": material.agree(TRIO, material.own_linear),
        "agree": material.agree(TRIO, material.own),
        "oracle": material.text_only(material.oracle),
    }
    everything = np.arange(len(paired))
    domains = {}
    for name in sorted(set(paired.domains.tolist())):
        here = np.flatnonzero(paired.domains == name)
        domains[name] = {
            "n": len(here),
            **{plan: _beside(plans[plan], vote, small, here) for plan in ("agree_unseen", "agree")},
        }
    return {
        "n": len(paired),
        "voters": list(TRIO),
        "large": PRO,
        "vote_mean": float(vote.kept.mean()),
        "small_mean": float(small.mean()),
        "large_mean": float(paired.large.mean()),
        "rows": {name: _beside(plan, vote, small, everything) for name, plan in plans.items()},
        "domains": domains,
    }


def _beside(plan: Plan, vote: Plan, small: Floats, rows: Any) -> Raw:
    """APGR, what it is above the vote's on the same resamples, and the exact share of large calls at KEEP."""

    def area(of: Plan, drawn: Any) -> float | None:
        return agreement.apgr(of, small, rows[drawn])

    def above(drawn: Any) -> float | None:
        own, votes = area(plan, drawn), area(vote, drawn)
        return None if own is None or votes is None else own - votes

    part = plan.part(rows)
    needed = promise.keeping_quality(part, KEEP, 0.5)
    return {
        "apgr": asdict(bootstrap(lambda drawn: area(plan, drawn), len(rows), SEED)),
        "above_vote": None if plan is vote else asdict(bootstrap(above, len(rows), SEED)),
        "calls": part.calls(needed),
        "bill": part.bill(needed),
    }


def elsewhere(bench: Bench) -> Any:
    """Thresholds set on all domains but one and read on that one: what the promise is worth when traffic changes."""
    found = []
    for case in CASES:
        material = bench.material(case)
        text = material.shipped if case.held_out else material.unseen
        plans = {"text": material.text_only(text)}
        if case.checked:
            voters = TRIO if case.small == LLAMA else (case.small, material.second)
            plans["agree"] = material.agree(voters, text)
        names = sorted(set(material.paired.domains.tolist()))
        for plan_name, plan in plans.items():
            qualities = []
            for name in names:
                there = np.flatnonzero(material.paired.domains == name)
                threshold = promise.keeping_quality(plan.part(np.flatnonzero(material.paired.domains != name)), KEEP)
                qualities.append(plan.part(there).share_kept(threshold))
            found.append(
                {
                    "file": case.file, "small": case.small, "plan": plan_name, "domains": len(names),
                    "kept": int(sum(quality >= KEEP for quality in qualities)), "least": min(qualities),
                    "worst": names[int(np.argmin(qualities))], "median": float(np.median(qualities)),
                }
            )  # fmt: skip
    return found


def added(bench: Bench) -> Any:
    """How long answers take, by their recorded lengths at stated speeds."""
    trio, pair_ = (bench.material(case) for case in CASES[1:3])
    found = []
    for material, voters in ((trio, TRIO), (pair_, (FLASH, pair_.second))):
        agree, cascade = material.agree(voters, material.own), material.cascade(material.own)
        found.append(
            {
                "small": material.case.small, "large": material.case.large, "voters": list(voters),
                **waiting(material.rows, material.paired, voters, PRO, agree, cascade, material.own, KEEP),
            }
        )  # fmt: skip
    return found


PARTS: Final[Mapping[str, Callable[[Bench], Any]]] = {
    "number": number,
    "agreement": agreeing,
    "elsewhere": elsewhere,
    "waiting": added,
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, default=None, help="folder of outcome files")
    options.add_argument("--only", nargs="+", choices=sorted(PARTS), help="measure these parts again, keep the others")
    options.add_argument("--show", action="store_true", help="measure nothing, print the page of the raw figures")
    given = options.parse_args()
    raw: Raw = json.loads(RAW.read_text("utf-8")) if RAW.is_file() else {"looks": 0}
    if given.show:
        print(promise_page.page(raw), end="")
        return
    data = given.data or Path(os.environ.get("SIGNALBOX_TEST_DATA", "nowhere")) / "outcomes"
    if not data.is_dir():
        options.error(f"{data} is no folder; name one with --data, or set SIGNALBOX_TEST_DATA")
    bench = Bench(data, raw["looks"])
    for part in given.only or PARTS:
        begun = time.perf_counter()
        raw[part] = PARTS[part](bench)
        raw |= {"looks": bench.looks, "judge": bench.judge.name, "keep": KEEP, "splits": SPLITS}
        RAW.write_text(json.dumps(raw, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"{part}: {time.perf_counter() - begun:.0f} s", file=sys.stderr)
    PAGE.write_text(promise_page.page(raw), encoding="utf-8")


if __name__ == "__main__":
    main()
