"""Files that earlier versions wrote, byte for byte as they wrote them (`schema_<n>/`), are still read."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from livebot.adapters.state_files.durable_files import DurableFiles
from livebot.adapters.state_files.file_workers import InlineWorkers
from livebot.adapters.state_files.portfolio_store import FilePortfolioStore
from livebot.adapters.state_files.sealed_json import seal, unseal
from livebot.adapters.state_files.signal_store import STATES, FileSignalStore
from livebot.adapters.state_files.state_schemas import (
    CLUSTER_UPGRADES,
    PORTFOLIO_UPGRADES,
    SIGNAL_UPGRADES,
    UNIVERSE_UPGRADES,
)
from livebot.core.denial import TradingState
from livebot.core.facts import NO_EXPOSURE, SignalOpening
from livebot.core.inputs import SymbolState
from livebot.core.market import Side
from livebot.core.order import Leg, OrderKind, OrderRecord, OrderStatus
from livebot.core.signal import CancelReason, Open, Scheduled
from livebot.errors import BadInput
from livebot.ports import PortfolioMemory
from tests.adapters.layers import RecordingFiles
from tests.adapters.states import STRATEGY, SYMBOL, SYSTEM, _record, idle, open_state

D = Decimal
WRITTEN = Path(__file__).parent / "schema_1"


def _admitted(state: SymbolState, *prices: str | None) -> SymbolState:
    """As it would be written now: each order with what it was admitted at."""
    orders = tuple(
        replace(record, admitted_price=None if price is None else D(price))
        for record, price in zip(state.orders, prices, strict=True)
    )
    return replace(state, orders=orders)


def _scheduled() -> SymbolState:
    state = open_state()
    assert isinstance(state.signal, Open)
    signal = replace(state.signal.signal, limit_price=D("64900.5"), schedule_expires_ms=1_750_000_600_000)
    entry: OrderRecord = _record(Leg.ENTRY, OrderKind.LIMIT, OrderStatus.WORKING, price=D("64900.5"))
    return replace(state, signal=Scheduled(signal, CancelReason.EXPIRED), orders=(entry,))


def _averaging() -> SymbolState:
    state = open_state()
    assert isinstance(state.signal, Open)
    levels = {"stop_loss": D("66000.5"), "take_profit": D(60000)}
    signal = replace(state.signal.signal, side=Side.SHORT, **levels)
    average: OrderRecord = _record(Leg.AVERAGE, OrderKind.MARKET, OrderStatus.WORKING)
    return replace(state, signal=replace(state.signal, signal=signal, **levels), orders=(*state.orders, average))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("idle", idle(sequence=41)),
        ("scheduled", _admitted(_scheduled(), "64900.5")),
        ("open", _admitted(open_state(), "65000.1", None, None)),
        ("averaging", _admitted(_averaging(), "65000.1", None, None, "66000.5")),  # never understated: up to its stop
    ],
)
async def test_a_state_file_of_schema_1_is_read_and_next_written_as_it_is_now(tmp_path, name, expected):
    """With what that version took for granted filled in."""
    store = FileSignalStore(tmp_path, SYSTEM, DurableFiles(RecordingFiles(), InlineWorkers()))
    path = store.path_of(STRATEGY, SYMBOL)
    path.parent.mkdir(parents=True)
    path.write_bytes((WRITTEN / f"{name}.json").read_bytes())
    loaded = await store.load()
    assert ((expected,), ()) == (loaded.states, loaded.damaged)
    await store.save(expected)
    assert seal(STATES.to_tree(expected)) == path.read_bytes()
    assert expected == await store.load_one(STRATEGY, SYMBOL)


async def test_a_halt_of_schema_1_stays_a_halt(tmp_path):
    """The portfolio's memory looks the same in both."""
    (tmp_path / "portfolio.json").write_bytes((WRITTEN / "portfolio.json").read_bytes())
    store = FilePortfolioStore(tmp_path, "spot", DurableFiles(RecordingFiles(), InlineWorkers()))
    assert PortfolioMemory(trading_state=TradingState.HALTED, state_reason="by hand") == await store.load()


@pytest.mark.parametrize(
    "tree",
    [
        {},
        {"signal": None},
        {"signal": {"type": "Idle"}},
        {"signal": {"type": "Idle"}, "orders": [{"request": {"leg": "e"}}]},
        {"signal": {"type": "Open", "signal": {"reference_price": "1", "limit_price": None, "stop_loss": "x"}}}
        | {"orders": [{"request": {"leg": "a"}}]},
    ],
)
def test_what_never_was_a_state_of_schema_1_is_damage(tree):
    """The symbol alone is affected, as with any damaged file."""
    with pytest.raises(BadInput, match="not a state of schema 1"):
        unseal(seal({"schema": 1, **tree}), SIGNAL_UPGRADES)


@pytest.mark.parametrize(("name", "expected"), [("idle", idle(sequence=41)), ("open", open_state())])
async def test_a_state_file_of_schema_2_is_read_and_next_written_as_it_is_now(tmp_path, name, expected):
    """Until then no fee was taken in coins, and nothing was left of a position."""
    store = FileSignalStore(tmp_path, SYSTEM, DurableFiles(RecordingFiles(), InlineWorkers()))
    path = store.path_of(STRATEGY, SYMBOL)
    path.parent.mkdir(parents=True)
    path.write_bytes((WRITTEN.with_name("schema_2") / f"{name}.json").read_bytes())
    loaded = await store.load()
    assert ((expected,), ()) == (loaded.states, loaded.damaged)


async def test_a_halt_of_schema_2_stays_a_halt(tmp_path):
    (tmp_path / "portfolio.json").write_bytes((WRITTEN.with_name("schema_2") / "portfolio.json").read_bytes())
    store = FilePortfolioStore(tmp_path, "spot", DurableFiles(RecordingFiles(), InlineWorkers()))
    assert PortfolioMemory(trading_state=TradingState.HALTED, state_reason="by hand") == await store.load()


@pytest.mark.parametrize("tree", [{}, {"signal": None}, {"signal": {"position": {"entries": 5}}}])
def test_what_never_was_a_state_of_schema_2_is_damage(tree):
    with pytest.raises(BadInput, match="not a state of schema 2"):
        unseal(seal({"schema": 2, **tree}), SIGNAL_UPGRADES)


async def test_a_halt_of_schema_3_stays_a_halt_and_what_was_paused_stays_so(tmp_path):
    """Until then nothing was paused for entering too often."""
    (tmp_path / "portfolio.json").write_bytes((WRITTEN.with_name("schema_3") / "portfolio.json").read_bytes())
    store = FilePortfolioStore(tmp_path, "spot", DurableFiles(RecordingFiles(), InlineWorkers()))
    memory = PortfolioMemory(trading_state=TradingState.HALTED, state_reason="by hand", paused=("BTC/USDT:USDT",))
    assert memory == await store.load()


@pytest.mark.parametrize(
    ("upgrades", "tree"), [(SIGNAL_UPGRADES, {"signal": {"type": "Idle"}}), (UNIVERSE_UPGRADES, {"system": "spot"})]
)
def test_other_files_of_schema_3_look_as_they_do_now(upgrades, tree):
    assert tree == unseal(seal({"schema": 3, **tree}), upgrades)


def _told_of_its_opening() -> SymbolState:
    state = open_state()
    assert isinstance(state.signal, Open)
    signal = state.signal.signal
    opening = SignalOpening(
        strategy=STRATEGY,
        symbol=SYMBOL,
        sequence=40,
        ts_ms=signal.created_ms,
        signal_id=f"{STRATEGY}/{SYMBOL}#12",
        side=Side.LONG,
        exposure=NO_EXPOSURE,
        quantity=signal.quantity,
        reference_price=signal.reference_price,
        stop_loss=signal.stop_loss,
        take_profit=signal.take_profit,
        confidence=0.73,
        reason=signal.reason,
    )
    return replace(state, outbox=(opening, *state.outbox))


@pytest.mark.parametrize(("name", "expected"), [("idle", idle(sequence=41)), ("open", _told_of_its_opening())])
async def test_a_state_file_of_schema_4_is_read_and_next_written_as_it_is_now(tmp_path, name, expected):
    """Until then no model was asked, neither about the signal nor about what is on its way to the ledger."""
    store = FileSignalStore(tmp_path, SYSTEM, DurableFiles(RecordingFiles(), InlineWorkers()))
    path = store.path_of(STRATEGY, SYMBOL)
    path.parent.mkdir(parents=True)
    path.write_bytes((WRITTEN.with_name("schema_4") / f"{name}.json").read_bytes())
    loaded = await store.load()
    assert ((expected,), ()) == (loaded.states, loaded.damaged)


@pytest.mark.parametrize("tree", [{}, {"signal": None}, {"signal": {"signal": 5}}])
def test_what_never_was_a_state_of_schema_4_is_damage(tree):
    with pytest.raises(BadInput, match="not a state of schema 4"):
        unseal(seal({"schema": 4, **tree}), SIGNAL_UPGRADES)


@pytest.mark.parametrize("upgrades", [PORTFOLIO_UPGRADES, UNIVERSE_UPGRADES, CLUSTER_UPGRADES])
def test_other_files_of_schema_4_look_as_they_do_now(upgrades):
    assert {"system": "spot"} == unseal(seal({"schema": 4, "system": "spot"}), upgrades)


async def test_a_signal_keeps_the_model_that_opened_it(tmp_path):
    """Over a restart, whatever model is in use by then."""
    state = open_state()
    assert isinstance(state.signal, Open)
    opened = replace(state.signal, signal=replace(state.signal.signal, model="trend/20260101T000000Z-0123abcd"))
    state = replace(state, signal=opened)
    store = FileSignalStore(tmp_path, SYSTEM, DurableFiles(RecordingFiles(), InlineWorkers()))
    await store.save(state)
    again = await FileSignalStore(tmp_path, SYSTEM, DurableFiles(RecordingFiles(), InlineWorkers())).load()
    assert ((state,), ()) == (again.states, again.damaged)
