"""What the judge made of fixed asks, kept so that a faster feature function is seen to be the same one.

    python -m tests.judge.golden

writes golden.json anew from the code as it stands. That is right after a new artefact or a raised features.SCHEMA, and
never to make a test pass: a value that moved under the same features digest is a defect.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from classifiers.contract import AskText, Assessment
from classifiers.features import HAND, Vector, names
from classifiers.heuristic import HeuristicClassifier
from classifiers.learned import LearnedClassifier
from classifiers.vectors import WordVectors
from tests.judge.asks import CARDS

GOLDEN = Path(__file__).with_name("golden.json")
DATA = Path(__file__).parent.parent / "data"
LEARNED = 128 + 15
"""Columns after the hand-made ones: word vectors, opinions of words."""
SETS = ("chat_even_lengths", "chat_natural_lengths", "chat_never_large")

_CODE = """Why does this fail?

```python
import os
from math import *

def mean(xs):
    return sum(xs) / len(xs) if xs != [] else 0.0
const = {
  "path": os.environ["HOME"],
}
>>> mean(None)
Traceback (most recent call last):
  File "a.py", line 9, in <module>
TypeError: 'NoneType' object is not iterable
```
"""
_CHOICES = "Which gas is heaviest?\n(A) neon\n(B) argon\nC. xenon\nd: radon\n\nGive the final answer in \\boxed{}."
_LETTER = (
    "Dear all,\n\nthe delivery of 1,250.75 kg (3.500 units, 12,5 % more than in v1.2.3) is late; see"
    ' https://example.com/a?b=1&c=2 or "the notice".\n- Tuesday: nothing\n* Thursday: half of it\n• Friday: the rest\n'
    " 1. call them\n 2) write to them\n\nKind regards"
)
_TABLE = '| name | price |\n|---|---|\n| tea | 3 |\n<b>bold</b><br/> {"a": 1, "b": [2, 3.5]} _____ [MASK] $x$ $$y$$'
_RUSSIAN = "Докажи, что множество вещественных чисел несчётно, и поясни каждый шаг. Сколько это — 3,5 или 4?"
_CHINESE = "请设计一个分布式缓存，证明它的一致性。今天天气怎么样？给出３个步骤（详细）：「第一」、『第二』。"
_HARD = "Design a replicated log with linearizable reads and prove its safety."

ASKS: tuple[AskText, ...] = (
    *(
        AskText(text)
        for text in (
            "",
            " ",
            "\n\n\n",
            "?",
            "hi",
            "Hello!!",
            "thanks, bye :)",
            "YES",
            "7 * 8 = ?",
            "1.5 2,5 3..4 a5b .6 7. 8,,9 1.2.3.4",
            "What is the capital of Chile?",
            "Translate 'good evening' into Spanish, please.",
            "Rewrite this politely: give me the report now!",
            "Prove that every bounded monotone sequence of reals converges, using only the least-upper-bound axiom.",
            "∀ε>0 ∃δ>0: |x−π| ≤ δ ⇒ f(x)² ≥ √2, with x∈ℝ, n∈ℕ and m³ ◇ □",
            _CODE,
            _CHOICES,
            _LETTER,
            _TABLE,
            "SELECT name FROM users WHERE id == 3; return x => y != z); #include <stdio.h>",
            "I’m “sure” it’s fine… isn’t it? «Oui» — naïve café, straße, İSTANBUL ΟΔΟΣ Σ'",
            "¿Qué diferencia hay entre «ser» y «estar»? ¡Gracias! El niño comió piñas.",
            "Démontre le théorème de Rolle, puis donne un contre-exemple où la dérivée n'existe pas.",
            "Übersetze bitte ins Englische: Der Zug fährt um 12:30 Uhr in Köln ab.",
            "Scrivi una poesia breve su Roma; perché è così bella?",
            "Você pode resumir este texto? Não é muito longo, são só três parágrafos.",
            "Wat is het verschil tussen een lening en een hypotheek?",
            "Dlaczego niebo jest niebieskie? Wyjaśnij krótko, proszę.",
            "Bir şiir yaz, kısa ve basit olsun. İyi günler!",
            "Förklara hur en värmepump fungerar på ett enkelt sätt.",
            "Tolong buat ringkasan dari artikel ini dalam dua kalimat.",
            "Hãy giải thích sự khác nhau giữa đạo hàm và tích phân cho bạn của tôi.",
            "Care este cea mai bună rețetă pentru sarmale și cât timp durează?",
            "Vysvětli prosím, jak funguje řazení slučováním.",
            _RUSSIAN,
            "Напиши короткий вірш про осінь і поясни, що таке ямб. Ґанок, їжак, є.",
            _CHINESE,
            "翻译：I love tea，谢谢！",
            "你好，今天吃什么好呢？最好简单一点，十分钟以内能做完的。" * 12,
            "分散システムの一貫性について、ＣＡＰ定理を用いて詳しく説明してください。例は３つ。",
            "こんにちは。猫の俳句を作って、短く。",
            "分布式系统에서 합의 알고리즘을 설계하고 안전성을 증명하라.",
            "안녕하세요! 이메일을 더 짧게 고쳐 주세요.",
            "اشرح لماذا السماء زرقاء، ثم اكتب قصيدة قصيرة؟ العدد ١٢٣٫٥ أو 12.5؛ شكرا",
            "क्वांटम यांत्रिकी समझाइए। १२३ और 45 में क्या अंतर है?",
            "אנא תרגם את המשפט הזה לאנגלית: מה שלומך היום?",
            "Εξήγησε γιατί ο ουρανός είναι γαλανός. Τι ώρα είναι;",
            "ช่วยอธิบายทฤษฎีบทพีทาโกรัสแบบง่าย ๆ พร้อมตัวอย่าง ๓ ข้อ",
            "გამარჯობა, როგორ ხარ? ამიხსენი 2+2.",
            "👍🏽🎉 lol ok",
            "𝟙𝟚𝟛 𝒳 ﷺ\u200b\u00a0\u2028x\u3000y\x1cz\x85w",
            "\ud800 lone 1 surrogate \udfff",
            "\x00\x01\x02 control 3",
            "ß" * 30,
            "word " * 400,
            "a" * 7000,
            f"{_LETTER}\n" * 30,
            f"Summarise:\n{_RUSSIAN * 90}\nkeep it short",
            _CHINESE * 150,
            "supercalifragilisticexpialidocious pneumonoultramicroscopicsilicovolcanoconiosis wordlessness qwrtp",
        )
    ),
    AskText("yes, do it", (_HARD,)),
    AskText("make it shorter", ("Write a letter to my landlord about the 3.5% rise.", "yes")),
    AskText("继续", (_CHINESE,)),
    AskText("はい、お願いします", ("分散システムを設計してください。",)),
    AskText("thanks!", (_HARD,)),
    AskText("それ", (_LETTER * 20, "ok")),
    AskText(_CODE, ("hello", _RUSSIAN), tools=12, json_schema=True, images=3),
    AskText("now the same in C", (_CODE,), tools=10**6, images=10**6),
    AskText("a" * 20, ("b " * 9000, "c")),
)


@cache
def vectors_that_ship() -> WordVectors:
    vectors = LearnedClassifier.load().artefact.featurise.vectors
    assert vectors is not None
    return vectors


def rows_of(name: str) -> list[AskText]:
    """The asks of one set of tests/data, in the order of the file."""
    lines = (DATA / f"{name}.jsonl").read_text("utf-8").splitlines()
    return [AskText(row["prompt"], tuple(row.get("earlier", ()))) for row in map(json.loads, lines)]


def judged(asks: Iterable[AskText]) -> list[list[float | str]]:
    """For each ask what the learned judge says, then what the rules say."""
    learned, rules = LearnedClassifier.load(), HeuristicClassifier()
    return [[*_facts(learned.assess(ask, CARDS)), *_facts(rules.assess(ask, CARDS))] for ask in asks]


def _facts(said: Assessment) -> list[float | str]:
    numbers = (said.complexity, said.gain, said.support, *said.quality.values())
    return [*(round(number, 8) for number in numbers), said.task, said.language]


def packed(vector: Vector) -> dict[str, Any]:
    """A vector for JSON: its hand-made columns by name where they are not zero, the learned ones as base64 float32."""
    hand = {name: round(value, 8) for name, value in zip(names(), vector[:HAND].tolist(), strict=True) if value}
    words = vector[HAND:].astype("<f4")
    return {"hand": hand, "words": base64.b64encode(words.tobytes()).decode() if words.any() else ""}


def unpacked(kept: dict[str, Any]) -> Vector:
    hand = np.array([kept["hand"].get(name, 0.0) for name in names()], np.float32)
    words = np.frombuffer(base64.b64decode(kept["words"]), "<f4") if kept["words"] else np.zeros(LEARNED, np.float32)
    return np.concatenate([hand, words])


def main() -> None:
    learned = LearnedClassifier.load()
    vectors = [json.dumps(packed(learned.artefact.featurise(ask)), ensure_ascii=False) for ask in ASKS]
    sets = {name: [json.dumps(row, ensure_ascii=False) for row in judged(rows_of(name))] for name in SETS}
    lines = [
        "{",
        f'"artefact": "{learned.artefact.digest}", "features_digest": "{learned.features_digest}",',
        '"vectors": [\n' + ",\n".join(vectors) + "\n],",
        '"assessments": {\n' + ",\n".join(f'"{name}": [\n' + ",\n".join(sets[name]) + "\n]" for name in SETS) + "\n}",
        "}",
    ]
    GOLDEN.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
