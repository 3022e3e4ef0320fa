"""`livebot data`: as an operator and as a script call it."""

import json
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import certifi
import pytest
from typer.testing import CliRunner

from livebot.adapters.state_files.file_layer import SystemFiles
from livebot.bootstrap import candles
from livebot.cli import data_progress
from livebot.cli.app import app
from livebot.cli.data_progress import FetchProgress, FilesProgress
from livebot.cli.data_view import print_fetched
from livebot.core.market import MINUTE_MS, Timeframe
from livebot.history.fetching import Fetched, Progress
from livebot.history.place import Place
from livebot.history.store import CandleStore, Counts
from livebot.history.table import CandleTable
from tests.history.builders import PLACE, START_MS, changed, same, table
from tests.process.daemons import CHECKOUT, environment

ETH = Place("bybit", "perpetual", Timeframe.M1, "ETH/USDT:USDT")
CONFIG = "system: demo\nmarket: perpetual\nsymbols: [BTC/USDT:USDT]\nstrategies: [{name: ema_cross}]\n"
PATIENCE_S = 60.0


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(monkeypatch, tmp_path):
    for name in ("STATE_DIRECTORY", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)


def call(*arguments, code=0):
    result = CliRunner().invoke(app, ["data", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


def put(folder: Path, found: CandleTable, place: Place = PLACE) -> Path:
    store = CandleStore(folder, SystemFiles())
    with store.writing(place) as writer:
        writer.merge(found)
    return store.path_of(place)


def rows_of(found: CandleTable) -> str:
    return json.dumps([[int(ts), *found.values[:, index].tolist()] for index, ts in enumerate(found.ts_ms)])


class TestList:
    def test_what_there_is(self, tmp_path):
        put(tmp_path / "candles", table(100))
        put(tmp_path / "candles", table(5), ETH)
        text = call("list").stdout
        assert "bybit" in text
        assert "BTC/USDT:USDT       100   2023-11-15 00:00   2023-11-15 01:40" in text
        assert "2 files, " in text
        assert f"in {tmp_path / 'candles'}" in text
        [only] = json.loads(call("list", "--symbols", "ETH/USDT:USDT", "--json").stdout)["files"]
        assert (only["symbol"], only["timeframe"], only["rows"], only["first_ms"]) == (
            "ETH/USDT:USDT",
            "1m",
            5,
            START_MS,
        )
        assert call("list", "--timeframe", "1h").stdout.startswith(f"{tmp_path / 'candles'}: no candles; fetch some")

    def test_the_folder_of_the_config_the_root_or_the_option(self, tmp_path):
        (tmp_path / "mine.yaml").write_text(CONFIG + "paths: {candles: kept/candles}\n")
        put(tmp_path / "kept/candles", table(3))
        put(tmp_path / "root/candles", table(4))
        put(tmp_path / "else", table(5))
        for options, rows in (
            (("--config", "mine.yaml"), 3),
            (("--root", "root"), 4),
            (("--folder", "else"), 5),
        ):
            assert [each["rows"] for each in json.loads(call("list", "--json", *options).stdout)["files"]] == [rows]
        assert "absent.yaml" in call("list", "--config", "absent.yaml", code=2).stderr

    def test_a_file_that_cannot_be_read(self, tmp_path):
        path = put(tmp_path / "candles", table(100))
        path.write_bytes(b"broken")
        assert f"{path}: is not a whole parquet file" in call("list").stdout


class TestCheck:
    def test_sound_candles(self, tmp_path):
        put(tmp_path / "candles", table(100))
        text = call("check").stdout
        assert "100.00%" in text
        assert "1 files: nothing would change a backtest" in text

    def test_what_is_wrong_is_named_and_the_exit_is_3(self, tmp_path):
        put(tmp_path / "candles", table([*range(50), *range(60, 100)]))
        put(tmp_path / "candles", table([*range(50), *range(55, 100)]), ETH)
        path = tmp_path / "candles/bybit/perpetual/1m/BTC-USDT_USDT.parquet"
        text = call("check", code=3).stdout
        assert f"{path}: missing here: 2023-11-15 00:55 to 2023-11-15 01:00, 5 candles (5 min)" in text
        filling = "--exchange bybit --market perpetual --symbols BTC/USDT:USDT --timeframe 1m --since 2023-11-15"
        assert f"{path}: fill them with: livebot data fetch {filling}" in text
        assert "1 of 2 files would change a backtest" in text
        assert "94.73%" in text
        told = json.loads(call("check", "--json", code=3).stdout)
        btc, eth = told["files"]
        assert (told["sound"], btc["sound"], eth["sound"]) == (False, False, True)
        assert [gap["venue"] for gap in btc["gaps"]] == [True, False]
        assert (btc["rows"], btc["expected"]) == (90, 95)
        call("check", "--symbols", "ETH/USDT:USDT", code=3)  # alone, nobody can say whose fault its gap is

    def test_files_by_name(self, tmp_path):
        path = put(tmp_path / "other", table(20))
        assert "1 files: nothing" in call("check", path).stdout
        assert "is not there; name a file or folder" in call("check", tmp_path / "absent", code=2).stderr

    def test_many_gaps_are_cut_and_it_is_said_how_many(self, tmp_path):
        put(tmp_path / "candles", table([*range(50), *range(52, 80, 2)]))
        text = call("check", code=3).stdout
        assert text.count("missing here") == 5
        assert "shorter gaps more (all in --json); fill them with" in text

    def test_bad_rows_in_a_file_of_another_program(self, tmp_path):
        import pyarrow as pa
        from pyarrow import parquet

        wrong = changed(changed(table(80), 3, 60, 990.0), 1, 60, 990.0)
        wrong = changed(wrong, 2, 7, 0.0)
        columns = dict(zip(("open", "high", "low", "close", "volume"), wrong.values, strict=True))
        path = tmp_path / "BTCUSDT.parquet"
        parquet.write_table(pa.table({"ts_ms": wrong.ts_ms, **columns}), path)
        text = call("check", path, code=3).stdout
        assert f"{path}: row 8: low is 0.0, at 2023-11-15 00:07; fetch the candles again, or drop the row" in text
        parquet.write_table(pa.table({"ts_ms": wrong.ts_ms, **columns, "low": table(80).values[2]}), path)
        text = call("check", path).stdout
        assert "note: BTCUSDT 1m: row 61: the close moves by +" in text

    def test_nothing_to_check(self, tmp_path):
        assert "has no candles of what was asked for" in call("check", code=2).stderr
        put(tmp_path / "candles", table(3))
        assert "has no candles of XRP/USDT" in call("check", "--symbols", "XRP/USDT,BTC/USDT:USDT", code=2).stderr
        assert "--symbols is empty" in call("check", "--symbols", " , ", code=2).stderr


class TestImport:
    def test_files_come_into_the_store_and_bad_ones_are_named(self, tmp_path):
        (tmp_path / "in").mkdir()
        (tmp_path / "in/BTC_USDT-1m.json").write_text(rows_of(table(10)))
        (tmp_path / "in/ETH_USDT-1m.json").write_text(rows_of(changed(table(10), 1, 4, 0.5)))
        (tmp_path / "in/BTC_USDT-1h-mark.json").write_text("[]")
        result = call("import", "in", "--exchange", "binance", "--market", "spot", code=3)
        assert "BTC/USDT   binance spot   1m" in result.stdout
        assert "in/ETH_USDT-1m.json: row 5: open" in result.stdout
        assert "1 files were passed over: by their names they hold no candles" in result.stdout
        assert "1 files were refused; nothing of them was stored" in result.stdout
        store = CandleStore(tmp_path / "candles", SystemFiles())
        assert same(store.read(Place("binance", "spot", Timeframe.M1, "BTC/USDT")), table(10))
        again = json.loads(
            call("import", "in/BTC_USDT-1m.json", "--exchange", "binance", "--market", "spot", "--json").stdout
        )
        [only] = again["imported"]
        assert (only["added"], only["replaced"], only["unchanged"], only["symbol"]) == (0, 0, 10, "BTC/USDT")

    def test_what_the_path_does_not_say_is_said_by_options(self, tmp_path):
        (tmp_path / "x.csv").write_text("a,b,c,d,e,f\n" + rows_of(table(3)).strip("[]").replace("], [", "\n"))
        options = ("--exchange", "kraken", "--market", "spot", "--symbol", "ETH/EUR", "--timeframe", "1m")
        assert "say it with --exchange" in call("import", "x.csv", "--columns", "a,b,c,d,e,f", code=3).stdout
        call("import", "x.csv", *options, "--columns", "a,b,c,d,e,f")
        assert (tmp_path / "candles/kraken/spot/1m/ETH-EUR.parquet").is_file()

    def test_sentences_are_cut_and_it_is_said(self, tmp_path):
        for number in range(25):
            (tmp_path / f"{number}.csv").write_text("")
        assert "... and 5 more (all in --json)" in call("import", *tmp_path.glob("*.csv"), code=3).stdout


class TestFetchUsage:
    @pytest.mark.parametrize(
        ("options", "says"),
        [
            (("--since", "soon"), "--since 'soon': write a date"),
            (("--since", "1d", "--until", "soon"), "--until 'soon': write a date"),
            (("--since", "1d"), "which venue's candles? say it, such as --exchange bybit"),
            (("--since", "1d", "--exchange", "bybit"), "say --market spot or --market perpetual"),
            (("--since", "1d", "--exchange", "bybit", "--market", "spot"), "say --symbols BTC/USDT:USDT"),
            (
                ("--since", "1d", "--exchange", "mtgox", "--market", "spot", "--symbols", "A/B"),
                "'mtgox' is not a venue",
            ),
            (
                ("--since", "1d", "--exchange", "bybit", "--market", "spot", "--symbols", "BTC"),
                "'BTC' is no symbol of a",
            ),
            (("--since", "1d", "--timeframe", "7m"), "'7m' is not a timeframe"),
            (("--since", "1d", "--until", "2d"), "--since is not before --until"),
        ],
    )
    def test_bad_usage(self, options, says):
        defaults = () if "venue" in says or "say --" in says or "no symbol" in says else _WHOSE
        assert says in call("fetch", *defaults, *options, code=2).stderr

    def test_the_simulator_has_no_candles_to_fetch(self, tmp_path):
        (tmp_path / "config.yaml").write_text(CONFIG)
        assert "which venue's candles?" in call("fetch", "--since", "1d", code=2).stderr

    def test_a_venue_that_cannot_give_candles(self, monkeypatch):
        monkeypatch.setattr(candles, "problem_with", lambda *_, **__: "Elsewhere: no candles")
        assert "Elsewhere: no candles" in call("fetch", *_WHOSE, "--since", "1d", code=2).stderr

    def test_results_in_words(self, capsys, tmp_path):
        whole = Fetched("BTC/USDT:USDT", Counts(1_000, 1, 2), 7, 1, ((START_MS, START_MS + 5 * MINUTE_MS),))
        part = Fetched("ETH/USDT:USDT", Counts(), 3, problem="the venue is gone")
        print_fetched((whole, part), tmp_path, as_json=False)
        text = capsys.readouterr().out
        assert ["BTC/USDT:USDT", "1,000", "1", "2", "1", "(5", "min)", "7"] in [
            line.split() for line in text.splitlines()
        ]
        assert "ETH/USDT:USDT: the venue is gone" in text
        assert "1 of 2 symbols are not complete; run the same command again, it goes on from there" in text
        print_fetched((whole, part), tmp_path, as_json=True)
        told = json.loads(capsys.readouterr().out)
        assert told["symbols"][0]["gaps"] == [{"from_ms": START_MS, "to_ms": START_MS + 5 * MINUTE_MS}]
        assert told["symbols"][1]["problem"] == "the venue is gone"


_WHOSE = ("--exchange", "bybit", "--market", "perpetual", "--symbols", "BTC/USDT:USDT")


class TestProgress:
    def test_lines_where_nobody_watches(self, capsys, monkeypatch):
        now = iter([0.0, 1.0, 6.0, 6.0, 7.0])
        monkeypatch.setattr(data_progress, "time", SimpleNamespace(monotonic=lambda: next(now)))
        with FetchProgress() as progress:
            progress.tell(Progress("A", 200, 50, 5))
            progress.tell(Progress("B", 200, 150, 7))
            progress.tell(Progress("B", 200, 200, 9))
        assert capsys.readouterr().err == "fetching 2 symbols: 12 candles, 50% done, 0.0 days of history left\n"

    def test_a_bar_tells_its_share_itself(self, monkeypatch):
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm")
        with FetchProgress() as progress:
            progress.tell(Progress("A", 200, 50, 5))
            assert progress._bar is not None
            assert progress._bar.tasks[0].percentage == 25
            assert progress._bar.tasks[0].description == "fetching 1 symbols: 5 candles"

    def test_a_bar_on_a_terminal(self, monkeypatch):
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm")
        with FilesProgress("importing", 4) as progress:
            assert progress._bar is not None
            progress.tell(Path("x.csv"))
            assert progress._bar.tasks[0].completed == 1
            assert progress._bar.tasks[0].description == "importing 1 of 4 files: x.csv"


class Exchange:
    """`livebot exchange` as its own process, and a config that leads there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        command = [sys.executable, "-m", "livebot", "exchange", "--json", "--symbols", "BTC/USDT:USDT,ETH/USDT:USDT"]
        self.process = subprocess.Popen(
            [*command, "--ca-file", str(folder / "ca.pem")],
            cwd=CHECKOUT,
            env=environment(measured=False),
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        port = json.loads(self.process.stdout.readline())["port"]
        text = CONFIG.replace("[BTC/USDT:USDT]", "[BTC/USDT:USDT, ETH/USDT:USDT]")
        loopback = f"{{port: {port}, ca_file: {folder / 'ca.pem'}}}"
        (folder / "config.yaml").write_text(f"{text}exchange: {{id: bybit, loopback: {loopback}}}\n")

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE_S)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def exchange(tmp_path):
    running = Exchange(tmp_path)
    yield running
    running.close()


# The real command, storing more often than every half minute, and killed by SIGKILL when it is about to store once more.
OFTEN = """
import os, signal
from livebot.bootstrap import candles
from livebot.cli import main
from livebot.history import store
from livebot.history.fetching import FetchSettings

candles.FETCH = FetchSettings(page=100, store_candles=300)
replace_file, stored = store.replace_file, []

def killed(path, *content):
    if len(stored) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    replace_file(path, *content)
    stored.append(path)

store.replace_file = killed
main()
"""


@pytest.mark.process
@pytest.mark.slow
def test_a_fetch_that_is_killed_goes_on_where_it_ended(exchange, tmp_path):
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    since, until = ((now - timedelta(minutes=each)).strftime("%Y-%m-%dT%H:%M") for each in (3_000, 100))
    options = ("fetch", "--config", str(tmp_path / "config.yaml"), "--since", since)
    killed = subprocess.run(
        [sys.executable, "-c", OFTEN, "data", *options, "--until", until],
        cwd=CHECKOUT,
        env=environment(measured=False),
        timeout=PATIENCE_S,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    store = CandleStore(tmp_path / "candles", SystemFiles())
    before = {each.place: store.read(each.place) for each in store.list()}
    assert before
    assert all(len(found) < 2_900 for found in before.values())

    told = json.loads(call(*options, "--until", until, "--json").stdout)
    assert [each["problem"] for each in told["symbols"]] == [None, None]
    for each in told["symbols"]:
        place = Place("bybit", "perpetual", Timeframe.M1, each["symbol"])
        assert each["added"] == 2_900 - len(before.get(place, ()))
        assert each["replaced"] == 0
        assert len(store.read(place)) == 2_900
    call(*options, "--until", until, "--folder", str(tmp_path / "whole"))
    for place in store.places():
        assert same(store.read(place), CandleStore(tmp_path / "whole", SystemFiles()).read(place))

    asked_ms = time.time() * 1000
    call(*options)  # up to now, by the wall's clock: all but the forming candle
    for place in store.places():
        closed_ms = int(store.read(place).ts_ms[-1]) + MINUTE_MS
        assert asked_ms - 2 * MINUTE_MS < closed_ms <= time.time() * 1000
    call("check", "--config", str(tmp_path / "config.yaml"))


def test_a_venue_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr(candles, "ATTEMPTS", 2)
    monkeypatch.setattr(candles, "_BACKOFF_S", 0.01)
    authority = certifi.where()
    loopback = f"{{port: 9, ca_file: {authority}}}"
    (tmp_path / "config.yaml").write_text(f"{CONFIG}exchange: {{id: bybit, loopback: {loopback}}}\n")
    assert "bybit: its clock could not be read" in call("fetch", "--since", "1d", code=3).stderr
