"""What `--param` may say."""

from dataclasses import dataclass
from decimal import Decimal

import pytest

from livebot.backtest.sweep import space as sweep_space
from livebot.backtest.sweep.space import axes_of, grid, with_choice
from livebot.core.market import Timeframe
from livebot.errors import BadInput
from livebot.strategies.breakout import Breakout, BreakoutParams
from livebot.strategies.ema_cross import EmaCross, EmaCrossParams
from tests.backtest.plans import plan, strategy
from tests.backtest.whims import Whim

EMA = EmaCrossParams(timeframe=Timeframe.M1, fast=3, slow=9, rsi_period=5)


def both():
    made = plan(strategies=(strategy(EmaCross, EMA), strategy(Breakout, BreakoutParams())))
    assert made.strategies[1].id == "breakout"
    return made


def values(text, made=None, *, continuous=False):
    (axis,) = axes_of(made or both(), [text], continuous=continuous)
    return axis.values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fast=8,12,16", (8, 12, 16)),
        ("fast= 8 , 8,12 ", (8, 12)),
        ("fast=8:32:8", (8, 16, 24, 32)),
        ("fast=8:33:8", (8, 16, 24, 32)),
        ("fast=4:6", (4, 5, 6)),
        ("take_profit=0.01:0.03:0.005", (0.01, 0.015, 0.02, 0.025, 0.03)),
        ("take_profit=1e-2,0.02", (0.01, 0.02)),
        ("ema_cross.timeframe=5m,1h", (Timeframe.M5, Timeframe.H1)),
        ("ema_cross.allow_short=true,false", (True, False)),
        ("trail_atr=null,2", (None, 2.0)),
        ("breakout.stop_atr=1,2.5", (1.0, 2.5)),
    ],
)
def test_values_are_typed_as_the_strategy_declares_them(text, expected):
    found = values(text)
    assert found == expected
    assert [type(value) for value in found] == [type(value) for value in expected]


def test_a_range_without_a_step_is_for_a_search():
    (axis,) = axes_of(both(), ["take_profit=0.01:0.03"], continuous=True)
    assert (axis.values, axis.low, axis.high) == (None, 0.01, 0.03)
    with pytest.raises(BadInput, match="say a step"):
        values("take_profit=0.01:0.03")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("fast", "such as fast=8,12,16"),
        ("fast=", "such as fast=8,12,16"),
        ("=3", "such as fast=8,12,16"),
        ("quick=3", "no such parameter is declared; ema_cross has timeframe, fast"),
        ("nobody.fast=3", "the strategies are ema_cross, breakout"),
        ("timeframe=5m", "ema_cross, breakout have one; write ema_cross.timeframe"),
        ("fast=8.5", "8.5 does not fit: it is a whole number"),
        ("fast=banana", "banana does not fit: it is a whole number"),
        ("fast=8,,9", "an empty value does not fit"),
        ("fast=true", "true is no number"),
        ("fast=[1", "cannot be read"),
        ("fast=8:4:1", "from the smaller number"),
        ("fast=a:b", "these are not numbers"),
        ("fast=1:nan:1", "from the smaller number"),
        ("fast=1:2:3:4", "from:to:step"),
        ("ema_cross.timeframe=1m:5m", "from:to:step of numbers"),
        ("fast=1:9:0", "a step is above 0"),
        ("fast=1:1000000:1", "at most 10,000 values"),
        ("fast=1:2:0.5", "1.5 does not fit"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_mend(text, told):
    with pytest.raises(BadInput) as caught:
        values(text)
    assert told in str(caught.value)


def test_a_parameter_is_named_once():
    with pytest.raises(BadInput, match=r"ema_cross\.fast more than once"):
        axes_of(both(), ["fast=3", "ema_cross.fast=4"], continuous=False)


def test_too_many_values_are_refused(monkeypatch):
    monkeypatch.setattr(sweep_space, "MOST_VALUES", 3)
    with pytest.raises(BadInput, match="4 values, more than the 3"):
        values("fast=1,2,3,4")


def test_a_grid_is_every_combination_in_order():
    made = both()
    axes = axes_of(made, ["fast=3,4", "channel=8,9"], continuous=False)
    assert list(grid(axes)) == [
        (("ema_cross", "fast", fast), ("breakout", "channel", channel)) for fast in (3, 4) for channel in (8, 9)
    ]


def test_a_grid_has_a_bound():
    axes = axes_of(both(), ["fast=1:200", "slow=1:200"], continuous=False)
    with pytest.raises(BadInput, match=r"40,000 combinations, more than the 20,000 allowed.*--trials"):
        list(grid(axes))


def test_a_choice_changes_its_parameters_and_nothing_else():
    made = both()
    changed = with_choice(made, (("ema_cross", "fast", 4), ("breakout", "channel", 8)))
    assert changed.strategies[0].params == EmaCrossParams(timeframe=Timeframe.M1, fast=4, slow=9, rsi_period=5)
    assert changed.strategies[1].params == BreakoutParams(channel=8)
    assert changed.candles is made.candles


def test_what_a_strategy_refuses_is_said_in_its_own_words():
    with pytest.raises(BadInput, match="fast 9 must be below slow 9"):
        with_choice(both(), (("ema_cross", "fast", 9),))


def test_more_warm_up_than_is_allowed_is_refused():
    with pytest.raises(BadInput, match="more than the 3000 allowed"):
        with_choice(both(), (("ema_cross", "slow", 1_000),))


@dataclass(frozen=True, kw_only=True)
class MoneyParams:
    amount: Decimal = Decimal("1.5")


class Money(Whim):
    name = "money"
    Params = MoneyParams


def test_decimals_stay_exact():
    made = plan(strategies=(strategy(Money, MoneyParams()),))
    assert values("amount=0.1:0.3:0.1", made) == (Decimal("0.1"), Decimal("0.2"), Decimal("0.3"))
