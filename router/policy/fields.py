"""The kinds of values that stand in a policy file: durations, counts, dollars, names. Knows no key of it."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema

DURATION = r"^(\d+(\.\d+)?(ms|s|m|h|d))+$"
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]*$"


def seconds_of(value: Any) -> float:
    """Seconds of `90`, `1.5`, `1h`, `1h30m` or `500ms`. Raises ValueError for anything else, and for zero."""
    if isinstance(value, str) and re.fullmatch(DURATION, value):
        value = sum(float(number) * _SECONDS[unit] for number, unit in re.findall(r"([\d.]+)(ms|s|m|h|d)", value))
    elif isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            value = None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
        raise ValueError("should be a duration like `30s`, `1h30m` or a number of seconds above 0")
    return float(value)


def no_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("should be a number")
    return value


def empty_is_none(value: Any) -> Any:
    return None if value == "" else value


Duration = Annotated[
    float,
    BeforeValidator(seconds_of),
    WithJsonSchema({"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string", "pattern": DURATION}]}),
]
Count = Annotated[int, BeforeValidator(no_bool)]
Dollars = Annotated[float, BeforeValidator(no_bool), Field(ge=0, le=1_000_000, allow_inf_nan=False)]
"""Per million tokens; a dollar a token is surely a slip, and far more would not fit the ledger's sums."""
Name = Annotated[str, StringConstraints(pattern=_NAME, max_length=100)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=300)]
Url = Annotated[Annotated[str, Field(pattern=r"^https?://[^\s@]+$")] | None, BeforeValidator(empty_is_none)]
Country = Annotated[str, StringConstraints(pattern="^[A-Za-z]{2}$", to_upper=True)]


class Entry(BaseModel):
    """Any part of the file: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


Share = Annotated[float, BeforeValidator(no_bool), Field(ge=0, le=1, allow_inf_nan=False)]
