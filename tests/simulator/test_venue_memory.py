"""A venue that dies and comes back is the same venue."""

import json
import os
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebot.core.inputs import OrderAccepted
from livebot.errors import BadInput, Fatal, Rejected
from livebot.simulator import mapped_log
from livebot.simulator.market import Fees
from livebot.simulator.matching import FillModel
from livebot.simulator.memory import VenueMemory
from livebot.simulator.synthetic import SyntheticMarket, SyntheticSettings
from livebot.simulator.venue import SimulatedVenue, VenueSettings
from tests.simulator.builders import BTC, ETH, EXACT, START_MS, D, WrittenMarket, flat, order
from tests.simulator.scripts import SYMBOLS, market_of, markets, models, perform, sessions

STILL = {BTC: [flat(100.0)] * 5, ETH: [flat(10.0)] * 5}
SETTINGS = VenueSettings(fills=EXACT)


def opened(folder: Path, settings: VenueSettings = SETTINGS, market=None) -> SimulatedVenue:
    return SimulatedVenue(market or WrittenMarket(STILL), settings, VenueMemory(folder))


def killed(venue: SimulatedVenue) -> None:
    """What the death of its process does: the lock goes, nothing is written."""
    venue.close()


def logged(folder: Path) -> str:
    """What a process that begins now would find."""
    return next(folder.glob("log-*.jsonl")).read_bytes().rstrip(b"\0").decode()


def everything(venue: SimulatedVenue) -> dict:
    names = [f"o{number}" for number in range(40)]
    return {
        "minute": venue.minute_ms,
        "now": venue.now_ms,
        "open": venue.open_orders(),
        "positions": venue.positions(),
        "account": venue.account(),
        "totals": venue.totals(),
        "orders": [venue.order(symbol, name) for symbol in SYMBOLS for name in names],
        "fills": [venue.fills(symbol, name) for symbol in SYMBOLS for name in names],
    }


@pytest.mark.untraced
@given(markets, models, sessions, st.sets(st.integers(0, 40)), st.sampled_from([1, 3, 1_000]))
def test_dying_between_any_two_acts_changes_nothing(candles, model, session, deaths, compact_every):
    settings = VenueSettings(fills=model, compact_every=compact_every)
    unbroken = SimulatedVenue(market_of(candles), settings)
    with TemporaryDirectory() as name:
        folder = Path(name)
        venue = opened(folder, settings, market_of(candles))
        for number, act in enumerate(session):
            if number in deaths:
                killed(venue)
                venue = opened(folder, settings, market_of(candles))
            assert perform(venue, act, number) == perform(unbroken, act, number)
            assert everything(venue) == everything(unbroken)
        killed(venue)


def test_an_answer_is_in_the_log_before_it_is_heard(tmp_path):
    venue = opened(tmp_path)
    seen = []
    venue.subscribe(lambda *_: seen.append(logged(tmp_path)))
    venue.submit(order("a", "buy", "1"), venue.now_ms)
    assert all('"client_order_id":"a"' in text for text in seen)
    assert len(seen) == 2
    killed(venue)


def test_a_refused_request_leaves_no_trace(tmp_path):
    venue = opened(tmp_path)
    venue.submit(order("a", "buy", "0.001"), venue.now_ms)
    with pytest.raises(Rejected):
        venue.cancel(BTC, "a", venue.now_ms)
    assert logged(tmp_path) == ""
    killed(venue)


def test_a_torn_last_record_is_dropped(tmp_path):
    venue = opened(tmp_path)
    venue.submit(order("a", "buy", "1"), venue.now_ms)
    kept = everything(venue)
    venue.submit(order("b", "buy", "1"), venue.now_ms)
    killed(venue)
    log = next(tmp_path.glob("log-*.jsonl"))
    log.write_bytes(log.read_bytes()[:-5])
    with closing(opened(tmp_path)) as again:
        assert everything(again) == kept


def test_venue_time_inside_the_minute_is_not_lost(tmp_path):
    venue = opened(tmp_path)
    venue.step()
    venue.submit(order("a", "buy", "1"), venue.now_ms + 12_345)
    killed(venue)
    with closing(opened(tmp_path)) as again:
        assert (again.now_ms, again.minute_ms) == (START_MS + 72_345, START_MS + 60_000)
        answer = again.submit(order("b", "buy", "1"), START_MS)
        assert answer.ts_ms == START_MS + 72_345
        answer = again.submit(order("c", "buy", "1"), START_MS + 10**9)
        assert answer.ts_ms == START_MS + 119_999


def test_a_cancellation_and_an_amendment_are_remembered(tmp_path):
    venue = opened(tmp_path)
    for name in "abc":
        venue.submit(order(name, "buy", "1", limit="90"), venue.now_ms)
    venue.cancel(BTC, "a", venue.now_ms + 5)
    venue.amend(order("b", "buy", "2", limit="80"), venue.now_ms + 5)
    kept = everything(venue), venue.open_orders(), venue.order(BTC, "a")
    killed(venue)
    with closing(opened(tmp_path)) as again:
        assert (everything(again), again.open_orders(), again.order(BTC, "a")) == kept


def test_the_order_of_trades_among_symbols_does_not_depend_on_what_the_venue_went_through(tmp_path):
    candles = {BTC: [flat(100.0), (100.0, 100.0, 80.0, 90.0)], ETH: [flat(100.0), (100.0, 100.0, 80.0, 90.0)]}
    ids = []
    for folder, dies in ((tmp_path / "a", False), (tmp_path / "b", True)):
        venue = opened(folder, market=WrittenMarket(candles))
        for name, symbol in (("1", ETH), ("2", BTC), ("3", ETH)):
            venue.submit(order(name, "buy", "1", limit="90", symbol=symbol), venue.now_ms)
        venue.cancel(ETH, "1", venue.now_ms)
        if dies:
            for _ in range(2):
                killed(venue)
                venue = opened(folder, market=WrittenMarket(candles))
        venue.step()
        venue.step()
        ids.append([venue.fills(symbol, name)[0].trade_id for name, symbol in (("2", BTC), ("3", ETH))])
        venue.close()
    assert ids[0] == ids[1]


def test_the_log_is_compacted_from_time_to_time(tmp_path):
    with closing(opened(tmp_path, replace(SETTINGS, compact_every=2))) as venue:
        for _ in range(5):
            venue.step()
        assert [path.name for path in tmp_path.glob("log-*")] == ["log-000003.jsonl"]
        assert len(logged(tmp_path).splitlines()) == 1


def test_a_log_left_between_two_snapshots_is_swept_away(tmp_path):
    opened(tmp_path).close()
    (tmp_path / "log-000002.jsonl").write_text("from a snapshot that was never finished\n")
    (tmp_path / "log-000009.jsonl").write_text("old\n")
    opened(tmp_path).close()
    assert [path.name for path in tmp_path.glob("log-*")] == ["log-000002.jsonl"]
    assert (tmp_path / "log-000002.jsonl").read_text() == ""


def test_a_snapshot_whose_log_was_never_begun_stands_alone(tmp_path):
    venue = opened(tmp_path)
    kept = everything(venue)
    killed(venue)
    next(tmp_path.glob("log-*")).unlink()
    with closing(opened(tmp_path)) as again:
        assert everything(again) == kept


def test_two_processes_cannot_run_one_venue(tmp_path):
    with closing(opened(tmp_path)), pytest.raises(Fatal, match="another process"):
        VenueMemory(tmp_path)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Fatal, match="cannot keep its memory"):
        VenueMemory(tmp_path / "file" / "folder")


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"schema": 2}', b'{"schema":1,"generation":1,"venue":{}}'])
def test_a_damaged_snapshot_is_never_taken_for_an_empty_account(tmp_path, damage):
    opened(tmp_path).close()
    (tmp_path / "snapshot.json").write_bytes(damage)
    with pytest.raises(Fatal, match="remove"):
        opened(tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        b"not json\n",
        b'{"do":"minute","ts_ms":1}\n',
        b'{"do":"cancel","ts_ms":1,"symbol":"BTC/USDT:USDT","client_order_id":"never"}\n',
        b'{"do":"submit","ts_ms":1,"anonymous":false,"outcome":"1"}\n',
    ],
)
def test_a_damaged_log_is_refused(tmp_path, line):
    opened(tmp_path).close()
    next(tmp_path.glob("log-*")).write_bytes(line)
    with pytest.raises(Fatal, match="remove"):
        opened(tmp_path)


def test_a_log_whose_results_do_not_come_again_is_refused(tmp_path):
    venue = opened(tmp_path)
    venue.submit(order("a", "buy", "1"), venue.now_ms)
    killed(venue)
    log = next(tmp_path.glob("log-*"))
    record = json.loads(log.read_text())
    log.write_text(json.dumps({**record, "outcome": "000000000007"}) + "\n")
    with pytest.raises(Fatal, match="another result"):
        opened(tmp_path)


def test_another_market_is_refused_with_the_mend(tmp_path):
    opened(tmp_path).close()
    with pytest.raises(BadInput, match=r"written.*other.*remove the memory's folder"):
        opened(tmp_path, market=WrittenMarket(STILL, name="other"))


def test_a_symbol_with_an_order_stays_at_the_venue_when_it_is_no_longer_configured(tmp_path):
    def market(*symbols: str) -> SyntheticMarket:
        return SyntheticMarket(symbols, SyntheticSettings())

    venue = opened(tmp_path, market=market(BTC, ETH))
    assert isinstance(venue.submit(order("a", "buy", "0.01", symbol=ETH), venue.now_ms), OrderAccepted)
    killed(venue)
    with closing(opened(tmp_path, market=market(BTC))) as again:
        assert again.symbols == (BTC, ETH)
        assert again.positions()[0].quantity == D("0.01")
    with closing(opened(tmp_path, market=market(BTC))) as again:
        assert again.symbols == (BTC, ETH)


def test_a_changed_fill_model_holds_from_now_on(tmp_path):
    venue = opened(tmp_path)
    venue.submit(order("a", "buy", "1"), venue.now_ms)
    killed(venue)
    slipping = replace(SETTINGS, fills=FillModel(slippage=D("0.1")))
    with closing(opened(tmp_path, slipping)) as again:
        assert again.fills(BTC, "a")[0].price == D(100)
        again.submit(order("b", "buy", "1"), again.now_ms)
        assert again.fills(BTC, "b")[0].price == D(110)


def test_changed_fees_hold_from_now_on_and_leave_old_trades_as_they_were(tmp_path):
    def market(taker: str) -> SyntheticMarket:
        return SyntheticMarket([BTC], SyntheticSettings(fees=Fees(taker=D(taker))))

    venue = opened(tmp_path, market=market("0.001"))
    venue.submit(order("a", "buy", "0.01"), venue.now_ms)
    kept = everything(venue), venue.fills(BTC, "a")
    killed(venue)
    with closing(opened(tmp_path, market=market("0"))) as again:
        assert (everything(again), again.fills(BTC, "a")) == kept
        again.submit(order("b", "buy", "0.01"), again.now_ms)
        assert again.fills(BTC, "b")[0].fee == 0


@pytest.fixture
def full_disk(monkeypatch):
    """From the moment it is called nothing more fits."""
    real = os.posix_fallocate
    monkeypatch.setattr(mapped_log, "ROOM", 600)

    def fill():
        monkeypatch.setattr(os, "posix_fallocate", refuse)

    def refuse(*_):
        raise OSError(28, "No space left on device")

    yield fill
    monkeypatch.setattr(os, "posix_fallocate", real)


def test_a_full_disk_stops_the_venue(tmp_path, full_disk):
    venue = opened(tmp_path)
    full_disk()
    venue.submit(order("a", "buy", "1"), venue.now_ms)
    with pytest.raises(Fatal, match="No space left"):
        venue.submit(order("b", "buy", "1"), venue.now_ms)
    with pytest.raises(Fatal, match="closed"):
        venue.submit(order("c", "buy", "1"), venue.now_ms)
    killed(venue)


def test_what_was_kept_before_the_disk_was_full_is_there_again(tmp_path, full_disk, monkeypatch):
    venue = opened(tmp_path)
    full_disk()
    venue.submit(order("a", "buy", "1"), venue.now_ms)
    kept = everything(venue)
    with pytest.raises(Fatal):
        venue.submit(order("b", "buy", "1"), venue.now_ms)
    killed(venue)
    monkeypatch.undo()
    with closing(opened(tmp_path)) as again:
        assert everything(again) == kept


def test_a_log_that_cannot_be_begun_stops_the_venue(tmp_path, full_disk):
    full_disk()
    with pytest.raises(Fatal, match="No space left"):
        opened(tmp_path)


def test_a_log_that_outgrows_its_room_takes_more(tmp_path, monkeypatch):
    monkeypatch.setattr(mapped_log, "ROOM", 600)
    venue = opened(tmp_path)
    for number in range(30):
        venue.submit(order(f"o{number}", "buy", "1"), venue.now_ms)
    kept = everything(venue)
    assert len(logged(tmp_path).splitlines()) == 30
    killed(venue)
    with closing(opened(tmp_path)) as again:
        assert everything(again) == kept


def test_a_process_that_is_killed_leaves_what_it_has_logged(tmp_path):
    script = (
        "import os, pathlib, signal, sys\n"
        "from livebot.simulator.mapped_log import MappedLog\n"
        "log = MappedLog(pathlib.Path(sys.argv[1]))\n"
        "log.append(b'one')\n"
        "log.append(b'two')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    path = tmp_path / "log"
    subprocess.run([sys.executable, "-c", script, str(path)], check=False, timeout=90)
    assert path.read_bytes().rstrip(b"\0") == b"one\ntwo\n"


def test_a_snapshot_that_cannot_be_written_stops_the_venue(tmp_path, monkeypatch):
    venue = opened(tmp_path, replace(SETTINGS, compact_every=1))

    def broken(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", broken)
    with pytest.raises(Fatal, match="No space left"):
        venue.step()
    monkeypatch.undo()
    killed(venue)
    with closing(opened(tmp_path)) as again:
        assert again.minute_ms == START_MS + 60_000


@pytest.mark.parametrize("start_ms", [START_MS + 1, START_MS - 60_000, START_MS + 5 * 60_000])
def test_a_start_outside_the_market_is_refused(start_ms):
    with pytest.raises(BadInput, match="start"):
        SimulatedVenue(WrittenMarket(STILL), replace(SETTINGS, start_ms=start_ms))


def test_a_start_inside_the_market():
    venue = SimulatedVenue(WrittenMarket(STILL), replace(SETTINGS, start_ms=START_MS + 120_000))
    assert venue.now_ms == START_MS + 120_000
    assert not venue.ended
    for _ in range(3):
        venue.step()
    assert venue.ended


def test_orders_and_positions_by_hand():
    venue = SimulatedVenue(WrittenMarket(STILL), SETTINGS)
    venue.submit(order("ours", "sell", "1"), venue.now_ms)
    venue.place_by_hand(order("theirs", "buy", "1", limit="90"), venue.now_ms)
    venue.place_by_hand(order("named", "buy", "1", limit="91"), venue.now_ms, anonymous=False)
    assert [each.client_order_id for each in venue.open_orders()] == [None, "named"]
    assert venue.order(BTC, "theirs") is None
    venue.close_by_hand(BTC, venue.now_ms)
    assert venue.positions() == ()
    with pytest.raises(Rejected, match="no position"):
        venue.close_by_hand(BTC, venue.now_ms)
    assert venue.fills(BTC, "never") == ()
