"""Facts and inputs: what they share and that nobody can change them."""

import dataclasses
from decimal import Decimal

import pytest

from livebot.core import facts, inputs
from livebot.core.facts import FACT_KINDS, NO_EXPOSURE, Exposure, Fact
from livebot.core.inputs import SymbolState
from livebot.core.signal import Idle
from tests.core.examples import closed


def dataclasses_of(module):
    """Those defined in the module itself."""
    return [
        thing
        for thing in vars(module).values()
        if dataclasses.is_dataclass(thing) and isinstance(thing, type) and thing.__module__ == module.__name__
    ]


def test_every_kind_of_fact_is_listed_once():
    """Files, ledger and report find the kinds in this list."""
    kinds = [thing for thing in dataclasses_of(facts) if issubclass(thing, Fact) and thing is not Fact]
    assert kinds == list(FACT_KINDS)


@pytest.mark.parametrize("kind", FACT_KINDS)
def test_every_fact_carries_its_name_its_time_and_the_exposure_after_it(kind):
    """(strategy, symbol, sequence) names it; whoever counts exposure needs the last fact only."""
    shared = ["strategy", "symbol", "sequence", "ts_ms", "signal_id", "side", "exposure"]
    assert shared == [field.name for field in dataclasses.fields(kind)][: len(shared)]


@pytest.mark.parametrize("thing", [*dataclasses_of(facts), *dataclasses_of(inputs)])
def test_facts_and_inputs_cannot_be_changed(thing):
    """Frozen and without room for more."""
    assert thing.__dataclass_params__.frozen
    assert "__slots__" in vars(thing)


def test_a_fact_once_made_stays_as_it_is():
    """Tried on one."""
    fact = closed(1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        fact.pnl_net = Decimal(2)  # type: ignore[misc]


def test_no_exposure_is_nothing_at_all():
    """No side and zero everywhere."""
    assert Exposure(side=None, quantity=Decimal(0), booked=Decimal(0)) == NO_EXPOSURE


def test_a_new_symbol_has_no_past():
    """Sequence and number begin at 0, so the first fact and the first signal are number 1."""
    state = SymbolState(system="main", strategy="trend", symbol="BTC/USDT", signal=Idle())
    assert (0, 0, (), (), 0) == (state.sequence, state.number, state.orders, state.outbox, state.decided_ms)
