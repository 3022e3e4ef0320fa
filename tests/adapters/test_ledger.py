"""Every fact once, in a database that others may read meanwhile."""

import sqlite3
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError, InvalidRequestError

from livebot.adapters.ledger import ledger_tables
from livebot.adapters.ledger.ledger import SqlLedger
from livebot.adapters.ledger.ledger_reader import LedgerReader, SymbolTally
from livebot.adapters.ledger.ledger_tables import named, told_apart, url_of
from livebot.adapters.state_files.codec import Codec
from livebot.adapters.state_files.file_workers import InlineWorkers
from livebot.core.facts import Fact, RemainderGone
from livebot.errors import BadInput, Fatal, Transient
from livebot.ports import Ledger
from tests.adapters.states import STRATEGY, SYMBOL, a_close, a_decision, a_fact, an_opening
from tests.runtime.samples import Teller

FACT: Codec[Fact] = Codec(Fact)


@pytest.fixture
def path(tmp_path) -> Path:
    """Where the ledger stands."""
    file: Path = tmp_path / "ledger.sqlite"
    return file


@pytest.fixture
async def ledger(path):
    """An open ledger of the system `spot`."""
    opened = SqlLedger(path, "spot")
    yield opened
    await opened.close()


def recorded(path: Path) -> list[Fact]:
    """All facts, as a reader sees them."""
    with LedgerReader(path) as reader:
        return list(reader.facts())


async def test_facts_are_recorded_once_however_often_they_are_told(ledger: Ledger, path):
    """A state file tells its outbox again until it knows that the ledger has it."""
    facts = [a_fact(sequence=number) for number in range(1, 701)]
    for told in (facts[:400], facts[300:], facts, facts[5:6] + facts[5:6]):
        await ledger.record(told, ())
    assert facts == recorded(path)


async def test_a_ledger_from_before_feature_sets_is_read_as_it_is_and_written_with_them(path):
    """The column is added when a daemon opens it, and empty in the rows from before."""
    first = SqlLedger(path, "spot")
    await first.record((), (a_decision(),))
    await first.close()
    with sqlite3.connect(path) as connection:
        connection.execute("ALTER TABLE decisions DROP COLUMN feature_set")
    connection.close()
    with LedgerReader(path) as reader:
        assert list(reader.decisions()) == [a_decision()]
    later = replace(a_decision(close_ms=1_800_000_060_000), feature_set="ema_cross@1 0123456789ab")
    for _ in range(2):
        ledger = SqlLedger(path, "spot")
        await ledger.record((), (a_decision(), later))
        await ledger.close()
    with LedgerReader(path) as reader:
        assert sorted(reader.decisions(), key=lambda each: each.feature_set or "") == [a_decision(), later]


async def test_a_ledger_from_before_models_is_read_as_it_is_and_written_with_them(path):
    """Decisions get the column; facts of then are the same bytes, so that what is told again is no other fact."""
    opening = replace(an_opening(), confidence=0.7)
    written = FACT.to_json(opening).decode()
    assert "model" not in written
    first = SqlLedger(path, "spot")
    await first.record((opening,), (a_decision(),))
    await first.close()
    with sqlite3.connect(path) as connection:
        connection.execute("ALTER TABLE decisions DROP COLUMN model")
        assert connection.execute("SELECT payload FROM facts").fetchall() == [(written,)]
    connection.close()
    with LedgerReader(path) as reader:
        assert list(reader.decisions()) == [a_decision()]
    later = replace(a_decision(close_ms=1_800_000_060_000), model="trend/20260101T000000Z-0123abcd")
    asked = replace(opening, sequence=2, model="trend/20260101T000000Z-0123abcd")
    for _ in range(2):
        ledger = SqlLedger(path, "spot")
        await ledger.record((opening, asked), (a_decision(), later))
        await ledger.close()
    assert recorded(path) == [opening, asked]
    with LedgerReader(path) as reader:
        assert sorted(reader.decisions(), key=lambda each: each.model or "") == [a_decision(), later]


async def test_a_batch_may_hold_many_symbols_and_nothing(ledger, path):
    """One transaction for all."""
    facts = [a_fact(f"S{number}/USDT", 1) for number in range(9)]
    await ledger.record(facts, [a_decision(fact.symbol) for fact in facts])
    await ledger.record((), ())
    assert facts == recorded(path)


async def test_another_fact_under_the_same_key_is_an_alarm_and_the_rest_is_recorded(ledger, path):
    """One symbol's mistake does not keep another's facts out."""
    await ledger.record([a_fact(sequence=1)], ())
    others = [a_fact(sequence=2), a_fact("ETH/USDT", 1)]
    with pytest.raises(Fatal, match=rf"another fact .* {STRATEGY} {SYMBOL} 1: its state file is older"):
        await ledger.record([others[0], a_fact(sequence=1, price="1.5"), others[1]], [a_decision()])
    assert sorted([a_fact(sequence=1), *others], key=lambda fact: (fact.symbol, fact.sequence)) == recorded(path)
    with LedgerReader(path) as reader:
        assert [a_decision()] == list(reader.decisions())


async def test_two_facts_under_one_key_in_one_batch_are_an_alarm(ledger, path):
    """The first stands."""
    with pytest.raises(Fatal, match="another fact"):
        await ledger.record([a_fact(sequence=1), a_fact(sequence=1, price="1.5")], ())
    assert [a_fact(sequence=1)] == recorded(path)


async def test_the_first_decision_of_a_close_stands(ledger, path):
    """After a restart it may be decided anew, later and otherwise."""
    await ledger.record((), [a_decision(), a_decision(text="again in the same batch")])
    await ledger.record((), [replace(a_decision(), outcome="approved"), a_decision(close_ms=5)])
    with LedgerReader(path) as reader:
        assert [a_decision(close_ms=5), a_decision()] == list(reader.decisions())


async def test_a_venues_odd_words_are_recorded(ledger, path):
    """Half characters and NULs, which databases refuse."""
    await ledger.record((), [a_decision(text="no\0 \ud800 funds")])
    with LedgerReader(path) as reader:
        assert ["no ? funds"] == [decision.text for decision in reader.decisions()]


async def test_columns_for_people_who_ask_with_sql(ledger, path):
    """Closed signals can be summed up without decoding; decimals are text."""
    await ledger.record([a_fact(sequence=1), a_close(sequence=2)], ())
    with sqlite3.connect(path) as connection:
        query = "select kind, side, close_reason, pnl_net, pnl_ratio, fees, opened_ms from facts order by sequence"
        rows = connection.execute(query).fetchall()
    connection.close()
    close = a_close(sequence=2)
    assert [
        ("SignalOpened", "long", None, None, None, None, None),
        ("SignalClosed", "long", "take_profit", "1.50", "0.0015", "0.20", close.opened_ms),
    ] == rows


async def test_every_commit_is_synced_and_readers_are_not_held_up(ledger, path):
    """WAL with synchronous=FULL: NORMAL would lose the last commits in a power cut."""
    with ledger._engine.connect() as connection:
        assert "wal" == connection.exec_driver_sql("PRAGMA journal_mode").scalar()
        assert 2 == connection.exec_driver_sql("PRAGMA synchronous").scalar()
        assert 5000 == connection.exec_driver_sql("PRAGMA busy_timeout").scalar()
        assert -1024 == connection.exec_driver_sql("PRAGMA cache_size").scalar()


async def test_a_reader_sees_one_moment_while_the_daemon_writes(ledger, path):
    """It neither waits nor makes anybody wait."""
    await ledger.record([a_fact(sequence=number) for number in range(1, 2001)], ())
    with LedgerReader(path) as reader:
        facts = reader.facts()
        first = next(facts)
        await ledger.record([a_fact(sequence=number) for number in range(2001, 2101)], ())
        assert 2000 == len([first, *facts])
        assert 2100 == len(list(reader.facts()))


async def test_a_locked_ledger_is_transient_and_nothing_is_lost(path, monkeypatch):
    """The caller keeps the facts and tells them again."""
    monkeypatch.setattr("livebot.adapters.ledger.ledger_tables.BUSY_TIMEOUT_SECONDS", 0.01)
    ledger = SqlLedger(path, "spot")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Transient, match="cannot be used now: database is locked"):
        await ledger.record([a_fact()], ())
    other.execute("ROLLBACK")
    other.close()
    await ledger.record([a_fact()], ())
    await ledger.close()
    assert [a_fact()] == recorded(path)


async def test_a_full_disk_is_transient_and_the_batch_is_whole_or_absent(ledger, path):
    """SQLite's own limit on pages stands for the disk."""
    await ledger.record([a_fact(sequence=1)], ())
    with ledger._engine.connect() as connection:  # the pool has one connection, so this is the writer's
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
    with pytest.raises(Transient, match="full"):
        await ledger.record([a_fact(sequence=number) for number in range(2, 500)], ())
    assert [a_fact(sequence=1)] == recorded(path)
    with ledger._engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count=1000000")
    await ledger.record([a_fact(sequence=number) for number in range(2, 500)], ())
    assert 499 == len(recorded(path))


async def test_it_is_found_again_after_a_restart(path):
    """And it takes no threads where none may run."""
    for sequence in (1, 2):
        ledger = SqlLedger(str(path), "spot", InlineWorkers())
        await ledger.record([a_fact(sequence=sequence)], ())
        await ledger.close()
    assert [1, 2] == [fact.sequence for fact in recorded(path)]


async def test_closing_twice_does_no_harm_and_ends_recording(path):
    """Whoever records later is told."""
    ledger = SqlLedger(path, "spot")
    await ledger.close()
    await ledger.close()
    with pytest.raises(Fatal, match="closed"):
        await ledger.record([a_fact()], ())


async def test_another_systems_ledger_is_refused(ledger, path):
    """Its facts are of other accounts."""
    with pytest.raises(Fatal, match="belongs to system spot, and this is perpetual"):
        SqlLedger(path, "perpetual")


async def test_another_versions_ledger_is_refused(ledger, path):
    """To write and to read."""
    with sqlite3.connect(path) as connection:
        connection.execute("update meta set value = '7' where name = 'schema'")
    connection.close()
    with pytest.raises(Fatal, match="has schema 7, and this version of livebot reads 1"):
        SqlLedger(path, "spot")
    with pytest.raises(BadInput, match="not a ledger that this version"):
        LedgerReader(path)


def test_a_file_that_is_no_database_is_refused(path):
    """And left alone."""
    path.write_bytes(b"this is not a database, it is a text\n" * 99)
    with pytest.raises(Fatal, match=r"is broken or not a ledger: file is not a database.*move it away"):
        SqlLedger(path, "spot")
    assert path.read_bytes().startswith(b"this is not")


def test_a_place_where_no_ledger_can_be_is_refused(tmp_path):
    """At start this is fatal: nobody will mend it in a second."""
    with pytest.raises(Fatal, match=r"unable to open database file.*Mend: see that its folder"):
        SqlLedger(tmp_path / "missing" / "ledger.sqlite", "spot")


@pytest.mark.parametrize("url", ["nonsense://x", "://", "postgresql+nodriver://u:secret@h/x"])
def test_a_url_that_is_none_is_refused_without_its_password(url):
    """The config is shown to people."""
    with pytest.raises(BadInput, match="must be a path or a URL") as refused:
        url_of(url)
    assert "secret" not in str(refused.value)


def test_a_password_is_in_no_message():
    """It stands in the URL only."""
    assert "postgresql://bot:***@host/name" == named(url_of("postgresql://bot:secret@host/name"))


async def test_a_path_may_hold_any_character(tmp_path):
    """It becomes a URL within, and back."""
    path = tmp_path / "50% of äll? #1 & more.sqlite"
    ledger = SqlLedger(path, "spot")
    await ledger.record([a_fact()], ())
    await ledger.close()
    assert [a_fact()] == recorded(path)
    assert {path.name} == {file.name.removesuffix("-wal").removesuffix("-shm") for file in tmp_path.iterdir()}


async def test_any_database_can_hold_it(tmp_path):
    """A URL instead of a path; here SQLite's, as there is no server in a test."""
    ledger = SqlLedger(f"sqlite:///{tmp_path}/other.db", "spot")
    await ledger.record([a_fact()], ())
    await ledger.close()
    assert [a_fact()] == recorded(tmp_path / "other.db")


def test_a_lost_connection_is_transient():
    """A server that was restarted is there again in a moment."""
    with pytest.raises(Transient), told_apart(url_of("x.sqlite")):
        raise DBAPIError("select 1", None, Exception("gone"), connection_invalidated=True)


def test_a_mistake_of_ours_in_sql_is_fatal():
    """It will not pass by itself."""
    with pytest.raises(Fatal, match="InvalidRequestError: odd"), told_apart(url_of("x.sqlite")):
        raise InvalidRequestError("odd")


def test_a_connection_to_a_server_is_tried_before_it_is_used():
    """It may have been dropped over night."""
    assert {"pool_pre_ping": True} == ledger_tables._waiting(url_of("postgresql://bot@host/name"))


# ---------------------------------------------------------------- reading


async def test_a_reader_filters_by_strategy_symbol_and_time(ledger, path):
    """Each filter alone and together."""
    facts = [
        replace(a_fact(symbol, sequence), strategy=strategy)
        for strategy in ("a", "b")
        for symbol in ("X/Y", "Z/Y")
        for sequence in (1, 2)
    ]
    decisions = [
        replace(a_decision(symbol, close_ms), strategy=strategy)
        for close_ms in (10, 20)
        for strategy in ("a", "b")
        for symbol in ("X/Y", "Z/Y")
    ]
    await ledger.record(facts, decisions)
    with LedgerReader(path) as reader:
        assert "spot" == reader.system
        assert facts == list(reader.facts())
        assert [fact for fact in facts if fact.strategy == "a"] == list(reader.facts(strategy="a"))
        assert [fact for fact in facts if fact.symbol == "X/Y"] == list(reader.facts(symbol="X/Y"))
        since = facts[1].ts_ms
        assert [fact for fact in facts if fact.ts_ms >= since] == list(reader.facts(since_ms=since))
        assert [facts[3]] == list(reader.facts(strategy="a", symbol="Z/Y", since_ms=since))
        assert decisions == list(reader.decisions())
        assert decisions[-4:] == list(reader.decisions(since_ms=25))
        assert [decisions[5]] == list(reader.decisions(strategy="a", symbol="Z/Y", since_ms=16))


async def test_closed_signals_come_in_the_order_of_their_closing(ledger, path):
    """Over all symbols: a losing streak is counted that way."""
    closes = [a_close(symbol, 2, ts_ms=ts_ms) for symbol, ts_ms in (("A/Y", 30), ("B/Y", 10), ("C/Y", 20))]
    await ledger.record([a_fact("A/Y", 1), *closes], ())
    with LedgerReader(path) as reader:
        assert [10, 20, 30] == [close.ts_ms for close in reader.closed_signals()]
        assert [30] == [close.ts_ms for close in reader.closed_signals(symbol="A/Y", strategy=STRATEGY, since_ms=15)]


async def test_facts_of_orders_that_add_exposure_come_in_the_order_of_time(ledger, path):
    """From a moment on: a restart counts them against the limits on orders."""
    teller, other = Teller("A/Y"), Teller("B/Y")
    facts: list[Fact] = []
    for ts_ms, tell in ((10, teller.opening), (30, teller.opened), (40, teller.failed), (50, teller.closed)):
        teller.ts_ms = ts_ms
        facts.append(tell())
    other.ts_ms = 20
    await ledger.record([*facts, other.opening()], ())
    with LedgerReader(path) as reader:
        kinds = [(fact.ts_ms, type(fact).__name__) for fact in reader.entries(10)]
        assert [(10, "SignalOpening"), (20, "SignalOpening"), (40, "OrderFailed")] == kinds
        assert [20, 40] == [fact.ts_ms for fact in reader.entries(11)]


async def test_tallies_count_each_symbols_wins(ledger, path):
    """A signal that made nothing after fees is no win; older closes do not count where a symbol was switched on again."""
    results = [("A/Y", "1.10", 10), ("A/Y", "-0.40", 20), ("A/Y", "0E-8", 30), ("B/Y", "-2", 10)]
    closes = [a_close(symbol, number, pnl_net=net, ts_ms=ts) for number, (symbol, net, ts) in enumerate(results)]
    await ledger.record([a_fact("C/Y"), *closes], ())
    with LedgerReader(path) as reader:
        tallies = reader.tallies()
        assert {"A/Y", "B/Y"} == set(tallies)
        assert (3, 1, "0.70000000") == (tallies["A/Y"].trades, tallies["A/Y"].wins, str(tallies["A/Y"].pnl_net))
        assert {"A/Y": SymbolTally(2, 0, closes[1].pnl_net)} == reader.tallies({"A/Y": 20, "B/Y": 11})


async def test_what_was_realised_in_a_time_is_exact(ledger, path):
    """From the first moment on, up to and without the second, over all symbols."""
    results = [("A/Y", "1.1", 10), ("A/Y", "-0.40", 20), ("B/Y", "0.000000000000000001", 29), ("B/Y", "-2", 30)]
    closes = [a_close(symbol, number, pnl_net=net, ts_ms=ts) for number, (symbol, net, ts) in enumerate(results)]
    await ledger.record([a_fact("C/Y"), *closes], ())
    with LedgerReader(path) as reader:
        assert Decimal("-0.399999999999999999") == reader.realised(20, 30)
        assert Decimal(0) == reader.realised(31, 99)


async def test_what_is_gone_of_what_a_signal_left_was_realised_too(ledger, path):
    """It is no trade, and counts as none."""
    gone = RemainderGone(
        **{name: getattr(a_fact(), name) for name in ("strategy", "symbol", "ts_ms", "signal_id", "side", "exposure")},
        sequence=2,
        quantity=Decimal("0.1"),
        cost=Decimal(10),
        price=Decimal(99),
        fee=Decimal(0),
        pnl_net=Decimal("-0.1"),
    )
    await ledger.record([a_close(sequence=1, pnl_net="1.5", ts_ms=gone.ts_ms), gone], ())
    with LedgerReader(path) as reader:
        assert reader.realised(gone.ts_ms, gone.ts_ms + 1) == Decimal("1.4")
        assert reader.tallies()[SYMBOL].pnl_net == Decimal("1.5")


async def test_the_last_numbers_of_each_pair_survive_its_file(ledger, path):
    """A symbol whose file was lost goes on behind them: no fact's key and no order id is used twice."""
    facts = [
        replace(a_fact(sequence=number), signal_id=f"{STRATEGY}/{SYMBOL}#{number // 2}") for number in (1, 2, 3, 11)
    ]
    await ledger.record([*facts, a_fact("A/Y", 7)], ())
    with LedgerReader(path) as reader:
        assert {(STRATEGY, SYMBOL): (11, 5), (STRATEGY, "A/Y"): (7, 1)} == reader.last_numbers()


def test_a_missing_ledger_is_told_in_a_sentence(tmp_path):
    """And none is made by asking."""
    with pytest.raises(BadInput, match=r"there is no ledger at .*: it is made when livebot first runs"):
        LedgerReader(tmp_path / "ledger.sqlite")
    assert [] == list(tmp_path.iterdir())


def test_a_database_of_something_else_is_no_ledger(path):
    """It has other tables."""
    with sqlite3.connect(path) as connection:
        connection.execute("create table trades (x)")
    connection.close()
    with pytest.raises(BadInput, match="is not a ledger that this version of livebot reads"):
        LedgerReader(path)


def test_a_broken_file_cannot_be_read(path):
    """As when writing."""
    path.write_bytes(b"x" * 4096)
    with pytest.raises(Fatal, match="broken or not a ledger"):
        LedgerReader(path)


async def test_a_ledger_locked_for_good_cannot_be_read_now(ledger, path, monkeypatch):
    """Only somebody who does not use WAL can do that."""
    monkeypatch.setattr("livebot.adapters.ledger.ledger_tables.BUSY_TIMEOUT_SECONDS", 0.01)
    await ledger.close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA journal_mode=DELETE")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Transient, match="locked"):
        LedgerReader(path)
    other.close()


def test_a_ledger_in_memory_or_on_a_server_is_opened_by_its_url():
    """No file is looked for; this one is empty, so it is no ledger."""
    with pytest.raises(BadInput, match="is not a ledger"):
        LedgerReader("sqlite://")


async def test_a_row_that_no_livebot_wrote_is_refused(ledger, path):
    """Rather than left out of a report."""
    await ledger.record([a_fact()], ())
    with sqlite3.connect(path) as connection:
        connection.execute("update facts set payload = '{}'")
    connection.close()
    with LedgerReader(path) as reader, pytest.raises(BadInput, match="not a Fact"):
        list(reader.facts())


async def test_the_reader_cannot_write(ledger, path):
    """Reports may be run by anybody who may read the file."""
    with (
        LedgerReader(path) as reader,
        pytest.raises(DBAPIError, match="readonly"),
        reader._engine.begin() as connection,
    ):
        connection.exec_driver_sql("delete from facts")
