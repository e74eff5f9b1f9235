"""Measures a training run on rows its artefacts have not seen, and tells it as JSON and as a page.

Three questions: does the complexity scale part easy chat from hard chat; are the shares of the small head right; is
routing on them worth anything. Each with random, length and task beside it, and a 95 per cent bootstrap interval.
Whole artefacts are fitted and judge what was left out, so every figure is that of the judge as it serves.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from classifiers.features import FeatureFunction, names
from classifiers.heuristic import HeuristicClassifier
from classifiers.learned import LearnedClassifier
from classifiers.training import heads, measures
from classifiers.training.dataset import LEVELS
from classifiers.training.fit import Floats, folds, logits
from classifiers.training.heads import Say, Table
from classifiers.training.measures import Figure

THRESHOLD: Final = 0.35
"""Complexity below which the shipped policy asks the small model."""

Measured = dict[str, Any]
Mask = NDArray[np.bool_]
TIMES: Final = 200
"""Resamples of a bootstrap."""
_LENGTH: Final = names().index("units")


@dataclass(frozen=True, slots=True)
class Judged:
    """What artefacts said of rows they had not seen; (n,) each. small: P(good answer) of the generic small model."""

    small: Floats
    support: Floats
    tasks: NDArray[np.str_]


def measure(table: Table, featurise: FeatureFunction, strength: float, seed: int, say: Say) -> Measured:
    """All tables. Nothing here is measured on a row that its artefact was fitted on."""

    def judge(splits: Iterable[tuple[NDArray[Any], NDArray[Any]]]) -> Judged:
        small, support = np.zeros(len(table.rows)), np.zeros(len(table.rows))
        tasks = np.empty(len(table.rows), dtype="U16")
        for seen, unseen in splits:
            artefact = heads.fit_artefact(table.part(seen), featurise, strength, seed)
            classifier, grams = LearnedClassifier(artefact), artefact.featurise.grams
            assert grams is not None
            part = table.part(unseen)
            read = heads.with_opinions(part, grams.opinions(part.buckets).astype(np.float64), artefact.featurise)
            for index, vector in zip(np.arange(len(table.rows))[unseen], read.features, strict=True):
                said = classifier.assess_features(vector.astype(np.float32), ())
                small[index], support[index], tasks[index] = 1.0 - said.complexity, said.support, said.task
        return Judged(small, support, tasks)

    sources = np.array([row.source for row in table.rows])
    authors = np.array([row.group.split("/")[0] for row in table.rows])
    say("in domain")
    inside = judge(folds(table.groups, heads.FOLDS, seed))
    say("leave one author out")
    by_author = judge((~of_author, of_author) for of_author in _each(authors, table.chat))
    say("leave one source out")
    outside = judge((~of_source, of_source) for of_source in _each(sources, ~table.chat))
    say("leave one domain out")
    exam_heads = _domain_by_domain(table)
    return {
        "chat": {
            "in domain, grouped folds": _chat(table, inside, seed),
            "each author left out": _chat(table, by_author, seed),
        },
        "small_head": _small_head(table, inside, outside, seed),
        "routing": _routing(table, inside, exam_heads, seed),
        "support": _support(table, inside, outside, by_author),
    }


def _each(keys: NDArray[np.str_], among: Mask) -> Iterable[Mask]:
    for key in sorted(set(keys[among])):
        yield keys == key


def _domain_by_domain(table: Table) -> Floats:
    """P(good answer) of the small model from exam heads that have not seen the domain, for ranking within it."""
    shares = np.full(len(table.rows), np.nan)
    known = ~table.chat & ~np.isnan(table.small)
    domains = np.array(table.domains)
    for here in _each(domains, known):
        seen = known & ~here
        if seen.any():
            shares[here] = logits(heads.exam_head(table.part(seen), table.small[seen]), table.features[here])
    return shares


def _chat(table: Table, judged: Judged, seed: int) -> Measured:
    part, complexity = table.part(table.chat), 1.0 - judged.small[table.chat]
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
    right_task = judged.tasks[table.chat] == np.array([row.task for row in part.rows])
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
        "task_accuracy": _share(right_task, seed),
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


def _small_head(table: Table, inside: Judged, outside: Judged, seed: int) -> list[Measured]:
    sources = np.array([row.source for row in table.rows])
    known = ~np.isnan(table.small)
    rows = [_calibration_of_all(table, inside, known, seed)]
    for source in sorted(set(sources)):
        of_source = (sources == source) & known
        part, labels = table.part(of_source), table.small[of_source]
        candidates: list[tuple[str, str, Floats]] = [
            ("learned", "in domain, grouped folds", inside.small[of_source]),
            ("task", "in domain, grouped folds", _mean_of_others(part, part.domains, labels, seed)),
        ]
        if source != "chat":
            candidates.append(("learned", "source left out", outside.small[of_source]))
        candidates += [
            ("length", "no training", _as_shares(-part.features[:, _LENGTH])),
            ("random", "no training", np.random.default_rng(seed).random(len(labels))),
        ]
        good = labels > 0.5
        for name, how, guess in candidates:
            calibrated = name in ("learned", "task")
            rows.append(
                {
                    "source": source,
                    "router": name,
                    "how": how,
                    "n": len(good),
                    "auc": _of_two(measures.auc, guess, good, seed),
                    "auc_within_domain": _within(guess, good, part.domains),
                    "brier": _of_two(measures.brier, guess, labels, seed) if calibrated else None,
                    "ece": measures.ece(guess, labels) if calibrated else None,
                }
            )
    return rows


def _calibration_of_all(table: Table, inside: Judged, known: Mask, seed: int) -> Measured:
    guess, labels = inside.small[known], table.small[known]
    good = labels > 0.5
    return {
        "source": "all of them",
        "router": "learned",
        "how": "in domain, grouped folds",
        "n": len(good),
        "auc": _of_two(measures.auc, guess, good, seed),
        "auc_within_domain": _within(guess, good, table.part(known).domains),
        "brier": _of_two(measures.brier, guess, labels, seed),
        "ece": measures.ece(guess, labels),
    }


def _routing(table: Table, inside: Judged, left_out: Floats, seed: int) -> list[Measured]:
    """Mean small model against mean large model of a source, ranked by P(the small one fails)."""
    sources = np.array([row.source for row in table.rows])
    paired = ~np.isnan(table.large) & ~np.isnan(table.small)
    rows = []
    for source in [*sorted(set(sources) - {"chat"}), "chat"]:
        of_source = (sources == source) & paired
        part = table.part(of_source)
        if len(part.rows) < 50:
            continue
        candidates: list[tuple[str, str, Floats]] = [
            ("learned", "in domain, grouped folds", 1.0 - inside.small[of_source])
        ]
        if source != "chat":
            candidates.append(("learned", "each domain left out", -left_out[of_source]))
        candidates += [
            ("task", "in domain, grouped folds", _mean_of_others(part, part.domains, part.large - part.small, seed)),
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


def _support(table: Table, inside: Judged, outside: Judged, by_author: Judged) -> list[Measured]:
    """Mean support of each source's rows, held out alone and with their whole source (for chat: author) left out."""
    sources = np.array([row.source for row in table.rows])
    return [
        {
            "source": source,
            "in_domain": float(inside.support[sources == source].mean()),
            "left_out": float((by_author if source == "chat" else outside).support[sources == source].mean()),
        }
        for source in sorted(set(sources))
    ]


def _mean_of_others(part: Table, keys: Sequence[str], values: Floats, seed: int) -> Floats:
    """For each row the mean of `values` over rows of the same key in the other folds."""
    result = np.zeros(len(values))
    key = np.array(keys)
    for seen, unseen in folds(part.groups, heads.FOLDS, seed):
        overall = float(values[seen].mean())
        means = {name: float(values[seen][key[seen] == name].mean()) for name in set(key[seen])}
        result[unseen] = [means.get(name, overall) for name in key[unseen]]
    return result


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
    figures = {}
    for how, chat in measured["chat"].items():
        learned = chat["routers"][0]
        figures[how] = {
            "level_spearman": asdict(learned["level_spearman"]),
            "right_side": asdict(chat["right_side"]),
            "to_large": learned["to_large"],
            "task_accuracy": asdict(chat["task_accuracy"]),
        }
    return {
        "chat": figures,
        "ece": measured["small_head"][0]["ece"],
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
    lines = [
        "# What this artefact was measured to be worth",
        "",
        "Every figure is on rows that the artefact in question was not fitted on; brackets hold 95 per cent bootstrap",
        "intervals. Trained on " + ", ".join(f"{count} rows of {name}" for name, count in about["rows"].items()) + ".",
        "The levels of the chat prompts, and the shares of good answers they stand for, were set by us and not",
        "measured on models. Figures in domain say little about other traffic: read the rows with an author, a source",
        "or a domain left out for that.",
        "",
    ]
    for how, chat in measured["chat"].items():
        lines += _chat_page(how, chat)
    lines += [
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
    lines += [
        "",
        "## Support",
        "",
        "Mean support of rows held out alone, and of the same ones when their whole source (of chat: author) was.",
        "",
        "| on | in domain | left out |",
        "|---|---|---|",
        *(f"| {row['source']} | {row['in_domain']:.2f} | {row['left_out']:.2f} |" for row in measured["support"]),
    ]
    return "\n".join(lines) + "\n"


def _chat_page(how: str, chat: Measured) -> list[str]:
    lines = [
        f"## Chat prompts, {how}: are easy ones below 0.35 and hard ones above?",
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
        "By language (n, share on the right side): "
        + ", ".join(f"{row['language']} ({row['n']}) {row['right_side']:.2f}" for row in chat["by_language"])
        + ".",
        "",
    ]
    return lines


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
