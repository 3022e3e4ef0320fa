"""Whether a plan and its entries are plain, so that whole lives of signals can be written down without the kernel.

Rules of this file: pure; it names what `plain_lives` can do, never what it cannot: a setting that is not named here must
be as by default, so that what is added to livebot one day is left to the kernel until it is thought of.
"""

from dataclasses import MISSING, fields

from livebot.backtest.margin import independent
from livebot.backtest.plan import BacktestPlan
from livebot.core.entry import NO_EXIT_PLAN, Entry
from livebot.core.market import Instrument
from livebot.core.rules import Rules
from livebot.simulator.matching import FillModel

# Of each kind of settings the fields that are taken into account, or have no part in a plain life.
_PLAN = (
    "system strategies symbols instruments candles start_ms end_ms wallet rules limits fills base history cache cache_bytes "
    "tapes members notes confidences"
)
_RULES = "system strategy instrument sizing entry exits schedule_ms protection_attempts post_only amend_interval_ms attached_stop"
_FILLS = "slippage through partial_pieces leverage seed"
_INSTRUMENT = (
    "symbol base quote tick_size lot_step minimum_quantity minimum_notional maximum_quantity taker_fee maker_fee "
    "can_short"
)
_ENTRY = "side stop_loss take_profit lifetime_ms schedule_ms exits reason confidence evidence"


def plain(plan: BacktestPlan) -> bool:
    """Whether the plan's signals can be plain: one strategy a symbol, no management, every order done at once."""
    symbols = [symbol for run in plan.strategies for symbol in run.symbols]
    return (
        independent(plan)
        and _usual(plan, _PLAN)
        and _usual(plan.rules, _RULES)
        and plan.rules.exits == NO_EXIT_PLAN
        and _usual(plan.fills, _FILLS)
        and len(set(symbols)) == len(symbols)
        and all(_usual(plan.instruments[symbol], _INSTRUMENT) for symbol in symbols)
        and not any(run.make().manages for run in plan.strategies)
    )


def plain_entry(entry: Entry) -> bool:
    """Whether it is at the market and left to its stop, its target or its time."""
    return _usual(entry, _ENTRY) and entry.exits in (None, NO_EXIT_PLAN)


def _usual(settings: BacktestPlan | Rules | FillModel | Instrument | Entry, known: str) -> bool:
    """Whether every field that is not among the `known` is as by default; what has no default is not."""
    names = known.split()
    return all(
        getattr(settings, each.name) == (each.default if each.default_factory is MISSING else each.default_factory())
        for each in fields(settings)
        if each.name not in names
    )
