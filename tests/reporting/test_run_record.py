"""What a run left behind: trades out of facts, and equity out of trades."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebot.core.facts import NO_EXPOSURE, SignalClosed, SignalClosing, SignalOpened, SignalOpening
from livebot.core.market import DAY_MS, Side
from livebot.core.signal import CloseReason
from livebot.errors import BadInput
from livebot.reporting.run_record import EquityCurve, day_ends, realised_equity, trades_of
from tests.reporting.records import CAPITAL, HOUR_MS, START_MS, realised, record, trade

ONE = Decimal(1)


def facts_of(symbol, number, closed_ms, stop="98"):
    """The life of a signal."""
    shared = {
        "strategy": "trend",
        "symbol": symbol,
        "signal_id": f"trend/{symbol}#{number}",
        "side": Side.LONG,
        "exposure": NO_EXPOSURE,
    }
    levels = {"stop_loss": Decimal(stop), "take_profit": Decimal(104)}
    opened = SignalOpened(**shared, **levels, sequence=2, ts_ms=START_MS, quantity=ONE, price=ONE)
    return [
        SignalOpening(
            **shared, **levels, sequence=1, ts_ms=0, quantity=ONE, reference_price=ONE, confidence=None, reason=""
        ),
        opened,
        SignalClosing(**shared, sequence=3, ts_ms=closed_ms, reason=CloseReason.STOP_LOSS),
        SignalClosed(
            **shared,
            sequence=4,
            ts_ms=closed_ms,
            reason=CloseReason.STOP_LOSS,
            opened_ms=START_MS,
            quantity=Decimal(10),
            entry_price=Decimal(100),
            exit_price=Decimal(98),
            fees=Decimal("0.2"),
            pnl_net=Decimal("-20.2"),
            pnl_ratio=Decimal("-0.0202"),
        ),
    ]


def test_a_closed_signal_becomes_a_trade_with_its_first_levels():
    (made,) = trades_of(facts_of("BTC/USDT", 1, START_MS + HOUR_MS))
    assert made == trade(
        pnl="-20.2",
        signal_id="trend/BTC/USDT#1",
        exit_price=Decimal(98),
        fees=Decimal("0.2"),
        reason=CloseReason.STOP_LOSS,
    )
    assert made.ts_ms == START_MS + HOUR_MS


def test_trades_are_in_the_order_of_their_closes_however_the_facts_are_mixed():
    late, early = facts_of("BTC/USDT", 1, START_MS + 9 * HOUR_MS), facts_of("ETH/USDT", 1, START_MS + HOUR_MS, "97")
    apart, mixed = trades_of([*late, *early]), trades_of([*late[:3], *early, late[3]])
    assert apart == mixed
    assert [(made.symbol, made.stop_loss) for made in apart] == [("ETH/USDT", 97), ("BTC/USDT", 98)]


def test_a_signal_that_is_known_from_its_first_fill_on_has_its_levels():
    (made,) = trades_of(facts_of("BTC/USDT", 1, START_MS + HOUR_MS)[1:])
    assert (made.stop_loss, made.take_profit) == (98, 104)


def test_a_signal_whose_beginning_was_cut_off_has_no_levels():
    (made,) = trades_of(facts_of("BTC/USDT", 1, START_MS)[3:])
    assert (made.stop_loss, made.take_profit) == (None, None)


def test_days_end_at_midnight_and_the_run_at_its_end():
    noon = START_MS + DAY_MS // 2
    assert day_ends(noon, noon + 2 * DAY_MS).tolist() == [
        noon,
        START_MS + DAY_MS,
        START_MS + 2 * DAY_MS,
        noon + 2 * DAY_MS,
    ]
    assert day_ends(START_MS, START_MS + DAY_MS).tolist() == [START_MS, START_MS + DAY_MS]
    assert day_ends(START_MS, START_MS).tolist() == [START_MS]


@given(st.lists(st.tuples(st.integers(0, 72), st.integers(-50, 50)), max_size=12))
def test_realised_equity_counts_every_trade_from_its_close(closes):
    trades = [trade(START_MS, START_MS + hour * HOUR_MS, pnl) for hour, pnl in closes]
    end_ms = START_MS + 3 * DAY_MS
    made, expected = realised_equity(trades, START_MS, end_ms, CAPITAL), realised(trades, START_MS, end_ms)
    assert made.ts_ms.tolist() == expected.ts_ms.tolist()
    assert np.allclose(made.equity, expected.equity)


@pytest.mark.parametrize(
    ("times", "values", "why"),
    [
        ([], [], "at least one"),
        ([1, 2], [1.0], "as many times as values"),
        ([2, 1], [1.0, 1.0], "out of order"),
        ([1, 2], [1.0, np.nan], "no number"),
    ],
)
def test_a_curve_that_no_run_can_have_left_is_refused(times, values, why):
    curve = EquityCurve(ts_ms=np.array(times, dtype=np.int64), equity=np.array(values, dtype=np.float64))
    with pytest.raises(BadInput, match=why):
        record(equity=curve)


def test_a_run_that_ends_before_it_starts_is_refused():
    with pytest.raises(BadInput, match="before it starts"):
        record(end_ms=START_MS - 1)
