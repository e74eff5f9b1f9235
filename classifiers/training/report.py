"""Measures a training run on rows its heads have not seen, and tells it as JSON and as a page.

Three questions: does the complexity scale part easy chat from hard chat; are the shares of the small head right; is
routing on them worth anything. Each with random, length and task beside it, and a 95 per cent bootstrap interval.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from classifiers.features import FeatureFunction, names
from classifiers.heuristic import HeuristicClassifier
from classifiers.tasks import TASKS
from classifiers.training import heads, measures
from classifiers.training.calibrate import fit_slope_and_shift, sigmoid
from classifiers.training.dataset import LEVELS
from classifiers.training.fit import Floats, fit_quality, fit_tasks, folds, logits
from classifiers.training.heads import Say, Table
from classifiers.training.measures import Figure

THRESHOLD: Final = 0.35
"""Complexity below which the shipped policy asks the small model."""

Measured = dict[str, Any]
TIMES: Final = 200
"""Resamples of a bootstrap."""
_LENGTH: Final = names().index("units")


def measure(table: Table, featurise: FeatureFunction, strength: float, seed: int, say: Say) -> Measured:
    """All tables. Nothing here is measured on a row that its head was fitted on."""
    labels = table.small
    known = ~np.isnan(labels)
    table, labels = table.part(known), labels[known]
    held_out = heads.held_out_logits(table, labels, strength, seed)
    slope, shift = fit_slope_and_shift(held_out, labels, table.weights)
    shares = sigmoid(slope * held_out + shift)
    say("chat")
    result: Measured = {"chat": _chat(table, shares, strength, seed)}
    say("leave one source out")
    result["small_head"] = _small_head(table, labels, shares, strength, seed)
    say("leave one domain out")
    result["routing"] = _routing(table, shares, strength, seed)
    return result


def _chat(table: Table, shares: Floats, strength: float, seed: int) -> Measured:
    chat = np.array([row.source == "chat" for row in table.rows])
    part, complexity = table.part(chat), 1.0 - shares[chat]
    level = np.array([LEVELS.index(row.level or "easy") for row in part.rows], dtype=np.float64)
    hard = level >= 2
    heuristic = HeuristicClassifier()
    scores = {
        "learned": complexity,
        "heuristic": np.array([heuristic.assess(row.ask, ()).complexity for row in part.rows]),
        "length": part.features[:, _LENGTH],
        "task": _mean_of_others(part, [row.task for row in part.rows], level, seed),
        "random": np.random.default_rng(seed).random(len(level)),
    }
    table_of_scores = [
        {
            "router": name,
            "n": len(level),
            "level_spearman": _of_two(measures.spearman, score, level, seed),
            "auc_easy_hard": _of_two(measures.auc, score, hard, seed),
            "to_large": {
                text: float(np.mean(score[level == number] >= THRESHOLD)) for number, text in enumerate(LEVELS)
            }
            if name in ("learned", "heuristic")
            else None,
        }
        for name, score in scores.items()
    ]
    tasks = _held_out_tasks(part, strength, seed)
    languages = [row.language or "" for row in part.rows]
    right = (complexity >= THRESHOLD) == hard
    by_language = [
        {"language": language, "n": int(mask.sum()), "right_side": float(right[mask].mean())}
        for language in sorted(set(languages), key=lambda name: (-languages.count(name), name))
        if (mask := np.array([name == language for name in languages])).sum() >= 8
    ]
    follow = np.array([bool(row.ask.earlier) for row in part.rows])
    return {
        "routers": table_of_scores,
        "task_accuracy": _share(tasks, seed),
        "right_side": _share(right, seed),
        "right_side_with_earlier_turns": {"n": int(follow.sum()), "value": float(right[follow].mean())},
        "by_language": by_language,
        "spend": _spend(part, complexity),
    }


def _spend(part: Table, complexity: Floats) -> float:
    """Share of always-large's bill, if an answer costs five times its question plus 300 tokens, and small is free."""
    tokens = np.expm1(part.features[:, _LENGTH]) * 1.35
    bill = tokens + 5.0 * 300.0
    return float(bill[complexity >= THRESHOLD].sum() / bill.sum())


def _small_head(table: Table, labels: Floats, shares: Floats, strength: float, seed: int) -> list[Measured]:
    sources = np.array([row.source for row in table.rows])
    rows = []
    for source in sorted(set(sources)):
        of_source = sources == source
        part, part_labels = table.part(of_source), labels[of_source]
        domains = [row.domain for row in part.rows]
        candidates: list[tuple[str, str, Floats]] = [
            ("learned", "in domain, grouped folds", shares[of_source]),
            ("task", "in domain, grouped folds", _mean_of_others(part, domains, part_labels, seed)),
        ]
        if not of_source.all():
            candidates.append(("learned", "source left out", _without(table, labels, of_source, strength, seed)))
        candidates += [
            ("length", "no training", _as_shares(-part.features[:, _LENGTH])),
            ("random", "no training", np.random.default_rng(seed).random(len(part_labels))),
        ]
        good = part_labels > 0.5
        for name, how, guess in candidates:
            calibrated = name in ("learned", "task")
            rows.append(
                {
                    "source": source,
                    "router": name,
                    "how": how,
                    "n": len(good),
                    "auc": _of_two(measures.auc, guess, good, seed),
                    "auc_within_domain": _within(guess, good, domains),
                    "brier": _of_two(measures.brier, guess, part_labels, seed) if calibrated else None,
                    "ece": measures.ece(guess, part_labels) if calibrated else None,
                }
            )
    return rows


def _routing(table: Table, shares: Floats, strength: float, seed: int) -> list[Measured]:
    """Mean small model against mean large model of a source, ranked by P(the small one fails)."""
    sources = np.array([row.source for row in table.rows])
    paired = ~np.isnan(table.large)
    rows = []
    for source in [*sorted(set(sources) - {"chat"}), "chat"]:
        of_source = (sources == source) & paired
        part = table.part(of_source)
        if len(part.rows) < 50:
            continue
        candidates: list[tuple[str, str, Floats]] = [("learned", "in domain, grouped folds", 1.0 - shares[of_source])]
        if source != "chat":
            left_out = _domain_by_domain(table, of_source, strength, seed)
            candidates.append(("learned", "each domain left out", 1.0 - left_out))
        groups = [row.domain for row in part.rows]
        candidates += [
            ("task", "in domain, grouped folds", _mean_of_others(part, groups, part.large - part.small, seed)),
            ("length", "no training", part.features[:, _LENGTH]),
            ("random", "no training", np.random.default_rng(seed).random(len(part.rows))),
        ]
        for name, how, score in candidates:
            rows.append(
                {
                    "source": source,
                    "router": name,
                    "how": how,
                    "n": len(part.rows),
                    "apgr": _apgr(score, part, seed),
                    "cpt50": measures.cpt(score, part.small, part.large, 0.5, seed),
                    "cpt80": measures.cpt(score, part.small, part.large, 0.8, seed),
                }
            )
    return rows


def _without(table: Table, labels: Floats, left_out: NDArray[np.bool_], strength: float, seed: int) -> Floats:
    """Shares for the rows left out, from a head calibrated on all others."""
    head = heads.calibrated_head(table.part(~left_out), "small", strength, seed)
    return sigmoid(logits(head, table.features[left_out]))


def _domain_by_domain(table: Table, of_source: NDArray[np.bool_], strength: float, seed: int) -> Floats:
    domains = np.array([row.domain for row in table.rows])
    shares = np.zeros(len(domains))
    for domain in sorted(set(domains[of_source])):
        here = domains == domain
        head = fit_quality(table.features[~here], table.small[~here], table.weights[~here], strength)
        shares[here] = sigmoid(logits(head, table.features[here]))
    chosen: Floats = shares[of_source]
    return chosen


def _mean_of_others(part: Table, keys: Sequence[str], values: Floats, seed: int) -> Floats:
    """For each row the mean of `values` over rows of the same key in the other folds."""
    result = np.zeros(len(values))
    key = np.array(keys)
    for seen, unseen in folds(part.groups, heads.FOLDS, seed):
        overall = float(values[seen].mean())
        means = {name: float(values[seen][key[seen] == name].mean()) for name in set(key[seen])}
        result[unseen] = [means.get(name, overall) for name in key[unseen]]
    return result


def _held_out_tasks(part: Table, strength: float, seed: int) -> NDArray[np.bool_]:
    right = np.zeros(len(part.rows), dtype=bool)
    tasks = [row.task for row in part.rows]
    for seen, unseen in folds(part.groups, heads.FOLDS, seed):
        fitted = fit_tasks(
            part.features[seen], [tasks[index] for index in seen], TASKS, part.weights[seen], heads.TASK_STRENGTH
        )
        guesses = (part.features[unseen] @ fitted[:, :-1].T + fitted[:, -1]).argmax(axis=1)
        right[unseen] = [TASKS[guess] == tasks[index] for guess, index in zip(guesses, unseen, strict=True)]
    return right


def _within(scores: Floats, good: NDArray[np.bool_], domains: Sequence[str]) -> float | None:
    """Mean over domains of the AUC within each."""
    key = np.array(domains)
    figures = [measures.auc(scores[key == name], good[key == name]) for name in sorted(set(domains))]
    kept = [figure for figure in figures if figure is not None]
    return sum(kept) / len(kept) if kept else None


def _as_shares(scores: Floats) -> Floats:
    shares: Floats = (scores - scores.min()) / max(float(np.ptp(scores)), 1e-9)
    return shares


def _of_two(measure: Callable[[Floats, Any], float | None], first: Floats, second: Any, seed: int) -> Figure:
    return measures.bootstrap(lambda i: measure(first[i], second[i]), len(first), seed, TIMES)


def _apgr(score: Floats, part: Table, seed: int) -> Figure:
    def measure(i: NDArray[np.intp]) -> float | None:
        return measures.apgr(score[i], part.small[i], part.large[i], seed)

    return measures.bootstrap(measure, len(score), seed, TIMES)


def _share(right: NDArray[np.bool_], seed: int) -> Figure:
    return measures.bootstrap(lambda i: float(right[i].mean()), len(right), seed, TIMES)


def headline(measured: Measured) -> Measured:
    """The few figures that belong in a manifest."""
    chat = measured["chat"]
    learned = chat["routers"][0]
    return {
        "chat_level_spearman": asdict(learned["level_spearman"]),
        "chat_right_side": asdict(chat["right_side"]),
        "chat_to_large": learned["to_large"],
        "chat_task_accuracy": asdict(chat["task_accuracy"]),
        "apgr": {
            f"{row['source']}, {row['how']}": asdict(row["apgr"])
            for row in measured["routing"]
            if row["router"] == "learned"
        },
    }


def as_json(measured: Measured) -> str:
    """The whole, with figures as {value, low, high}."""
    return json.dumps(measured, indent=2, default=asdict, ensure_ascii=False) + "\n"


def as_markdown(measured: Measured, about: Mapping[str, Any]) -> str:
    """A page for people."""
    chat = measured["chat"]
    lines = [
        "# What this artefact was measured to be worth",
        "",
        "Every figure is on rows that the head in question was not fitted on; brackets hold 95 per cent bootstrap",
        "intervals. Trained on " + ", ".join(f"{count} rows of {name}" for name, count in about["rows"].items()) + ".",
        "The levels of the chat prompts, and the shares of good answers they stand for, were set by us and not",
        "measured on models. Figures in domain say little about other traffic: read the rows with a source or a",
        "domain left out for that.",
        "",
        "## Chat prompts: are easy ones below 0.35 and hard ones above?",
        "",
        "| router | level Spearman | AUC easy/hard | trivial to large | easy | hard | expert |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in chat["routers"]:
        shares = row["to_large"] or {}
        cells = " | ".join(f"{shares[level]:.2f}" if shares else "-" for level in LEVELS)
        lines.append(f"| {row['router']} | {row['level_spearman']} | {row['auc_easy_hard']} | {cells} |")
    follow = chat["right_side_with_earlier_turns"]
    lines += [
        "",
        f"On the right side of 0.35: {chat['right_side']};"
        f" with earlier turns {follow['value']:.3f} (n = {follow['n']}).",
        f"Task accuracy: {chat['task_accuracy']}.",
        f"Share of always-large's bill: {chat['spend']:.2f}, if small is free and an answer has 300 tokens at five",
        "times the price of the question's.",
        "",
        "| language | n | right side |",
        "|---|---|---|",
        *(f"| {row['language']} | {row['n']} | {row['right_side']:.2f} |" for row in chat["by_language"]),
        "",
        "## The small head: P(good answer)",
        "",
        "On chat the labels are the anchors of the levels. AUC is for [mean score of the small models > 0.5].",
        "",
        "| on | router | how | n | AUC | within domains | Brier | ECE |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in measured["small_head"]:
        lines.append(
            f"| {row['source']} | {row['router']} | {row['how']} | {row['n']} | {row['auc']} |"
            f" {_cell(row['auc_within_domain'])} | {row['brier'] or '-'} | {_cell(row['ece'])} |"
        )
    lines += [
        "",
        "## Routing between the mean small and the mean large model",
        "",
        "Random routing has APGR 0.5. On chat both labels are anchors, so its rows only check the arithmetic.",
        "",
        "| on | router | how | n | APGR | CPT50 | CPT80 |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in measured["routing"]:
        lines.append(
            f"| {row['source']} | {row['router']} | {row['how']} | {row['n']} | {row['apgr']} |"
            f" {_cell(row['cpt50'])} | {_cell(row['cpt80'])} |"
        )
    return "\n".join(lines) + "\n"


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
