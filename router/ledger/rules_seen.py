"""When a rule was first seen with a judge: what audits show before that moment may have been what either was made by.

Written down by whichever gateway is the first, so that all of them, and those that start later, count from one moment.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import sqlalchemy as sa

from router.ledger.contract import Store
from router.ledger.tables import rules_seen


async def first_seen(store: Store, known_by: Collection[str]) -> dict[str, float]:
    """Unix seconds of those that were ever seen. known_by: see `router.policy.proofs`."""
    query = sa.select(rules_seen).where(rules_seen.c.known_by.in_(known_by))
    return {row["known_by"]: float(row["since_unix"]) for row in await store.rows(query)}


async def note_seen(store: Store, rules: Mapping[str, Mapping[str, str]], now_unix: float) -> dict[str, float]:
    """Notes those that were not seen yet, and says of all from when on. rules: their route, rule and classifier."""
    found = await first_seen(store, rules)
    if found.keys() >= rules.keys():
        return found
    async with store.transaction() as connection:
        await store.take_turn(connection)
        there = sa.select(rules_seen.c.known_by).where(rules_seen.c.known_by.in_(list(rules)))
        known = set((await connection.execute(there)).scalars())
        new = [{"known_by": key, **of, "since_unix": now_unix} for key, of in rules.items() if key not in known]
        if new:
            await connection.execute(sa.insert(rules_seen), new)
    return await first_seen(store, rules)
