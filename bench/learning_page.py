"""Writes docs/learning-loop.md from raw figures: `python -m bench.learning_page > docs/learning-loop.md`.

Measures nothing. The figures are those of `bench.learning_loop`, `off_policy`, `drift`, `gate`, `key_bound`,
`judge_agreement`, `retraining` and `loop_overhead`; a test holds the page to them.
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench import learning_tables
from bench.learning_tables import table

Raw = Mapping[str, Any]
ROOT: Final = Path(__file__).resolve().parent.parent
RESULTS: Final = ROOT / "bench/results"
SOURCES: Final = ("learning_loop", "off_policy", "drift", "gate", "key_bound", "judge_agreement")
ROUTERS: Final = {
    "learned": "the loop's judge, as promoted",
    "ungated": "the last candidate, promoted or not",
    "default": "the judge as it ships",
    "length": "prompt length",
    "random": "random",
    "oracle": "oracle (knows every score)",
}
WHATS: Final = {
    "bill": "share of the **bill** at 95% of the quality",
    "calls": "share of **calls** to the large model at 95% of the quality",
}
SCENES: Final = {
    "a tenth audited": "10% of the requests audited (500 pairs)",
    "all audited": "all audited (5,000 pairs)",
}

HEAD: Final = """\
# What the learning loop is worth

How it works is told in [Learning](learning.md); this page is about what came of it. Every figure is made by a committed
command that keeps its raw figures under [bench/results](../bench/results); a test holds the page to them.
**SIMULATED** are models and judges: no model was called. Answers, scores and preferences are those of real models and
people, published by others, and carried out by stand-ins behind the real gateway.
"""


def page(raw: Mapping[str, Raw]) -> str:
    """raw: by name, the documents of SOURCES."""
    loop = raw["learning_loop"]["scenes"]
    parts = [
        HEAD,
        "## Rehearsals\n",
        _rehearsals(loop),
        "## Traffic that changes\n",
        _shift(loop["shift"]),
        "## Off-policy estimates\n",
        _off_policy(raw["off_policy"]),
        "## Drift\n",
        _text("""`python -m bench.drift`: windows of recorded queries of known domains, then of others.""")
        + "\n"
        + learning_tables.drift(raw["drift"])
        + "\n",
        "## The gate\n",
        _gate(raw["gate"]),
        "## One hostile key\n",
        _key(raw["key_bound"]),
        "## The judge's prompt and parser\n",
        _judge(raw["judge_agreement"]),
        "## Size and speed\n",
        _text(
            """How long a retraining takes on 200,000 logged outcomes, and what audits, labels and exploration cost the
            requests they learn from, stands with its method in [Benchmarks](benchmarks.md)."""
        ),
    ]
    return "\n".join(parts)


def _rehearsals(scenes: Mapping[str, Raw]) -> str:
    told = {scene: scenes[scene]["runs"] for scene in SCENES if scene in scenes}
    intro = _text(
        f"""`signalbox rehearse` on MMLU (Mixtral-8x7B and GPT-4-1106 as recorded): 5,000 requests from which the loop
        learns, a turn every 1,000 (audits, judging with 10% of the scores turned round, `retrain`, gate, promotion,
        threshold by `policy tune --logs`, `watch`), then the following 5,000, on which every way of routing is read.
        Seeds fix order, noise and folds; the rows overlap, for the file has 14,000. Tokens are
        ESTIMATED (the file has none: 200 an answer); prices are those by which the RouteLLM paper reckons, 24.70 and
        0.24 dollars per million tokens, the judge's 0.15 and 0.60. The shipped judge was not trained on this file,
        but how `retrain` fits (one strength of the prior, a small pull of length) was chosen with it in view beside two
        others, in about ten looks, so these figures are somewhat kind to it.
        `{_command("a tenth audited")}`."""
    )
    how = _text(
        """In the first two tables thresholds are those of hindsight, each router's best. Bills are shares of
        always-large's; since long asks cost more, sending the long ones to it saves calls rather than money. Last
        column: mean over seeds of the paired difference and of the ends of its 95% interval (500 resamples of the
        rows), and in how many seeds that interval leaves out 0."""
    )
    parts = [intro, how]
    for scene, runs in told.items():
        parts += [f"### {SCENES[scene]}\n", _hindsight(runs), _beforehand(runs), _served(runs)]
    parts.append(_conclusion(told))
    parts.append(
        "![Quality kept and cost of one rehearsal over time, beside other ways of routing]"
        "(images/rehearsal-a-tenth-audited.png)\n"
    )
    if "all audited" in told:
        parts.append("![The same where all requests are audited](images/rehearsal-all-audited.png)\n")
    return "\n".join(parts)


def _hindsight(runs: Sequence[Raw]) -> str:
    """By router: mean over seeds, least and most, and how much less the loop's judge takes, on the same rows."""
    return "\n".join(_of_hindsight(runs, what, head) for what, head in WHATS.items())


def _of_hindsight(runs: Sequence[Raw], what: str, words: str) -> str:
    rows = []
    for name, label in ROUTERS.items():
        found = [run["second_half"]["hindsight"][name][what] for run in runs if name in run["second_half"]["hindsight"]]
        if not found:
            continue
        values = [one["value"] for one in found]
        beside = [one["learned_less"] for one in found if "learned_less" in one]
        told = (
            f"{np.mean([one['value'] for one in beside]):+.3f} "
            f"[{np.mean([one['low'] for one in beside]):+.3f}, {np.mean([one['high'] for one in beside]):+.3f}]; "
            f"below 0 in {sum(one['high'] < 0 for one in beside)}, above in {sum(one['low'] > 0 for one in beside)} "
            f"of {len(beside)}"
            if beside
            else ""
        )
        rows.append([label, f"{np.mean(values):.3f}", f"{min(values):.3f} to {max(values):.3f}", told])
    return table([words, "mean", "by seed", "the loop's judge less this"], rows) + "\n"


def _beforehand(runs: Sequence[Raw]) -> str:
    rows = []
    for name in ("learned", "ungated", "default", "length"):
        for sure, how in (("even", "no margin"), ("sure", "95% sure")):
            found = [run["second_half"]["fixed_beforehand"].get(name, {}).get(sure) for run in runs]
            set_ = [one for one in found if one is not None]
            if not set_:
                rows.append([ROUTERS[name], how, f"0 of {len(runs)}", "-", "-", "-"])
                continue
            kept = [one["kept"] for one in set_]
            rows.append(
                [
                    ROUTERS[name],
                    how,
                    f"{len(set_)} of {len(runs)}",
                    f"{np.mean(kept):.3f} ({min(kept):.3f} to {max(kept):.3f})",
                    f"{np.mean([one['bill'] for one in set_]):.3f}",
                    f"{sum(value >= 0.95 for value in kept)} of {len(set_)}",
                ]
            )
    head = ["threshold set on the first half's audits", "margin", "set", "quality kept", "bill", "95% kept"]
    return table(head, rows) + "\n"


def _served(runs: Sequence[Raw]) -> str:
    def mean(half: str, name: str) -> float:
        return float(np.mean([run[half]["served"][name] for run in runs]))

    promoted = [sum(part["promoted"] for part in run["parts"][: len(run["parts"]) // 2]) for run in runs]
    some = sum(count > 0 for count in promoted)
    return _text(
        f"""What went out, policy and all: in the first half {mean("first_half", "kept"):.3f} of the large model's
        quality was kept for {mean("first_half", "bill"):.3f} of its bill and {mean("first_half", "audits"):.3f} for
        audits and judging; in the second {mean("second_half", "kept"):.3f} for {mean("second_half", "bill"):.3f} and
        {mean("second_half", "audits"):.3f}. The gate had let a new judge through by half time in {some} of
        {len(runs)} seeds."""
    )


def _conclusion(told: Mapping[str, Sequence[Raw]]) -> str:
    lines = []
    for scene, runs in told.items():
        hindsight = [run["second_half"]["hindsight"] for run in runs]
        means = {
            name: tuple(float(np.mean([one[name][what]["value"] for one in hindsight])) for what in WHATS)
            for name in ("learned", "length", "default")
        }
        beside = []
        for name, label in (("length", "length"), ("default", "the judge as it ships")):
            clear = sum(one[name]["bill"]["learned_less"]["high"] < 0 for one in hindsight)
            bill, calls = means[name]
            beside.append(f"{label} {bill:.2f} ({calls:.2f}; its bill is clearly more in {clear} of {len(runs)} seeds)")
        bill, calls = means["learned"]
        lines.append(f"- {SCENES[scene]}: {bill:.2f} of the bill ({calls:.2f} of the calls); {'; '.join(beside)}.")
    few = _text(
        """Five hundred noisy pairs are too few here: a difference of 0.03 in the bill is what one more of thirty asks
        makes, the gate mostly refuses, as it should where it cannot tell, and what it does let through is no better
        than length. Their use is the threshold: with a margin it kept its promise in most of the seeds, at a price.
        What would help: more pairs (auditing while the large model serves is cheap, since the second answer is the
        small model's), and thresholds in quality per dollar, so that long asks, which are dear, are not sent to the
        large model for the same small gain."""
    )
    return "**In short**, at 95% of the quality, thresholds of hindsight:\n\n" + "\n".join(lines) + "\n\n" + few


def _shift(scene: Raw) -> str:
    runs = scene["runs"]
    after, parts_of, false_alarms = [], set(), 0
    kept_then, kept_last, bill_before, bill_last, audits = [], [], [], [], []
    for run in runs:
        parts = run["parts"]
        half = len(parts) // 2
        flagged = [at for at, part in enumerate(parts[half:], 1) if part["drifted"]]
        after.append(sum(part["requests"] for part in parts[half : half + flagged[0]]) if flagged else None)
        parts_of |= {name for part in parts[half:] for name in part["drifted"]}
        false_alarms += sum(bool(part["drifted"]) for part in parts[:half])
        kept_then.append(parts[half]["kept"])
        kept_last.append(parts[-1]["kept"])
        bill_before.append(parts[half - 1]["bill"])
        bill_last.append(parts[-1]["bill"])
        audits.append(run["second_half"]["served"]["audits"])
    found = [one for one in after if one is not None]
    within = (
        f"within {max(found):,} requests of the change in {len(found)} of {len(runs)} seeds" if found else "in none"
    )
    return (
        _text(
            f"""`--shift professional_law`: 1,500 requests of all other domains, then 1,500 of law, which is harder; 10%
            audits, a turn every 500, so that is how finely it is seen; {len(runs)} seeds. `signalbox watch` raised an
            alarm {within} ({", ".join(sorted(parts_of))}), and in {false_alarms} of {len(runs)} streams before it.
            Quality kept in the first 500 requests of law: {_spread(kept_then)} of the large model's; in the last 500:
            {_spread(kept_last)}. The bill was {np.mean(bill_before):.2f} of always-large's just before and
            {np.mean(bill_last):.2f} at the end; audits and judging took {np.mean(audits):.3f} of it. So there was no
            quality to recover: with 150 audits behind it the threshold stays on the safe side, and nearly everything
            goes to the large model, before the change and after it."""
        )
        + "\n![Quality, cost, calibration and drift of one stream that changes half way](images/rehearsal-shift.png)\n"
    )


def _spread(values: Sequence[float]) -> str:
    return f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def _off_policy(raw: Raw) -> str:
    return (
        _text(
            """`python -m bench.off_policy`: 2,000 simulated logs for each candidate, drawn from files in which every
            model's outcome is known, so that the truth is. Intervals are nominally 95%. *held*: in what share of logs
            with enough support they held it, least and most over candidates; *told*: of the estimates that
            `signalbox compare` would have told at all."""
        )
        + "\n"
        + learning_tables.coverage(raw)
        + "\n\nWhere the logs cannot say, it refuses and says how many more audited requests it would take:\n\n"
        + learning_tables.refusals(raw)
        + "\n\nThe upper bound of quality lost, looked at after every audited pair (nominally 5% miss):\n\n"
        + learning_tables.bounds(raw)
        + "\n"
    )


def _gate(raw: Raw) -> str:
    names = {
        "noise": "noise: nothing to learn",
        "worse": "made worse: labels flipped, heads shuffled, constant, over-confident",
        "signal": "signal: recorded outcomes, a spoilt judge",
    }
    rows = [
        [
            label,
            str(raw[kind]["retrainings"]),
            str(raw[kind]["candidates"]),
            str(raw[kind]["passed"]),
            f"{raw[kind]['share']:.1%} [{raw[kind]['share_low']:.1%}, {raw[kind]['share_high']:.1%}]",
        ]
        for kind, label in names.items()
    ]
    return (
        _text(
            """`python bench/gate.py --noise 200 --signal 50`: retrainings of 150 to 1,200 labelled requests, with and
            without audits, in memory. The traffic is SIMULATED. Intervals are Clopper and Pearson's."""
        )
        + "\n"
        + table(["learned from", "retrainings", "candidates", "let through", "share"], rows)
        + "\n"
    )


def _key(raw: Raw) -> str:
    rows = []
    cases = sorted({(one["attack"], one["honest"], one["times"]) for found in raw["files"].values() for one in found})
    for attack, honest, times in cases:
        of = [
            one
            for found in raw["files"].values()
            for one in found
            if (one["attack"], one["honest"], one["times"]) == (attack, honest, times)
        ]
        lower = max(one[side]["most"] for one in of for side in ("lower_small", "lower_large"))
        crossing = max(one["crossing"]["most"] for one in of)
        rows.append([attack, f"{honest:,}", f"{honest * times:,}", f"{lower:.3f}", f"{crossing:.1%}"])
    return (
        _text(
            """`python bench/key_bound.py --draws 3`: honest labels of other sources on two files of recorded outcomes,
            and one key (in some rows twenty keys of one tenant, or no cap at all) that lies. The worst of files and
            drawings. Stated bound for one key, by the [rule](learning.md#labels): below 0.091, 1/11."""
        )
        + "\n"
        + table(["attack", "honest labels", "lies", "mean predicted quality falls by", "decisions that move"], rows)
        + "\n"
    )


def _judge(raw: Raw) -> str:
    one, both = raw["agrees_one_order"], raw["agrees_both_orders"]
    who = "SIMULATED: a stand-in that likes the longer answer and, in 30% of pairs, whatever stands first"
    return _text(
        f"""`python -m bench.judge_agreement` puts {raw["pairs"]:,} published pairs of answers with people's preferences
        through the prompt and the parser of audits, in both orders, to the judge named by `SIGNALBOX_JUDGE_MODEL`,
        `SIGNALBOX_JUDGE_URL` and `SIGNALBOX_JUDGE_KEY`. Here the judge was {who if raw["simulated"] else raw["judge"]},
        so the figures show that the arithmetic sees it, and nothing of any model: {raw["unread"]} answers could not be
        read; what stood first was preferred in {raw["prefers_first"]:.1%} of askings, the position bias; both orders
        agreed in {raw["orders_agree"]:.1%}; with people it agreed in {one["value"]:.1%} [{one["low"]:.1%},
        {one["high"]:.1%}] of the {raw["with_a_preference"]:,} pairs on which people had a preference by one order, and
        in {both["value"]:.1%} [{both["low"]:.1%}, {both["high"]:.1%}] by both. With a real model the same command
        prints its own."""
    )


def _command(scene: str) -> str:
    return f'python -m bench.learning_loop --data DIR --scene "{scene}"'


def _text(words: str) -> str:
    return textwrap.fill(" ".join(words.split()), 120, break_on_hyphens=False, break_long_words=False) + "\n"


def main() -> None:
    raw = {name: json.loads((RESULTS / f"{name}.json").read_text("utf-8")) for name in SOURCES}
    sys.stdout.write(page(raw))


if __name__ == "__main__":
    main()
