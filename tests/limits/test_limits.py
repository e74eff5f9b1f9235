"""What the pipeline hears of limits: how full they are, whether there is room, and what a request took in the end."""

from __future__ import annotations

import pytest

from router.domain import Caller, Decision, Part, Terms
from router.errors import BudgetSpent, PolicyError, RateLimited
from router.limits.contract import Standing
from router.limits.estimate import estimate
from router.limits.limits import NO_LIMITS, Limits, ModelSpent, Reserved
from router.limits.memory import MemoryStore
from router.limits.telling import duration
from router.policy.compiled import Policy
from router.policy.review import review

from .policies import READING, ask_of, decision_of, policy_of, row_of
from .stores import DOLLAR, HandClock

ANNA, BERT, EVE = Caller("a", "anna"), Caller("a", "bert"), Caller("e", "anna")
ASK = ask_of()
"""At large: 1,000 tokens in for a cent, 1,000 out for two."""
LARGE_NANO = 30_000_000


class Desk:
    """Limits over a store of their own, and one policy."""

    def __init__(self, *limits: str) -> None:
        self.policy: Policy = policy_of(*limits)
        self.clock = HandClock()
        self.store = MemoryStore(self.clock)
        self.limits = Limits(self.store)

    async def reserve(self, caller: Caller = ANNA, route: str | None = "auto", *models: str) -> Reserved:
        return await self.limits.reserve(self.policy, caller, route, decision_of(*(models or ("large",))), ASK)

    def settle(self, reserved: Reserved, *rows: object, caller: Caller = ANNA) -> None:
        self.limits.settle(self.policy, caller, "auto", reserved, rows)  # type: ignore[arg-type]

    async def standing(self, caller: Caller = ANNA, route: str | None = "auto") -> Standing:
        """Of the first limit that counts this caller."""
        [first, *_] = self.limits.counters(self.policy, caller, route)
        return (await self.store.peek([first]))[0]


async def test_a_limit_per_key_counts_each_key_of_each_tenant_by_itself() -> None:
    desk = Desk("{name: pace, per: key, requests_per_minute: 1}")
    for caller in (ANNA, BERT, EVE):
        await desk.reserve(caller)
        with pytest.raises(RateLimited) as refusal:
            await desk.reserve(caller)
        assert "`pace` allows 1 requests a minute for this key" in refusal.value.message


async def test_a_limit_per_tenant_counts_its_keys_together() -> None:
    desk = Desk("{name: pace, per: tenant, requests_per_minute: 1}")
    await desk.reserve(ANNA)
    with pytest.raises(RateLimited, match="tenant `a`"):
        await desk.reserve(BERT)
    await desk.reserve(EVE)


async def test_a_limit_with_only_leaves_the_others_alone() -> None:
    desk = Desk("{name: pace, per: tenant, only: [e], requests_per_minute: 1}")
    for _ in range(3):
        await desk.reserve(ANNA)
    await desk.reserve(EVE)
    with pytest.raises(RateLimited):
        await desk.reserve(EVE)


async def test_a_limit_per_route_counts_no_model_named_outright_and_one_for_all_counts_that_too() -> None:
    desk = Desk("{name: way, per: route, requests_per_minute: 1}", "{name: all, per: all, requests_per_minute: 3}")
    await desk.reserve(ANNA, "auto")
    with pytest.raises(RateLimited, match="route `auto`"):
        await desk.reserve(BERT, "auto")
    await desk.reserve(ANNA, "plain")
    await desk.reserve(ANNA, None)
    with pytest.raises(RateLimited, match="everybody together"):
        await desk.reserve(EVE, None)


async def test_money_is_reserved_at_the_price_of_the_dearest_that_may_answer() -> None:
    desk = Desk("{name: money, per: key, dollars_per_day: 0.1}")
    await desk.reserve(ANNA, "auto", "small", "large", "medium")
    assert (await desk.standing()).day_held == LARGE_NANO


async def test_what_the_ledger_has_of_all_calls_takes_the_place_of_the_reservation() -> None:
    desk = Desk("{name: money, per: key, dollars_per_day: 0.1, tokens_per_minute: 100000}")
    reserved = await desk.reserve()
    desk.settle(
        reserved, row_of("large", 300, 4_000_000), row_of("small", 50, 0, "draft"), row_of("medium", 20, 7, "select")
    )
    standing = await desk.standing()
    assert (standing.tokens, standing.day_spent, standing.day_held) == (370, 4_000_007, 0)


async def test_a_request_that_failed_gives_all_its_money_and_tokens_back_but_counts() -> None:
    desk = Desk("{name: all, per: key, requests_per_minute: 9, tokens_per_minute: 9000, dollars_per_day: 1}")
    reserved = await desk.reserve()
    desk.settle(reserved, row_of("large", 0, 0), row_of("large", 0, 0, "attempt"))
    assert await desk.standing() == Standing(requests=1, reset_ms=65_000)


async def test_an_answer_out_of_the_cache_is_a_request_without_tokens_or_money() -> None:
    desk = Desk("{name: all, per: key, requests_per_minute: 2, tokens_per_minute: 100, dollars_per_day: 0.00001}")
    reserved = await desk.limits.reserve_stored(desk.policy, ANNA, "auto")
    desk.settle(reserved, row_of("large", 500, 0, cache="hit"))
    standing = await desk.standing()
    assert (standing.requests, standing.tokens, standing.day_spent) == (1, 0, 0)
    await desk.limits.reserve_stored(desk.policy, ANNA, "auto")
    with pytest.raises(RateLimited):
        await desk.limits.reserve_stored(desk.policy, ANNA, "auto")


async def test_money_spent_before_anything_was_reserved_counts() -> None:
    desk = Desk("{name: money, per: key, dollars_per_day: 1}", "{name: dear, per: model, dollars_per_day: 1}")
    desk.limits.settle(desk.policy, ANNA, "auto", None, [row_of("none", 0, 0), row_of("large", 9, 5, "select")])
    assert (await desk.standing()).day_spent == 5
    assert (await desk.store.peek(desk.limits.model_counters(desk.policy, "large")))[0].day_spent == 5


async def test_a_spent_budget_is_a_429_until_midnight_that_clients_do_not_retry() -> None:
    desk = Desk("{name: money, per: tenant, dollars_per_day: 0.04}")
    desk.settle(await desk.reserve(), row_of("large", 9, LARGE_NANO))
    with pytest.raises(BudgetSpent) as refusal:
        await desk.reserve(BERT)
    error = refusal.value
    assert (error.status, error.code, error.type) == (429, "insufficient_quota", "insufficient_quota")
    assert error.retry_after == 12 * 3600
    assert error.message == (
        "Limit `money` allows 0.04 dollars a day for tenant `a`; too little is left until 00:00 UTC."
    )
    await desk.reserve(BERT, "auto", "small")


async def test_a_budget_that_is_only_reserved_says_to_come_back_at_once() -> None:
    desk = Desk("{name: money, per: tenant, dollars_per_month: 0.04}")
    await desk.reserve()
    with pytest.raises(BudgetSpent, match="what is left may go to requests under way") as refusal:
        await desk.reserve(BERT)
    assert refusal.value.retry_after == 1


async def test_a_request_that_could_never_fit_says_so_and_is_not_worth_a_retry() -> None:
    desk = Desk("{name: pace, per: key, tokens_per_minute: 1999}")
    with pytest.raises(RateLimited, match="this request alone may take more") as refusal:
        await desk.reserve()
    assert refusal.value.retry_after is None
    assert (b"x-should-retry", b"false") in refusal.value.headers


async def test_callers_see_the_tightest_of_their_limits_whether_there_was_room_or_not() -> None:
    desk = Desk(
        "{name: wide, per: all, requests_per_minute: 100, tokens_per_minute: 8500}",
        "{name: tight, per: key, requests_per_minute: 2}",
        "{name: dear, per: model, requests_per_minute: 1000}",
    )
    seen = {name.decode(): value.decode() for name, value in (await desk.reserve()).headers}
    assert seen == {
        "x-ratelimit-limit-requests": "2",
        "x-ratelimit-remaining-requests": "1",
        "x-ratelimit-reset-requests": "1m5s",
        "x-ratelimit-limit-tokens": "8500",
        "x-ratelimit-remaining-tokens": "6500",
        "x-ratelimit-reset-tokens": "1m5s",
    }
    await desk.reserve()
    with pytest.raises(RateLimited) as refusal:
        await desk.reserve()
    refused = {name.decode(): value.decode() for name, value in refusal.value.headers}
    assert refused["x-ratelimit-remaining-requests"] == "0"
    assert refused["x-ratelimit-remaining-tokens"] == "4500"
    assert desk.limits.refused == {("tight", "requests"): 1}


async def test_money_alone_gives_no_headers() -> None:
    desk = Desk("{name: money, per: key, dollars_per_day: 1}")
    assert (await desk.reserve()).headers == ()


@pytest.mark.parametrize(
    ("ms", "written"), [(0, b"0ms"), (20, b"20ms"), (1_000, b"1s"), (59_001, b"1m0s"), (65_000, b"1m5s")]
)
def test_times_are_written_as_openai_writes_them(ms: int, written: bytes) -> None:
    assert duration(ms) == written


async def test_a_model_whose_budget_is_spent_is_named_before_the_decision() -> None:
    desk = Desk("{name: dear, per: model, only: [large], dollars_per_day: 0.05}")
    assert await desk.limits.before(desk.policy, ANNA, "auto", ASK) == NO_LIMITS
    desk.settle(await desk.reserve(), row_of("large", 9, LARGE_NANO))
    budgets = await desk.limits.before(desk.policy, ANNA, "auto", ASK)
    assert budgets.spent == {"large": "budget: `dear` allows 0.05 dollars a day; too little is left until 00:00 UTC"}
    assert budgets.retry_after is not None
    assert (await desk.limits.before(desk.policy, ANNA, "auto", ask_of(10, 10))).spent == {}, "a small ask still fits"


async def test_a_model_whose_room_went_in_between_is_told_from_a_caller_who_has_none() -> None:
    desk = Desk("{name: dear, per: model, dollars_per_day: 0.05}")
    await desk.reserve()
    with pytest.raises(ModelSpent) as spent:
        await desk.reserve(BERT, "auto", "small", "large")
    assert spent.value.model == "large"
    budgets = spent.value.among(NO_LIMITS)
    assert list(budgets.spent) == ["large"]
    assert budgets.retry_after == 1


async def test_a_models_pace_counts_its_calls() -> None:
    desk = Desk("{name: slow, per: model, only: [large], requests_per_minute: 2}")
    await desk.reserve()
    await desk.reserve()
    budgets = await desk.limits.before(desk.policy, ANNA, "auto", ASK)
    assert budgets.spent["large"].startswith("rate: `slow` allows 2 requests a minute")
    with pytest.raises(ModelSpent):
        await desk.reserve()


async def test_conditions_see_the_fullest_budget_that_pays_for_the_request() -> None:
    desk = Desk(
        "{name: mine, per: key, dollars_per_day: 0.3}",
        "{name: way, per: route, only: [plain], dollars_per_month: 0.05}",
        "{name: dear, per: model, dollars_per_day: 0.04}",
    )
    assert (await desk.limits.before(desk.policy, ANNA, "auto", ASK)).used == 0.0
    await desk.reserve()
    assert (await desk.limits.before(desk.policy, ANNA, "auto", ASK)).used == pytest.approx(0.1)
    assert (await desk.limits.before(desk.policy, BERT, "auto", ASK)).used == 0.0
    await desk.reserve(BERT, "plain", "medium")
    assert (await desk.limits.before(desk.policy, ANNA, "plain", ASK)).used == pytest.approx(0.1)
    desk.settle(await desk.reserve(EVE, "plain", "medium"), row_of("medium", 1, DOLLAR), caller=EVE)
    assert (await desk.limits.before(desk.policy, ANNA, "plain", ASK)).used == 1.0


async def test_a_model_without_a_price_holds_up_no_budget() -> None:
    desk = Desk("{name: money, per: key, dollars_per_day: 0.000001}")
    desk.settle(await desk.reserve(ANNA, "auto", "odd"), row_of("odd", 5_000, None))
    assert (await desk.standing()).day_spent == 0


def test_several_choices_in_one_call_may_each_be_as_long_as_the_budget() -> None:
    policy = policy_of()
    assert estimate(policy, decision_of("large"), ASK, 3).total.tokens == 4_000
    assert estimate(policy, decision_of("medium"), ASK, 3).total.tokens == 1_000 + 3 * 500, "its max_output is 500"


def test_a_plan_of_several_calls_may_make_all_of_them() -> None:
    policy = policy_of()
    parts = (Part("large", "large"), Part("staff", "medium", "handbook"))
    together = Decision("fan_out", "large", "r", ("large",), terms=Terms(parts, combine="fuse", judge="large"))
    reckoned = estimate(policy, together, ASK)
    judge_reads = 1_000 + 1_000 + 500
    assert reckoned.total.tokens == 2_000 + 1_500 + judge_reads + 1_000
    assert reckoned.total.nano == LARGE_NANO + 2_000_000 + 500_000 + judge_reads * 10_000 + 20_000_000
    assert reckoned.by_model["large"].calls == 2
    assert reckoned.by_model["medium"].nano == 2_000_000

    first_small = Decision("cascade", "small", "r", terms=Terms((Part("small", "small"),), then="large"))
    assert estimate(policy, first_small, ASK).total.nano == LARGE_NANO


@pytest.mark.parametrize(
    "limit",
    [
        "{name: one, per: key, requests_per_minute: 1}",
        "{name: one, per: key, dollars_per_day: 0.03}",
        "{name: one, per: key, tokens_per_minute: 3000}",  # a thousand are left, and the ask takes fifteen hundred
    ],
)
async def test_nobody_who_has_nothing_left_is_read_options_to_at_a_price(limit: str) -> None:
    desk = Desk(limit)
    desk.policy = policy_of(limit, routes=READING)
    await desk.limits.before(desk.policy, ANNA, "auto", ASK)
    await desk.reserve()
    with pytest.raises(RateLimited):
        await desk.limits.before(desk.policy, ANNA, "auto", ASK)
    await desk.limits.before(desk.policy, BERT, "auto", ASK)
    free = policy_of(limit)
    await desk.limits.before(free, ANNA, "auto", ASK)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ('{name: r, when: "budget.use > 0.5", use: small}', "`budget` has no `use`; did you mean `used`?"),
        ('{name: r, when: "budget > 0.5", use: small}', "errs"),
    ],
)
def test_conditions_on_budgets_are_checked_when_the_policy_loads(written: str, told: str) -> None:
    with pytest.raises(PolicyError) as refusal:
        policy_of(routes=f"\nroutes:\n  auto:\n    rules:\n      - {written}\n")
    assert told in str(refusal.value)


@pytest.mark.parametrize(
    ("limit", "told"),
    [
        ("{name: l, per: model, only: [larg], dollars_per_day: 1}", "did you mean `large`?"),
        ("{name: l, per: route, only: [atuo], dollars_per_day: 1}", "did you mean `auto`?"),
        ("{name: l, per: all, only: [x], dollars_per_day: 1}", "`only` means nothing there"),
        ("{name: l, per: key}", "bounds nothing"),
        ("{name: l, per: user, dollars_per_day: 1}", "per"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused_when_the_policy_loads(limit: str, told: str) -> None:
    with pytest.raises(PolicyError) as refusal:
        policy_of(limit)
    assert told in str(refusal.value)


def test_a_model_without_a_price_is_noted_where_dollars_are_limited() -> None:
    note = "model odd: no price is known, so limits of dollars do not hold for it"
    assert note in review(policy_of("{name: l, per: key, dollars_per_day: 1}")).notes
    assert note not in review(policy_of("{name: l, per: key, requests_per_minute: 1}")).notes
