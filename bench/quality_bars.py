"""Tells which of the bars set for the judge are missed: what was aimed for, what is reached, why, what it would take.

Figures come out of the raw ones of `bench/routing_quality.py`; what stands beside them was written by people.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

Raw = Mapping[str, Any]

TASK, SPEARMAN, BEHIND_ENGLISH, P50_MS, P99_MS, FLUENT_POINTS, ECE = 0.85, 0.80, 0.10, 0.12, 0.30, 10.0, 0.10
TOKENS: Final = 60


@dataclass(frozen=True, slots=True)
class Bar:
    """One aim. reached: in words, with its figures. met: whether that is enough."""

    aim: str
    reached: str
    met: bool
    why: str


def bars(raw: Raw) -> list[Bar]:
    """All of them, met and missed. raw: of parts that were all measured."""
    return [
        _task(raw),
        _level(raw),
        _languages(raw),
        _latency(raw),
        _calibration(raw),
        _beside_length(raw),
        _fluent(raw),
    ]


def tell(raw: Raw) -> str:
    """The section of the page; nothing where a part was not measured yet."""
    if not {"zero_shot", "calibration", "chat", "encoder", "robustness", "latency"} <= set(raw):
        return ""
    found = bars(raw)
    missed = "".join(_bullet(f"**{bar.aim}** Reached: {bar.reached}. {bar.why}") for bar in found if not bar.met)
    met = "".join(_bullet(f"{bar.aim} Reached: {bar.reached}.") for bar in found if bar.met)
    return "\n## Bars that were set\n" + "".join(
        f"\n{word}:\n\n{bullets}" for word, bullets in (("Missed", missed), ("Met", met)) if bullets
    )


def _bullet(text: str) -> str:
    return (
        textwrap.fill(f"- {text}", 120, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False) + "\n"
    )


def _task(raw: Raw) -> Bar:
    accuracy = raw["chat"]["task_accuracy"]["judge"]["value"]
    encoder = raw["encoder"]["task_accuracy"]["judge"]["value"]
    apart = raw["calibration"]["authors_left_out"]["task_accuracy"]["value"]
    return Bar(
        f"The task named rightly for {TASK:.2f} of chat prompts.",
        f"{accuracy:.3f}, with an encoder {encoder:.3f}, and {apart:.3f} on training authors left out",
        accuracy >= TASK,
        "Advice and analysis, explain and factual, summarise and extract shade into each other, and each author draws"
        " the line elsewhere; an encoder, which reads better, names hardly more. It would take prompts whose task"
        " several people name alone, and a measure that accepts either where they part.",
    )


def _level(raw: Raw) -> Bar:
    spearman = raw["chat"]["routers"]["judge"]["level_spearman"]["value"]
    encoder = raw["encoder"]["routers"]["judge"]["level_spearman"]["value"]
    apart = raw["calibration"]["authors_left_out"]["level_spearman"]["value"]
    return Bar(
        f"Levels of chat prompts ranked with a Spearman of {SPEARMAN:.2f}.",
        f"{spearman:.3f}, with an encoder {encoder:.3f}, and {apart:.3f} on training authors left out",
        spearman >= SPEARMAN,
        "Levels are four classes set by one person for each prompt; easy against hard is where authors differ. More"
        " authors have raised it each time; outcomes of models on chat would give it a scale that is no opinion.",
    )


def _languages(raw: Raw) -> Bar:
    rows = raw["chat"]["by_language"]
    english = next(row for row in rows if row["language"] == "en")["task_accuracy"]["value"]
    behind = [
        (row["language"], row["n"], row["task_accuracy"]["value"])
        for row in rows
        if row["task_accuracy"]["value"] < english - BEHIND_ENGLISH
    ]
    named = ", ".join(f"{language} {value:.3f} of {n}" for language, n, value in behind)
    return Bar(
        f"The task named rightly in each language within {BEHIND_ENGLISH:.2f} of English.",
        f"{len(rows) - 1 - len(behind)} of {len(rows) - 1} languages"
        + (f"; behind {english:.3f}: {named}" if named else ""),
        not behind,
        "With 13 to 20 prompts a language one prompt is 0.05 to 0.08 and an interval 0.4 wide, so which languages are"
        " behind changes from training to training. It would take a hundred test prompts a language to see, and more"
        " training prompts of the rarer ones to mend.",
    )


def _latency(raw: Raw) -> Bar:
    row = next(row for row in raw["latency"] if row["tokens"] == TOKENS and row["classifier"].startswith("fast"))
    return Bar(
        f"CPU of one assessment of {TOKENS} tokens: p50 {P50_MS:.2f} ms, p99 {P99_MS:.2f} ms.",
        f"{row['p50_ms']:.3f} and {row['p99_ms']:.3f} ms",
        row["p50_ms"] <= P50_MS and row["p99_ms"] <= P99_MS,
        "The slowest in a hundred are Chinese, whose every run of characters is met for the first time and cut into"
        " pieces, and first words of any language. It would take the lookup of words in compiled code.",
    )


def _calibration(raw: Raw) -> Bar:
    apart = {
        row["source"]: row["ece"]
        for row in raw["calibration"]["small_head"]
        if row["router"] == "learned" and row["how"] == "source left out"
    }
    return Bar(
        f"Shares off by at most {ECE:.2f} (ECE) with a source left out.",
        ", ".join(f"{ece:.3f} on {source}" for source, ece in apart.items()),
        max(apart.values()) <= ECE,
        "Nothing in a question tells how strict its grader is or which models answer, and of two sources the other one"
        " is all there is to go by. A few hundred labels of one's own bring it to 0.05 (see above); without them it"
        " would take outcomes of many more sources.",
    )


def _beside_length(raw: Raw) -> Bar:
    rows = [
        (figures["file"], figures["router"], figures["baselines"]["length"]["apgr"]) for figures in raw["zero_shot"]
    ]
    return Bar(
        "Questions of traffic never seen ranked better than by their length.",
        "; ".join(f"{file} {router['apgr']:.3f} beside {length:.3f}" for file, router, length in rows),
        all(router["apgr_low"] > length for _, router, length in rows),
        "Which of two models fails on an exam question hangs on what they were trained on, and length is a good guess"
        " that needs none of it. It would take outcomes of such models on like questions: with 500 labels it ranks"
        " better (see above).",
    )


def _fluent(raw: Raw) -> Bar:
    rows = [row for row in raw["robustness"]["attacks"] if row["attack"].startswith("fluent")]
    worst = max((row["uplift_defended"] for row in rows), default=0.0)
    return Bar(
        f"At most {FLUENT_POINTS:.0f} points more to the large model by a sentence that a person could have written.",
        f"{worst:.1f} points",
        worst <= FLUENT_POINTS,
        "Such a sentence is part of the ask to whoever reads it; reading asks without their first and last sentences"
        " sent hard ones to the small model. It would take a judge that knows what an ask is about and what only stands"
        " beside it; until then keys and budgets bound it.",
    )
