"""Writes docs/routing-quality.md from the raw figures of `bench/routing_quality.py`. Nothing is measured here."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bench import quality_bars

Raw = Mapping[str, Any]

FILES: Final = {
    "routellm_mmlu": "MMLU",
    "routellm_gsm8k": "GSM8K",
    "routellm_mtbench": "MT-Bench",
    "mmlu_pro": "MMLU-Pro",
    "mixed_tasks": "14 mixed tasks",
}
ROUTERS: Final = {
    "router": "router",
    "linear_heads": "linear heads alone",
    "task_type": "task type",
    "length": "length",
    "incumbent": "incumbent",
    "random": "random",
    "oracle": "oracle",
}
TO_LARGE: Final = ("trivial to large", "easy", "hard", "expert")
JUDGES: Final = {"learned": "judge", "task": "task type", "length": "length", "random": "random"}
PUBLISHED: Final = {
    "routellm_mmlu": [
        ("RouteLLM, similarity-weighted", 0.354, 0.716, 0.603),
        ("RouteLLM, causal LLM", 0.355, 0.703, 0.600),
        ("RouteLLM, matrix factorisation", 0.355, 0.714, 0.597),
        ("RouteLLM, BERT", 0.413, 0.722, 0.572),
    ],
    "routellm_gsm8k": [
        ("RouteLLM, causal LLM", 0.336, 0.633, 0.622),
        ("RouteLLM, similarity-weighted", 0.412, 0.726, 0.568),
        ("RouteLLM, matrix factorisation", 0.388, 0.726, 0.565),
        ("RouteLLM, BERT", 0.448, 0.791, 0.531),
    ],
    "routellm_mtbench": [
        ("RouteLLM, matrix factorisation", 0.134, 0.313, 0.802),
        ("RouteLLM, similarity-weighted", 0.232, 0.360, 0.759),
        ("RouteLLM, BERT", 0.196, 0.340, 0.751),
        ("RouteLLM, causal LLM", 0.315, 0.488, 0.679),
    ],
}
"""(router, CPT50, CPT80, APGR): arXiv 2406.18665 v4, tables 1 to 3, the best training of each."""

HEAD: Final = """\
# How good the routing is

Every figure here is made by one command, `python -m bench.routing_quality`, which keeps the raw figures in
[bench/results/routing_quality.json](../bench/results/routing_quality.json); a test holds this page to them. What the
measures mean, and where they come from, is told in `classifiers/training/evaluate.py`, and `signalbox evaluate` gives
the same tables for a file of yours. Brackets hold 95% bootstrap intervals. No model was called: outcomes are those of
real models, published by others.
"""

TAKE: Final = """\
**What to take from it.** A judge that reads only the question knows little of which models will fail on it. On the
published test sets {beside_length}; on chat prompts it parts easy from hard clearly better than length does. With
labels of the same traffic it does better still: a few hundred match the best published router, and they mend the shares
first. So trust the figures of a file like your traffic, not the best row on this page, and let `retrain` learn from
what you log.
"""


def page(raw: Raw) -> str:
    """The whole page."""
    parts = [
        HEAD,
        textwrap.fill(TAKE.format(beside_length=_beside_length(raw)), 120, break_long_words=False),
        *(tell(raw) for part, tell in SECTIONS.items() if part in raw),
        quality_bars.tell(raw),
        _footer(raw),
    ]
    return "\n".join(part.strip("\n") + "\n" for part in parts)


def _beside_length(raw: Raw) -> str:
    """How the shipped judge compares with length, file by file, in words."""
    verdicts: dict[str, list[str]] = {}
    for figures in raw["zero_shot"]:
        router, length = figures["router"], figures["baselines"]["length"]
        apart = router["apgr_low"] > length["apgr"] or router["apgr_high"] < length["apgr"]
        verdict = (
            "no differently from" if not apart else "better than" if router["apgr"] > length["apgr"] else "worse than"
        )
        verdicts.setdefault(verdict, []).append(FILES[figures["file"]])
    return "it ranks questions " + ", and ".join(
        f"{verdict} their length on {' and '.join(files)}" for verdict, files in verdicts.items()
    )


def _zero_shot(raw: Raw) -> str:
    text = """
## Traffic it has never seen

The shipped judge, as it is, between Mixtral-8x7B and GPT-4 on the test sets of the RouteLLM paper, none of which it was
trained on. The paper's own routers were trained on preferences between such models, some with GPT-4 as a judge; ours on
outcomes of other models. `incumbent` is the heuristic without an artefact, `task type` orders by the mean complexity of
the task as judged.
"""
    for figures in raw["zero_shot"]:
        name = figures["file"]
        text += (
            f"\n**{FILES[name]}**: {figures['n']:,} queries, small {_share(figures['small_mean'])}, "
            f"large {_share(figures['large_mean'])}. At 0.35\n{_percent(figures['wasted_share'])} of calls are wasted "
            f"on the large model and {_percent(figures['risk_share'])} at risk on the small one; 95% of the large\n"
            f"model's quality is kept for {_percent(figures['cost_at_95'])} of its bill.\n\n"
        )
        published = [(name, "", cpt50, cpt80, apgr) for name, cpt50, cpt80, apgr in PUBLISHED[name]]
        ours = _routing_rows(figures, ("router", "task_type", "length", "incumbent", "random"))
        text += _table(
            ("router", "APGR", "CPT50", "CPT80", "AUC", "AUC small", "Brier", "ECE"),
            [
                *ours,
                *(
                    (label, _share(apgr), _share(cpt50), _share(cpt80), "", "", "", "")
                    for label, _, cpt50, cpt80, apgr in published
                ),
            ],
        )
    looks = ", ".join(f"{FILES[name]} {count}" for name, count in sorted(raw["looks"].items()))
    return (
        text
        + f"""
MT-Bench has 72 questions, so its intervals are wide. Runs that looked at these files since the readers of the next
section were begun: {looks}. Earlier, while the weight of chat prompts in training was chosen,
the MMLU figure had been looked at too and was not counted.

![Quality for cost and calibration on MMLU, nothing learned from it](images/routing-quality-zero-shot.png)
"""
    )


def _own_labels(raw: Raw) -> str:
    text = """
## With labels of one's own

Five folds, every row ranked by what was fitted on the other four. `router` averages three readers: linear heads and
boosted trees on the features that the ledger keeps, and words and word pairs (TF-IDF), which need a ledger that keeps
texts. **Trees and words are for reports and do not serve**; `linear heads alone` is what the heads of an artefact learn
from the same labels. `task type` knows the file's own name of each row's domain (57 subjects on MMLU), which no router
is told. `incumbent` is the shipped judge; it was trained on the last two files, so its figures there are not held out.
"""
    for figures in raw["own_labels"]:
        labels = f", {figures['labels']} labels (mean of {figures['draws']} draws)" if figures["labels"] else ""
        text += f"\n**{FILES[figures['file']]}**{labels}: {_models(figures)}\n\n" + _routing(figures)
    return (
        text
        + """
![Quality for cost and calibration on MMLU, five folds](images/routing-quality-own-labels.png)

How the readers were chosen: by folds of MMLU-Pro and the mixed tasks. A first choice (trees and words, n / (n + 500))
had APGR 0.692 on MMLU and 0.594 with 500 labels; that second figure was why a second round was made, on the two
training files again, so **the figures on MMLU above are not quite blind**. Words rank best where the domain is known,
trees best within domains that are not, linear heads best across the mixed tasks with domains left out; no single one
is good everywhere, and the mean of the three nearly is. The difference of both models' shares beats P(small fails)
alone only once labels are plenty, so the large model's share counts n / (n + 250). Character n-grams gained a little
more for much more time, a kernel in place of the trees nothing. (These comparisons were made once, while it was
built; the command does not remake them.)
"""
    )


def _new_domains(raw: Raw) -> str:
    text = """
## Domains it has never seen

Each domain of a file ranked by what was fitted on the others. Only P(small fails) ranks here: on new domains the large
model's share is noise. `within domains` is the mean over domains of the AUC for [small is right] inside each, where
knowing the domain is worth nothing. On the mixed tasks no judge beats length.
"""
    for figures in raw["new_domains"]:
        text += f"\n**{FILES[figures['file']]}**, {len(figures['by_domain'])} domains: {_models(figures)}\n\n"
        text += _table(
            ("router", "APGR", "CPT50", "CPT80", "AUC small", "within domains", "Brier", "ECE"),
            [
                (
                    ROUTERS[name],
                    _interval(row, "apgr"), *(_share(row[key]) for key in ("cpt50", "cpt80", "auc_small")),
                    _interval(row, "auc_small_within"), _share(row["brier"]), _share(row["ece"]),
                )
                for name, row in _rows(figures, tuple(ROUTERS)[:-1])
            ],
        )  # fmt: skip
    return text


def _calibration(raw: Raw) -> str:
    rows = raw["calibration"]["small_head"]
    text = """
## Does the stated share come true?

P(small is good) of the shipped heads on rows they were not fitted on, from the report of the artefact's training: folds
of the same source, and with the whole source left out. **On chat the labels are anchors of levels that we set**, not
outcomes, so those rows say only that the scale is kept. Shares hold on traffic like that of training and not elsewhere:
a source left out is off by its base rate, which is what labels of one's own mend first.

"""
    return text + _table(
        ("on", "router", "how", "n", "AUC", "Brier", "ECE"),
        [
            (
                row["source"] + " (anchors)" * (row["source"] == "chat"), JUDGES[row["router"]],
                row["how"], f"{row['n']:,}", _spread(row["auc"]), _spread(row["brier"]), _share(row["ece"]),
            )
            for row in rows
        ],
    )  # fmt: skip


def _chat(raw: Raw) -> str:
    found = raw["chat"]
    text = f"""
## Chat prompts

{found["n"]} prompts that were written for testing alone, in many languages, {found["with_earlier_turns"]} with
earlier turns. **Their levels and tasks were set by us**, by the people who wrote them, not measured on models. Nobody
who wrote training prompts saw them, but this table was looked at four times, and the last five of ten authors were
asked for what it had shown to be weak: **so it is not quite blind**. `right
side` is the share of prompts with trivial and easy below complexity 0.35 and hard and expert above it, where 0.35
itself rests on anchors set by us, and a hard prompt is anchored at 0.275, so most of the wrong sides are hard prompts
below it. `follow-ups` are the same two figures of those with earlier turns. Task type, length and random make
as many large calls as the judge; task type knows the task as it was set.

"""
    text += _table(
        ("router", "level Spearman", "AUC easy/hard", "right side", "follow-ups: AUC", "right side", *TO_LARGE),
        [
            (
                name, _spread(row["level_spearman"]), _spread(row["auc_easy_hard"]), _spread(row["right_side"]),
                _spread(row["auc_with_earlier_turns"]), _spread(row["right_side_with_earlier_turns"]),
                *map(_percent, row["to_large"]),
            )
            for name, row in found["routers"].items()
        ],
    )  # fmt: skip
    accuracy = ", ".join(f"{name} {_spread(row)}" for name, row in found["task_accuracy"].items())
    text += f"\nTask named rightly, of 14: {accuracy}.\n\n"
    return text + _table(
        ("language", "n", "task named rightly", "level Spearman", "right side"),
        [
            (
                row["language"],
                row["n"],
                *(_spread(row[key]) for key in ("task_accuracy", "level_spearman", "right_side")),
            )
            for row in found["by_language"]
        ],
    )


def _encoder(raw: Raw) -> str:
    found = raw["encoder"]
    row = found["routers"]["judge"]
    text = f"""
The encoder tier (`{found["classifier"]}`) on the same prompts; CPU {found["ms_p50"]:.0f} ms an ask at the median,
{found["ms_p99"]:.0f} ms at the 99th percentile, one at a time.

"""
    return text + _table(
        (
            "router",
            "level Spearman",
            "AUC easy/hard",
            "right side",
            "follow-ups: AUC",
            "right side",
            *TO_LARGE,
            "task named rightly",
        ),
        [
            (
                "encoder",
                *(_spread(row[key]) for key in ("level_spearman", "auc_easy_hard", "right_side")),
                _spread(row["auc_with_earlier_turns"]),
                _spread(row["right_side_with_earlier_turns"]),
                *map(_percent, row["to_large"]),
                _spread(found["task_accuracy"]["judge"]),
            )
        ],
    )


def _own_traffic(raw: Raw) -> str:
    text = """
## The first labels of one's own

`retrain` on labels of Mixtral's answers on MMLU, traffic the shipped judge has never seen, measured on all other rows;
means of five drawings, the least and the most in brackets. The base rate is the mean of the same labels (0.5 without
any). `retrain` changes a head only where held-out labels bear it out clearly; `learned in` says in how many drawings it
did. What it learns first is how far the shares come true; ranking takes more labels than these.

"""
    return text + _table(
        ("labels", "router", "Brier", "ECE", "AUC small", "APGR", "learned in"),
        [
            (
                row["labels"], name, *(_spread(row[name][key]) for key in ("brier", "ece", "auc_small", "apgr")),
                _percent(row["changed"]) if name == "judge" and row["labels"] else "",
            )
            for row in raw["own_traffic"]
            for name in ("judge", "base rate")
        ],
    )  # fmt: skip


def _robustness(raw: Raw) -> str:
    found = raw["robustness"]
    text = f"""
## Pushing it

{found["n"]} chat prompts (those above without earlier turns), each written differently in seven ways: the share of
decisions at {found["threshold"]} that stay.

"""
    text += _table(
        ("written differently", "unchanged", "now to large", "now to small"),
        [
            (row["kind"], _interval(row, "unchanged"), _percent(row["to_large"]), _percent(row["to_small"]))
            for row in found["perturbations"]
        ]
        + [("all", _share(found["unchanged"]), "", "")],
    )
    if found["attacks"]:
        n = found["attacks"][0]["n"]
        text += f"""
Attacks add a text to every prompt, found on 24 prompts that went to the small model and tried on {n} others: the share
of those that now goes to the large model, in points. A search replaces one of ten words at a time
([arXiv 2501.01818](https://arxiv.org/abs/2501.01818)), with our word lists in hand; fluent ones are ten sentences
written by hand, the worst of them.

"""
        text += _table(
            ("attack", "without defence", "with defence", "text"),
            [
                (
                    row["attack"],
                    _points(row, "uplift_undefended"),
                    _points(row, "uplift_defended"),
                    f"`{row['text'].strip()}`",
                )
                for row in found["attacks"]
            ],
        )
        text += f"""
The defence (`classifiers/gadgets.py`) looks for eight words in a row, at either end, that hang together by nothing, and
takes the easiest reading with and without them; `classifiers/courtesy.py` reads an ask without greeting, thanks, frames
and capitals, and was written knowing five of the ten polite wrappers and five of the eight of harnesses. Together they
change {_percent(found["defence_changes"], 1)} of decisions on these prompts as they are. That stops strings searched
without knowing of it, and nothing else: **who searches against it, or writes a sentence about theorems, still reaches
the large model**. Judging every ask also without its first and its last sentence would stop more, but sent hard and
expert prompts to the small model by the handful when it was tried: not a price to pay for a caller who could name the
large model outright. Where it matters who may ask it, limit that by key and budget, not by the judge.
"""
    return text


def _latency(raw: Raw) -> str:
    text = """
## What judging costs

Thread CPU of one assessment in milliseconds, one ask at a time, every ask another one, the least of five passes by a
judge just loaded (`bench/judge.py`): the machine is shared, and a single pass had its p99 by what else ran there.

"""
    return text + _table(
        ("judge", "tokens", "p50", "p99"),
        [
            (row["classifier"].split("@")[0], row["tokens"], f"{row['p50_ms']:.3f}", f"{row['p99_ms']:.3f}")
            for row in raw["latency"]
        ],
    )


def _footer(raw: Raw) -> str:
    judges = ", ".join(f"`{name}`" for name in sorted(set(raw["artefacts"].values())))
    return f"""
## Do it yourself

`python -m bench.routing_quality --data FOLDER` measures all of it in some minutes, `--only PART` a part of it. Measured
here: {judges}.
"""


SECTIONS: Final = {
    "zero_shot": _zero_shot,
    "own_labels": _own_labels,
    "new_domains": _new_domains,
    "calibration": _calibration,
    "chat": _chat,
    "encoder": _encoder,
    "own_traffic": _own_traffic,
    "robustness": _robustness,
    "latency": _latency,
}


def _models(figures: Raw) -> str:
    return (
        f"{figures['n']:,} queries, {figures['small']} {_share(figures['small_mean'])}, "
        f"{figures['large']} {_share(figures['large_mean'])}."
    )


def _rows(figures: Raw, names: Sequence[str]) -> list[tuple[str, Raw]]:
    by_name = {
        "router": figures["router"],
        "linear_heads": figures["linear_heads"],
        "oracle": figures["oracle"],
        **figures["baselines"],
    }
    return [(name, by_name[name]) for name in names if by_name[name] is not None]


def _routing(figures: Raw) -> str:
    names = ("router", "linear_heads", "task_type", "length", "incumbent", "random", "oracle")
    return _table(
        ("router", "APGR", "CPT50", "CPT80", "AUC", "AUC small", "Brier", "ECE"), _routing_rows(figures, names)
    )


def _routing_rows(figures: Raw, names: Sequence[str]) -> list[tuple[str, ...]]:
    return [
        (
            ROUTERS[name],
            _interval(row, "apgr"),
            *(_share(row[key]) for key in ("cpt50", "cpt80", "auc", "auc_small", "brier", "ece")),
        )
        for name, row in _rows(figures, names)
    ]


def _table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join("| " + " | ".join(str(cell) for cell in line) + " |\n" for line in lines)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _percent(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{100 * value:.{digits}f}%"


def _interval(row: Raw, key: str) -> str:
    return _bracketed(row.get(key), row.get(f"{key}_low"), row.get(f"{key}_high"))


def _points(row: Raw, key: str) -> str:
    value, low, high = (row[name] for name in (key, f"{key}_low", f"{key}_high"))
    return f"{value:.1f} [{low:.1f}, {high:.1f}]"


def _spread(figure: Raw | None) -> str:
    return "-" if figure is None else _bracketed(figure["value"], figure["low"], figure["high"])


def _bracketed(value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if low is None or high is None else f"{value:.3f} [{low:.3f}, {high:.3f}]"
