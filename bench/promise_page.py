"""Writes docs/cascades.md from the raw figures of `bench/promise.py`. Nothing is measured here."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bench import promise_waiting

Raw = Mapping[str, Any]

FILES: Final = {"routellm_mmlu": "MMLU", "mmlu_pro": "MMLU-Pro", "mixed_tasks": "14 mixed tasks"}
MODELS: Final = {
    "mistralai/Mixtral-8x7B-Instruct-v0.1": "Mixtral-8x7B",
    "gpt-4-1106-preview": "GPT-4",
    "Meta-Llama-3_1-8B-Instruct": "Llama-3.1-8B",
    "Phi-3-mini-4k-instruct": "Phi-3-mini",
    "mathstral-7B": "mathstral-7B",
    "gemini-1.5-flash-002": "Gemini-1.5-flash",
    "gemini-1.5-pro-002": "Gemini-1.5-pro",
    "mistral-7b-instruct-v0.3": "Mistral-7B",
    "llama-3.1-nemotron-51b-instruct": "Nemotron-51B",
}
PLANS: Final = {
    "random": "random",
    "length": "length",
    "task_type": "task type",
    "shipped": "text: the judge as it ships",
    "unseen": "text: labels of other domains",
    "own_linear": "text: own labels, linear heads",
    "own": "text: own labels, all readers",
    "cascade": "`cascade`: own labels, and whether the answer can be read",
    "vote": "`agree`: the vote alone",
    "unopposed": "the vote, silence apart from dissent",
    "agree_length": "the same and length",
    "agree_unseen": "`agree`: vote, and labels of other domains",
    "agree_small": "`agree`: vote, and own labels, P(first is good) by linear heads",
    "agree_linear": "`agree`: vote, and own labels, predicted loss by linear heads",
    "agree": "`agree`: vote, and own labels, predicted loss by all readers",
    "oracle": "oracle",
}

HEAD: Final = """\
# Cascades, agreement and the promise

"""

INTRO: Final = """\
Every figure is made by one command, `python -m bench.promise`, which keeps the raw figures in
[bench/results/promise.json](../bench/results/promise.json); a test holds this page to them. No model was called:
outcomes, answers and lengths are those of real models, published by others; plans are carried out on them. **All
dollars rest on list prices and estimated tokens** ([below](#prices)), so they are estimates; the share of
large calls is
not.
"""


def page(raw: Raw) -> str:
    """The whole page."""
    parts = [HEAD, _claim(raw), INTRO, *(tell(raw) for part, tell in SECTIONS.items() if part in raw), FOOT]
    return "\n".join(_prose(part) for part in parts)


def _claim(raw: Raw) -> str:
    """The number."""
    mmlu, pro = raw["number"][0], raw["number"][2]
    own, readers, length, chance = (mmlu["rows"][name] for name in ("own_linear", "own", "length", "random"))
    agree, best, text, by_length, by_chance = (
        pro["rows"][name] for name in ("agree_small", "agree", "own_linear", "length", "random")
    )
    voters = " and ".join(MODELS[name] for name in pro["voters"])
    return (
        f"**A promise of {_percent(raw['keep'])} of the large model's quality, its threshold fixed beforehand on other "
        f"data, was kept on unseen traffic in {_percent(own['kept'], 1)} of {raw['splits']} random splits of MMLU for "
        f"{_percent(own['bill']['value'])} of GPT-4's bill ({_percent(own['calls']['value'])} of its calls), and on "
        f"MMLU-Pro in {_percent(agree['kept'], 1)} for {_percent(agree['bill']['value'])} of {MODELS[pro['large']]}'s "
        f"bill ({_percent(agree['calls']['value'])} of its calls) where {voters} must agree.** Length alone would have "
        f"cost {_percent(length['bill']['value'])} and {_percent(by_length['bill']['value'])}, chance "
        f"{_percent(chance['bill']['value'])} and {_percent(by_chance['bill']['value'])}; the text alone, on MMLU-Pro, "
        f"{_percent(text['bill']['value'])}. All of them by what serves, linear heads that learned from labels of the "
        f"same traffic; the best that labels could teach, by readers that do not serve, comes to "
        f"{_percent(readers['bill']['value'])} and {_percent(best['bill']['value'])}. Without labels of one's own, and "
        "where traffic changes, it is worth far less, as this page shows."
    )


def _number(raw: Raw) -> str:
    text = f"""
## What the promise costs

Each file is cut into random halves, {raw["splits"]} times. On one half the threshold is set, so that the promise of
{_percent(raw["keep"])} holds on as many rows again with a confidence of 95% (a fixed-sequence test from the
most cautious threshold on,
by paired differences; `classifiers/training/promise.py`); on the other half everything is read. `kept`: in how many
splits the routed quality there was at least {_percent(raw["keep"])} of the large model's on the same rows.
`bill`: share of
always-large's, every inner call counted, with the 2.5 and 97.5 per cent points of the splits in brackets; `large
calls`: share of the rows that the large model answers. Judging costs no call. `no margin`: the same with a threshold
that keeps the promise on the first half by its mean alone, so about every other time on the second: what certainty
costs is the difference, and it shrinks with more rows.

What ranks the rows has never seen them: readers are fitted on four of five folds that have nothing to do with the
halves. `own labels` are of both models on the same traffic; trees and words (`all readers`) do not serve, linear heads
do. `task type` knows the file's own name of each row's domain, which no router is told. The shipped judge was trained
on the last two files, so it stands only beside the first.
"""
    for figures in raw["number"]:
        rows = figures["rows"]
        text += (
            f"\n**{FILES[figures['file']]}**: {figures['n']:,} queries, {MODELS[figures['small']]} "
            f"{figures['small_mean']:.3f}, {MODELS[figures['large']]} {figures['large_mean']:.3f}; the small "
            f"one alone\n"
            f"costs {_percent(figures['small_bill'])} of always-large."
        )
        if "voters" in figures:
            text += f" Votes of {', '.join(MODELS[name] for name in figures['voters'])}."
        text += "\n\n" + _table(
            ("plan", "kept", "bill", "large calls", "no margin: bill", "large calls"),
            [
                (
                    PLANS[name],
                    _percent(row["kept"], 1),
                    _spread(row["bill"]),
                    _spread(row["calls"]),
                    _percent(row["without_margin"]["bill"]),
                    _percent(row["without_margin"]["calls"]),
                )
                for name, row in rows.items()
            ],
        )
        if "apart" in figures:
            apart = figures["apart"]
            text += "\n" + _wrapped(
                f"In the strictest order, readers fitted once on {apart['learned_from']:,} queries, thresholds set on "
                f"one half of the other {apart['n']:,} and read on the other: kept in {_percent(apart['kept'], 1)} for "
                f"{_spread(apart['bill'])} of the bill."
            )
        if "agree_at_dear_votes" in figures:
            text += "\n" + _wrapped(
                "Were votes of models to 9B four times as dear, the last `agree` would cost "
                f"{_spread(figures['agree_at_dear_votes'])} of the bill."
            )
    first, second = raw["number"][1], raw["number"][2]
    return (
        text
        + "\n"
        + _wrapped(
            "**How to read it.** Which small model stands before the large one matters more than how its answers are "
            f"checked: three models of 4-8B save {_percent(1 - first['rows']['agree']['bill']['value'])} of "
            f"{MODELS[first['large']]}'s bill, because they are right too seldom; {MODELS[second['small']]}, "
            f"seconded by "
            f"one of them, saves {_percent(1 - second['rows']['agree']['bill']['value'])}. The second voter "
            f"there is the "
            "one that gives the first's answer most often, chosen without labels. The vote alone has as many "
            "thresholds "
            "as voters, so it mostly keeps more than it must and pays for it; the text between equal votes is "
            "what makes "
            "it steerable. Where a vote costs what it saves, text alone is as good: look at the bill, not at "
            "the calls. "
            "On the mixed tasks nothing beats knowing the task's name."
        )
        + """
**What could not be simulated.** MMLU (RouteLLM's file) and the mixed tasks hold scores without answers: nobody
knows who
would have agreed there, nor what a check would have said, so `cascade` and `agree` have no row. On MMLU-Pro the only
check that can be read off is whether an answer could be read at all; refusals, cut answers, code and units cannot, and
neither can sureness of tokens. Llama-3.1-8B always gave an answer that could be read, so `cascade` is text alone there.
Chat prompts have no outcomes of two models, so no promise can be read on chat.
"""
    )


def _agreement(raw: Raw) -> str:
    found = raw["agreement"]
    voters = ", ".join(MODELS[name] for name in found["voters"])
    text = f"""
## Agreement after, text before

{found["n"]:,} questions of MMLU-Pro. {voters} answer; most votes win, ties go to the first;
the least trusted go to {MODELS[found["large"]]} first. PGR is counted from the accuracy of {MODELS[found["voters"][0]]}
({found["small_mean"]:.3f}; the vote has {found["vote_mean"]:.3f}, the large model {found["large_mean"]:.3f}).
`above the vote`: the difference of
APGR on the same resamples. `large calls` and `bill`: at {_percent(raw["keep"])} of the large model's quality,
without a margin.

"""
    text += _table(
        ("ranked by", "APGR", "above the vote", "large calls", "bill"),
        [
            (
                PLANS[name], _bracketed(row["apgr"]), _signed(row["above_vote"]), _percent(row["calls"]),
                _percent(row["bill"]),
            )
            for name, row in found["rows"].items()
        ],
    )  # fmt: skip
    text += """
Trust is `(votes - 1 + (quality + unopposed) / 2) / asked` (`classifiers/trust.py`). `unopposed` is 1 - dissent /
(asked - 1): a model whose answer could not be read contradicts nobody, and telling that apart from dissent is worth as
much as the text is. `quality` is P(the first model is good), which is what serves; with labels of both models on the
same traffic 1 - predicted loss ranks better, on domains left out worse. Both only order answers with as many votes:
learned combinations that may outvote the vote fall below it where the domain is new.

Domain by domain, the first column with readers fitted on the other domains only:

"""
    return text + _table(
        ("domain", "n", "labels of other domains", "above the vote", "own labels", "above the vote"),
        [
            (
                name, row["n"],
                *(cell for plan in ("agree_unseen", "agree")
                  for cell in (_share(row[plan]["apgr"]), _signed(row[plan]["above_vote"]))),
            )
            for name, row in found["domains"].items()
        ],
    )  # fmt: skip


def _elsewhere(raw: Raw) -> str:
    text = f"""
## Where the promise breaks

A threshold holds for traffic like that on which it was set. Here it is set on all domains of a file but one and read on
that one, which nothing was learned from: in how many domains {_percent(raw["keep"])} was kept, and how much in
the worst and the
median. Small domains are noisy, but not as noisy as this: **set thresholds on your own traffic, and again when it
changes**. The vote loses less than the text.

"""
    return text + _table(
        ("file", "small model", "plan", "kept in", "worst domain", "kept there", "median"),
        [
            (
                FILES[row["file"]], MODELS[row["small"]], "text" if row["plan"] == "text" else "`agree`",
                f"{row['kept']} of {row['domains']}", row["worst"], _percent(row["least"]), _percent(row["median"]),
            )
            for row in raw["elsewhere"]
        ],
    )  # fmt: skip


def _waiting(raw: Raw) -> str:
    text = f"""
## What waiting costs

Seconds to the last token, median and 95th percentile, by the recorded lengths of the answers of MMLU-Pro at speeds that
are stated and not measured: {promise_waiting.SMALL_SPEED:.0f} tokens a second for models that are asked first,
{promise_waiting.LARGE_SPEED:.0f} for the large one, {promise_waiting.PREFILL:,.0f}
read, and {promise_waiting.OVERHEAD} s a call. Votes run side by side and end as soon as the rest cannot change
the outcome. `put before`:
what the plan adds where the large model is asked after others, and how often that is. Thresholds as set on all rows.

"""
    rows = []
    for found in raw["waiting"]:
        names = {
            "small": f"{MODELS[found['small']]} alone",
            "large": f"{MODELS[found['large']]} alone",
            "cascade": f"`cascade` from {MODELS[found['small']]}",
            "agree": f"`agree`: {', '.join(MODELS[name] for name in found['voters'])}",
        }
        for name, label in names.items():
            added = found["added"].get(name)
            often = {"agree": found["share_after_votes"], "cascade": found["share_after_draft"]}.get(name)
            rows.append(
                (label, *_times(found["seconds"][name]), *_times(added), "" if often is None else _percent(often, 1))
            )
    text += _table(("plan", "p50", "p95", "put before: p50", "p95", "how often"), rows)
    return (
        text
        + """
The long tail is that of small models that do not stop: give parts a `max_output`, or a `total` timeout. The first byte
comes with the last token in these plans, since an answer is read whole before it goes out; what the large model says
streams as ever.
"""
    )


USES: Final = """
## When to use which, and when not

- **`choose` with a threshold** costs no extra call and no waiting. Begin with it; it needs some hundred labels of both
  models on your own traffic to be worth more than length.
- **`cascade`** costs one more answer where the first is thrown away. Worth it where answers can be checked: JSON with a
  schema, code, units, or an upstream that gives logprobs.
- **`agree`** wants short answers that can be compared (a letter, a number, a date, a name, yes or no) and voters that
  are cheap beside the large model but not much worse. Free text has no votes.
- **None of them** where the small model is nearly as good (use it), where the large one costs little more, where the
  first token must come at once, or where nobody can say what a good answer was: then there is nothing to set a
  threshold by, and a promise would be a guess.

```yaml
version: 1
models:
  flash: {tier: small, model: "gemini-flash", base_url: "http://localhost:9001/v1", price: {input: 0.075, output: 0.3}}
  maths: {tier: small, model: "mathstral", base_url: "http://localhost:9002/v1", price: {input: 0.05, output: 0.08}}
  pro: {tier: large, model: "gemini-pro", base_url: "http://localhost:9003/v1", price: {input: 1.25, output: 5}}
default: flash
routes:
  auto:
    baseline: pro
    rules:
      - {name: short answers, when: "ask.task == 'maths'", agree: {ask: [flash, maths], then: pro, trust: 0.6}}
      - {name: code, when: "ask.task == 'code'", cascade: {first: flash, then: pro}}
      - {name: promise, choose: cheapest, among: [flash, pro], keep_quality: 0.95, threshold: 0.1}
```

Set `threshold` and `trust` by your own data rather than by these:

```sh
signalbox policy tune policy.yaml --data outcomes.jsonl.gz --keep-quality 0.95           # says what it would write
signalbox policy tune policy.yaml --logs --since 30d --keep-quality 0.95 --write         # from audited requests
```

It decides the rows as the gateway would, with the judge in force, and keeps those that come to the rule. It refuses
where the data cannot say: too few rows, a model without outcomes, no answers for a vote, or a large model that is not
better. One label alone does not say what the other model would have lost, so of the ledger only requests count that an
audit answered a second time. [Commands](commands.md) lists its flags.
"""

PRICES: Final = """
## Prices

Dollars per million tokens, in and out: GPT-4-1106 24.70 and Mixtral-8x7B 0.24 (as in
[arXiv 2406.18665](https://arxiv.org/abs/2406.18665)); Gemini-1.5-pro 1.25 and 5.00, Gemini-1.5-flash 0.075 and 0.30
(Google's lists of October 2024); models to 9B 0.05 and 0.08, Nemotron-51B 0.59 and 0.79 (Groq's lists of 2025 for
Llama-3.1-8B and Llama-3.3-70B, taken for every model of about that size); "four times as dear" is 0.20 and 0.20.
Prompts are the bare questions, by their words; answers as long as recorded on MMLU-Pro (characters / 4), else 300
tokens. All votes are billed in full, though one that is cut short is billed in part by some: an upper bound.
"""

FOOT: Final = """
## Do it yourself

`python -m bench.promise --data FOLDER` measures all of it in some minutes, `--only PART` a part of it.
"""


def _uses(raw: Raw) -> str:
    return USES


def _prices(raw: Raw) -> str:
    looks = _wrapped(
        f"Runs that looked at the MMLU file for this page: {raw['looks']}, and some more while the margin was chosen; "
        "the readers were chosen before, as [Routing quality](routing-quality.md) tells."
    )
    return PRICES + "\n" + looks


SECTIONS: Final = {
    "number": _number,
    "agreement": _agreement,
    "elsewhere": _elsewhere,
    "waiting": _waiting,
    "keep": _uses,
    "looks": _prices,
}


def _prose(text: str) -> str:
    """Every paragraph filled to the width; headings, tables, lists and code stand on lines of their own."""
    code = False
    parts: list[str] = []
    for part in re.split(r"\n{2,}", text.strip("\n")):
        code_here = code or part.startswith("```")
        code = code ^ (part.count("```") % 2 == 1)
        plain = not code_here and part[0] not in "#|-!"
        parts.append(_wrapped(" ".join(part.split())) if plain else part + "\n")
    return "\n".join(parts)


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False) + "\n"


def _table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join("| " + " | ".join(str(cell) for cell in line) + " |\n" for line in lines)


def _percent(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{100 * value:.{digits}f}%"


def _spread(figure: Raw) -> str:
    return f"{_percent(figure['value'])} [{100 * figure['low']:.0f}, {100 * figure['high']:.0f}]"


def _share(figure: Raw) -> str:
    return "-" if figure["value"] is None else f"{figure['value']:.3f}"


def _bracketed(figure: Raw) -> str:
    return "-" if figure["value"] is None else f"{figure['value']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]"


def _signed(figure: Raw | None) -> str:
    if figure is None or figure["value"] is None:
        return ""
    return f"{figure['value']:+.3f} [{figure['low']:+.3f}, {figure['high']:+.3f}]"


def _times(points: Raw | None) -> tuple[str, str]:
    return ("", "") if points is None else (f"{points['p50']:.1f} s", f"{points['p95']:.1f} s")
