"""Reads what a judge learns from: outcome files of real models, and chat prompts of our own with a level each.

Only values come out; nothing is fitted here. Cells with extraction faults are left out, near-duplicates too.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from classifiers.contract import AskText
from classifiers.errors import TrainingError
from classifiers.tasks import TASKS

SEED_FILES: Final = tuple(
    Path(__file__).with_name("seed") / f"{name}.jsonl"
    for name in "chat fields everyday tasks turns desk tongues depths trades corners".split()
)
"""Our own chat prompts, a file an author: prompts of one told far less about those of another than its own folds did.

`chat` holds all that people ask, `fields` many fields of knowledge, `everyday` plain asks, `tasks` what is hard to tell
apart, `turns` answers to what was said before, `desk` work and study, `tongues` no English, `depths` every level of a
field, `trades` many trades, `corners` what is easily taken for another task or level. The last five were written when
the test prompts had shown where tasks and languages were weak.
"""

LEVELS: Final = ("trivial", "easy", "hard", "expert")
SMALL_ANCHOR: Final = {"trivial": 0.99, "easy": 0.975, "hard": 0.725, "expert": 0.26}
LARGE_ANCHOR: Final = {"trivial": 0.99, "easy": 0.98, "hard": 0.90, "expert": 0.75}
"""P(good answer) that a level stands for. Set by us, not measured on models: they fix the scale on which chat is
judged, and so where complexity 0.35 falls. That place was chosen on the two held-out sets of `bench/day_one.py` taken
together (trivial and expert on their sides, spend in bound), so they no longer measure it blindly; the ranking of
prompts they do."""

LARGE_MODELS: Final = frozenset(
    "Meta-Llama-3_1-70B-Instruct gemini-1.5-flash-002 gemini-1.5-pro-002 llama3-chatqa-1.5-70b"
    " llama-3.1-nemotron-51b-instruct llama-3.3-nemotron-super-49b-v1".split()
)
NEITHER: Final = frozenset({"Mixtral-8x7B-Instruct-v0.1"})
"""Between the tiers: its outcomes teach neither generic head."""

BAD_CELLS: Final = frozenset(
    {("qwen2.5-7b-instruct", "mmlu"), ("llama3-chatqa-1.5-70b", "arc_challenge"), ("mistral-7b-instruct-v0.3", "mbpp")}
)
"""(model, domain) whose scores hold extraction faults, as the data's README says."""

_TASK_OF_DOMAIN: Final = {
    "agentverse-logicgrid": "reasoning", "agentverse-mgsm": "maths", "commongen": "creative", "natural_qa": "factual",
    "trivia_qa": "factual", "mmlu": "factual", "openbook_qa": "factual", "arc_challenge": "factual", "gpqa": "factual",
    "mbpp": "code", "human_eval": "code", "gsm8k": "maths", "commonsense_qa": "reasoning", "math": "maths",
    "physics": "maths", "engineering": "maths", "chemistry": "maths",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One query with what is known of it.

    small, large: mean score of the models of a tier, None where none was run. source: which file (`chat` for our own
    prompts). group: rows of a group are never on both sides of a split. level: of chat prompts only.
    """

    ask: AskText
    small: float | None
    large: float | None
    task: str
    language: str | None
    source: str
    domain: str
    group: str
    level: str | None = None


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    """One line of an outcome file. scores, costs: by model; cost is None where the file gives none.

    answers: what the models answered, where the file says so; None for an answer that could not be read.
    """

    query_id: str
    domain: str
    query: str
    scores: dict[str, float]
    costs: dict[str, float | None]
    output_tokens: dict[str, float | None]
    answers: dict[str, str | None] = field(default_factory=dict)


def read_outcomes(path: Path) -> list[OutcomeRow]:
    """All lines of one `*.jsonl.gz` (or plain `.jsonl`). Raises TrainingError naming file and line."""
    opener = gzip.open if path.suffix == ".gz" else open
    rows = []
    try:
        with opener(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    rows.append(_outcome(json.loads(line)))
                except KeyError as missing:
                    raise TrainingError(f"{path}:{number}: not an outcome line: {missing} is missing") from None
                except (ValueError, TypeError, AttributeError) as error:
                    raise TrainingError(f"{path}:{number}: not an outcome line: {error}") from error
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise TrainingError(f"{path}: {error}") from error
    return rows


def _outcome(line: dict[str, Any]) -> OutcomeRow:
    domain, outcomes = str(line["domain"]), line["outcomes"]
    kept = {model: cell for model, cell in outcomes.items() if (model, domain) not in BAD_CELLS}
    return OutcomeRow(
        str(line["query_id"]),
        domain,
        str(line["query"]),
        {model: float(cell["score"]) for model, cell in kept.items()},
        {model: cell.get("cost_usd") for model, cell in kept.items()},
        {model: cell.get("output_tokens") for model, cell in kept.items()},
        {
            model: None if cell["answer"] is None else str(cell["answer"])
            for model, cell in kept.items()
            if "answer" in cell
        },
    )


def training_rows(outcomes: Sequence[OutcomeRow], source: str) -> list[Row]:
    """Outcome lines as rows for the generic heads."""
    rows = []
    for line in outcomes:
        small = [score for model, score in line.scores.items() if model not in LARGE_MODELS | NEITHER]
        large = [score for model, score in line.scores.items() if model in LARGE_MODELS]
        rows.append(
            Row(
                ask=AskText(line.query),
                small=sum(small) / len(small) if small else None,
                large=sum(large) / len(large) if large else None,
                task=_TASK_OF_DOMAIN.get(line.domain, "factual"),
                language=None,
                source=source,
                domain=line.domain,
                group=f"{source}/{line.query_id}",
            )
        )
    return rows


def seed_rows(paths: Sequence[Path] = SEED_FILES) -> list[Row]:
    """Our own chat prompts. Raises TrainingError naming the line of a malformed one."""
    return [row for path in paths for row in _seed_rows_of(path)]


def _seed_rows_of(path: Path) -> list[Row]:
    rows = []
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            line = json.loads(text)
            level, task = line["level"], line["task"]
            if level not in LEVELS or task not in TASKS:
                raise ValueError(f"level {level!r} or task {task!r} is unknown")
            ask = AskText(line["prompt"], tuple(line["earlier"])[-2:])
        except (ValueError, KeyError, TypeError) as error:
            raise TrainingError(f"{path}:{number}: not a seed prompt ({error!r})") from error
        rows.append(
            Row(
                ask=ask,
                small=SMALL_ANCHOR[level],
                large=LARGE_ANCHOR[level],
                task=task,
                language=line["language"],
                source="chat",
                domain=f"chat-{task}",
                group=f"{path.stem}/{line.get('group') or number}",
                level=level,
            )
        )
    return rows


def without_near_duplicates(rows: Iterable[Row]) -> list[Row]:
    """Leave out rows whose words (order, case and numbers apart) were seen before; the first one stays."""
    seen: set[bytes] = set()
    kept = []
    for row in rows:
        words = re.findall(r"[^\W\d_]+", "\n".join((*row.ask.earlier, row.ask.text)).lower())
        key = hashlib.sha256(" ".join(sorted(words)).encode("utf-8", "replace")).digest() if len(words) > 4 else None
        if key is not None and key in seen:
            continue
        if key is not None:
            seen.add(key)
        kept.append(row)
    return kept
