"""How a rule is written: one condition, one verb, and what each verb takes. The rest of the file is `schema`'s."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, Field

from router.policy.fields import Count, Entry, Share, Text, no_bool


class SelectEntry(Entry):
    """A selector picks among described options, or none; then the next rule is asked."""

    by: Literal["embedding", "model"] = Field(
        description="`embedding`: likeness to descriptions and examples. `model`: a model reads the options."
    )
    model: str | None = Field(None, description="Who reads the options, for `by: model`.")
    among: list[str] | None = Field(None, min_length=1, description="Options to pick from; else all.")
    top: Count = Field(1, ge=1, le=5, description="How many at most.")
    threshold: Share | None = Field(
        None, description="Least score; else one that is worked out from the options' own examples."
    )
    combine: Literal["vote", "best_of", "fuse"] | None = Field(None, description="As in `fan_out`, for `top` above 1.")
    judge: str | None = Field(None, description="As in `fan_out`.")


Check = Literal["empty", "refusal", "truncated", "schema", "code", "units"]
CHECKS: tuple[Check, ...] = get_args(Check)


class CascadeEntry(Entry):
    """A small model first; its answer goes out where the checks hold, else the next model answers."""

    first: str = Field(description="The model, or option, that is asked first.")
    then: str = Field(description="The model that answers where the first is not to be trusted.")
    checks: list[Check] = Field(
        default_factory=lambda: list(CHECKS), description="What the first answer must pass; all by default."
    )
    trust: Share | None = Field(
        None, description="Least score: predicted quality, and the sureness of tokens where it is known."
    )


class AgreeEntry(Entry):
    """Two or three small models at once, for short answers that can be compared."""

    ask: list[str] = Field(min_length=2, max_length=5, description="The models, or options, that are asked.")
    then: str = Field(description="The model that answers where they do not agree.")
    trust: Share = Field(0.5, description="Least score: the share that agree, ties broken by predicted quality.")


class FanOutEntry(Entry):
    """Several at once, and one answer made of theirs."""

    ask: list[str] = Field(min_length=2, max_length=8, description="The models, or options, that are asked.")
    combine: Literal["vote", "best_of", "fuse"] = Field(
        description="`vote`: the answer most agree on. `best_of`: the one the judge picks. `fuse`: the judge writes."
    )
    judge: str | None = Field(None, description="The model that picks or writes; needed but for `vote`.")


class RuleEntry(Entry):
    """Who serves when the condition holds. Give one of `use`, `choose`, `select`, `cascade`, `agree`, `fan_out`."""

    name: Text = Field(description="Shown in headers, logs and reports.")
    when: str | None = Field(
        None,
        min_length=1,
        max_length=4000,
        description="A CEL condition; without one the rule always matches.",
        examples=["complexity < 0.35"],
    )
    use: str | None = Field(None, description="The model that serves.")
    choose: Literal["cheapest", "best"] | None = Field(
        None,
        description="`cheapest`: the cheapest of `among` that keeps `keep_quality`. "
        "`best`: the best of `among` within `max_cost`.",
    )
    among: list[str] | None = Field(None, min_length=1, description="Models to choose from; else all of the policy.")
    keep_quality: Share | None = Field(None, description="Share of the baseline's predicted quality that must be kept.")
    max_cost: Share | None = Field(None, description="Share of the baseline's cost that may be spent.")
    threshold: Annotated[float, BeforeValidator(no_bool)] | None = Field(
        None,
        ge=-1,
        le=1,
        description="Predicted loss of quality against the baseline that is allowed; `signalbox policy tune` finds it.",
    )
    max_risk: Annotated[float, BeforeValidator(no_bool)] | None = Field(
        None,
        gt=0,
        lt=1,
        description="Quality against the baseline that may be lost on average; until audits prove it, the baseline "
        "serves.",
        examples=[0.02],
    )
    select: SelectEntry | None = Field(None, description="A selector picks among the described options.")
    cascade: CascadeEntry | None = Field(None, description="A small model first, a large one where it must be.")
    agree: AgreeEntry | None = Field(None, description="Small models that must agree, else a large one.")
    fan_out: FanOutEntry | None = Field(None, description="Several at once, and one answer made of theirs.")
    fallback: list[str] | None = Field(None, description="Models to try, in order, when the first one fails.")
