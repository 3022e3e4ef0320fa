"""Files that earlier versions wrote, byte for byte as they wrote them (`schema_<n>/`), are still read."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from livebot.adapters.durable_files import DurableFiles
from livebot.adapters.file_workers import InlineWorkers
from livebot.adapters.portfolio_store import FilePortfolioStore
from livebot.adapters.sealed_json import seal, unseal
from livebot.adapters.signal_store import STATES, FileSignalStore
from livebot.adapters.state_schemas import SIGNAL_UPGRADES, UNIVERSE_UPGRADES
from livebot.core.denial import TradingState
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


@pytest.mark.parametrize("upgrades", [SIGNAL_UPGRADES, UNIVERSE_UPGRADES])
def test_other_files_of_schema_3_look_as_they_do_now(upgrades):
    assert {"system": "spot"} == unseal(seal({"schema": 3, "system": "spot"}), upgrades)
