"""Reads the JSON that models' servers really write: what `json.loads` and JavaScript take, strict parsers do not.

NaN and infinite log probabilities, half of an emoji where a text was cut, numbers too large, a byte order mark.
Clients read such answers, and they are paid for; so they are relayed and counted, but never encoded anew.
"""

from __future__ import annotations

import json
from typing import Any

import orjson


def read_json(text: bytes) -> Any:
    """What this JSON says, strictly where that is possible. Raises ValueError where no client would read it.

    Strings of what is not strict may hold lone surrogates, which cannot be encoded as UTF-8.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            return json.loads(text)
        except RecursionError:
            raise ValueError("nested too deeply") from None
