"""The table of transitions, and what it means for prices to tighten."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebot.core.market import Side
from livebot.core.position import Position
from livebot.core.signal import (
    TRANSITIONS,
    CancelReason,
    CloseReason,
    Closing,
    Idle,
    Open,
    Opening,
    Scheduled,
    SignalState,
    tighter_stop,
    tighter_target,
    transition,
)
from livebot.errors import Fatal, IllegalTransition
from tests.core.examples import SIGNAL

MANAGED: dict[str, Any] = {
    "signal": SIGNAL,
    "position": Position(Side.LONG),
    "opened_ms": 0,
    "stop_loss": Decimal(95),
    "take_profit": Decimal(110),
}
STATES: dict[str, SignalState] = {
    "Idle": Idle(),
    "Scheduled": Scheduled(SIGNAL),
    "Opening": Opening(SIGNAL),
    "Open": Open(**MANAGED),
    "Closing": Closing(reason=CloseReason.STOP_LOSS, **MANAGED),
}
# written out again on purpose: a change of the table must be meant twice
LEGAL = {
    "Idle": "Scheduled Opening",
    "Scheduled": "Scheduled Open Idle",
    "Opening": "Opening Open Idle",
    "Open": "Open Closing Idle",
    "Closing": "Closing Idle",
}
PAIRS = [(before, after) for before in STATES for after in STATES]


@pytest.mark.parametrize(("before", "after"), [pair for pair in PAIRS if pair[1] in LEGAL[pair[0]].split()])
def test_a_legal_transition_gives_the_following_state(before, after):
    """The very state that was asked for."""
    assert STATES[after] is transition(STATES[before], STATES[after])


@pytest.mark.parametrize(("before", "after"), [pair for pair in PAIRS if pair[1] not in LEGAL[pair[0]].split()])
def test_any_other_transition_is_refused(before, after):
    """It names both states, and is fatal for the symbol that tried."""
    with pytest.raises(IllegalTransition, match=f"a signal cannot go from {before} to {after}$"):
        transition(STATES[before], STATES[after])


def test_the_table_has_a_row_for_each_state_and_an_illegal_transition_is_fatal():
    """No state without a way out, and nobody retries a step that cannot be."""
    assert set(LEGAL) == {state.__name__ for state in TRANSITIONS}
    assert issubclass(IllegalTransition, Fatal)


@given(st.decimals("0.01", 1000, places=2), st.decimals("0.01", 1000, places=2))
def test_a_tighter_stop_or_target_never_loosens(present, wanted):
    """For a long the stop only rises and the target only falls; for a short the mirror."""
    assert max(present, wanted) == tighter_stop(Side.LONG, present, wanted)
    assert min(present, wanted) == tighter_stop(Side.SHORT, present, wanted)
    assert min(present, wanted) == tighter_target(Side.LONG, present, wanted)
    assert max(present, wanted) == tighter_target(Side.SHORT, present, wanted)


def test_reasons_are_words_of_their_own():
    """They stand in files and reports, so they may grow but not change."""
    closes = "take_profit stop_loss trailing_stop time_expired strategy_exit operator portfolio_halt venue unprotected"
    cancels = "expired rejected absent strategy_exit operator portfolio_halt venue trading_state"
    assert closes.split() == [reason.value for reason in CloseReason]
    assert cancels.split() == [reason.value for reason in CancelReason]
