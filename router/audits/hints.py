"""What callers do that tells of an answer, without their saying so on purpose: implicit labels.

- the next turn of a conversation begins by saying that the answer was wrong: 0 for the answer before it
- the next turn asks just the same again: `AGAIN` for the answer before it
- a stream was abandoned after it had begun: `ABANDONED`
- an answer was cut off though no budget was asked for: `TRUNCATED`
- a plain answer refused: `REFUSED`

All are weak evidence, and count little (`classifiers.training.labels`). Of a conversation a hash of its last ask is
kept, in memory only; of a private ask nothing. Labels are written in the background; what overflows is counted.
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from hashlib import blake2b
from itertools import islice
from typing import Any, Final

from msgspec import Struct

from router.audits.auditor import Labels
from router.conversations.conversations import FINGERPRINT
from router.domain import Ask, Outcome
from router.ledger.contract import NewLabel
from router.plans.heard import said
from router.plans.refusals import refuses

WRONG, AGAIN, ABANDONED, TRUNCATED, REFUSED = 0.0, 0.3, 0.3, 0.3, 0.1
KEY: Final = "implicit"
MOST_CONVERSATIONS: Final = 20_000
MOST_WAITING: Final = 1_000
WRITTEN_AT_ONCE: Final = 200
"""In one transaction; one for each label costs more than the chat that it is about."""
REMEMBERED_SECONDS: Final = 1_800.0
_LONGEST_COMPLAINT: Final = 300
_BEGINNING: Final = 80

_COMPLAINTS: Final = re.compile(
    r"\W*(?:(?:no|nope|hm+|sorry|wait|but|nein|non|nee|nie|нет|não|いや)\b[\s,.!:-]*)?(?:"
    r"(?:that|this|it|your answer)(?:['’]?s| is| was)? (?:just |simply |plain |still |completely |totally )?"
    r"(?:wrong|incorrect|false|not (?:right|correct|true|what i (?:asked|meant|wanted)))"
    r"|that isn['’]?t (?:right|correct|true|what i (?:asked|meant|wanted))"
    r"|(?:you(?:['’]re| are| were)) (?:wrong|mistaken|incorrect)|you made a mistake|wrong(?:[.!]|\s*$)|incorrect\b"
    r"|(?:das|es) (?:ist|war) (?:leider |immer noch )?(?:falsch|nicht (?:richtig|korrekt))"
    r"|(?:das )?stimmt (?:so )?nicht"
    r"|c['’]est (?:faux|incorrect|pas (?:ça|juste|correct))|ce n['’]est pas (?:ça|juste|correct)"
    r"|(?:eso |esto )?(?:está|es) (?:mal\b|incorrect[oa]|falso)|incorrecto|te equivocas"
    r"|(?:questo |è |non è )(?:sbagliato|corretto|giusto)|hai sbagliato"
    r"|(?:isso |está |não está )(?:está )?(?:errado|certo|correto)|está errado"
    r"|dat (?:is|klopt) (?:fout|niet)|to (?:jest )?(?:źle|błąd|nieprawda)|det (?:är|er) (?:fel|feil|forkert)"
    r"|это (?:неправильно|неверно|не так|ошибка)|неправильно|неверно|це (?:неправильно|невірно)"
    r"|yanlış|bu doğru değil|这(?:是)?(?:不对|错)|不对|错了|不對|錯了|違います|違う|間違(?:って|い)|それは違|틀렸|틀린"
    r"|هذا (?:خطأ|غير صحيح)|خطأ|यह गलत|गलत है|sai rồi"
    r")",
    re.IGNORECASE,
)


class Hint(Struct, frozen=True):
    """One label to be written. kind: which of the signs it was."""

    request_id: str
    tenant: str
    score: float
    kind: str


class _Last(Struct, frozen=True):
    request_id: str
    asked: bytes
    at: float


class Hints:
    """The implicit labels of one process. clock: seconds that never go back."""

    def __init__(self, labels: Labels, clock: Callable[[], float] = time.monotonic):
        self._labels, self._clock = labels, clock
        self._last: OrderedDict[tuple[str, str], _Last] = OrderedDict()
        self._waiting: deque[Hint] = deque()
        self.overflowed = 0

    @property
    def waiting(self) -> int:
        """Labels not yet written."""
        return len(self._waiting)

    def notice(self, row: Outcome, ask: Ask, completion: dict[str, Any] | None = None) -> None:
        """Takes a finished request. completion: of a plain answer, where it is at hand. Never waits, never raises."""
        if row.route is None or row.rule == "pinned" or ask.housekeeping or ask.private:
            return
        self._of_conversation(row, ask)
        if row.cache == "hit" or row.model is None:
            return
        if row.outcome == "client_closed" and row.stream and row.ttft_ms is not None:
            self._give(row.request_id, row.tenant, ABANDONED, "abandoned")
        elif row.outcome == "ok" and row.finish_reason == "length" and ask.output_assumed:
            self._give(row.request_id, row.tenant, TRUNCATED, "truncated")
        elif row.outcome == "ok" and completion is not None and refuses(said(completion)[0], ask.text.text):
            self._give(row.request_id, row.tenant, REFUSED, "refused")

    async def poll(self) -> None:
        """Writes what waits. Raises what the store raises; what was not written waits on."""
        while self._waiting:
            batch = list(islice(self._waiting, WRITTEN_AT_ONCE))
            by_tenant: dict[str, list[NewLabel]] = {}
            for hint in batch:
                label = NewLabel(hint.request_id, KEY, "implicit", hint.score, comment=hint.kind)
                by_tenant.setdefault(hint.tenant, []).append(label)
            for tenant, labels in by_tenant.items():
                await self._labels.add_labels(tenant, labels)
            for _ in batch:
                self._waiting.popleft()

    def _of_conversation(self, row: Outcome, ask: Ask) -> None:
        """What this turn says of the answer before it, and what the next one will be compared with."""
        conversation = row.conversation or ""
        begins = ask.turns <= 1 and conversation.startswith(FINGERPRINT)  # many begin alike
        place = (row.tenant, conversation)
        text = ask.text.text
        asked = blake2b(text.encode("utf-8", "replace"), digest_size=8).digest()
        now = self._clock()
        before = None if begins else self._last.get(place)
        if before is not None and now - before.at < REMEMBERED_SECONDS:
            if complains(text):
                self._give(before.request_id, row.tenant, WRONG, "told that it was wrong")
            elif before.asked == asked and row.cache != "hit":
                self._give(before.request_id, row.tenant, AGAIN, "asked again")
        if row.outcome == "ok" and row.cache != "hit":
            self._last[place] = _Last(row.request_id, asked, now)
            self._last.move_to_end(place)
            if len(self._last) > MOST_CONVERSATIONS:
                self._last.popitem(last=False)

    def _give(self, request_id: str, tenant: str, score: float, kind: str) -> None:
        if len(self._waiting) >= MOST_WAITING:
            self.overflowed += 1
            return
        self._waiting.append(Hint(request_id, tenant, score, kind))


def complains(text: str) -> bool:
    """Whether a turn begins by saying that the answer before it was wrong. Short turns only: a long one that quotes a
    claim and calls it wrong speaks of something else."""
    return len(text) <= _LONGEST_COMPLAINT and _COMPLAINTS.match(text[:_BEGINNING]) is not None
