"""`livebot data fetch|import|check|list`: the candle store.

Rules of this file: progress goes to stderr, results to stdout; everything heavy is imported when a command runs.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from livebot.cli.exchange import MarketName
from livebot.cli.options import DEFAULT_CONFIG, root_option
from livebot.errors import BadInput

if TYPE_CHECKING:
    from livebot.bootstrap.candles import Setting
    from livebot.core.market import Timeframe
    from livebot.history.place import Place

EXIT_WRONG = 3
EXAMPLES = {
    "fetch": "livebot data fetch --exchange bybit --market perpetual --symbols BTC/USDT:USDT,ETH/USDT:USDT --since 30d",
    "import": "livebot data import ~/freqtrade/user_data/data/binance --market spot",
    "check": "livebot data check",
    "list": "livebot data list --timeframe 1m",
}

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", metavar="FILE", help="The config (config.yaml if it is there).", show_default=False),
]
RootOption = Annotated[Path | None, root_option("candles/")]
FolderOption = Annotated[
    Path | None,
    typer.Option("--folder", metavar="DIR", help="The store itself, wherever it is.", show_default=False),
]
ExchangeOption = Annotated[
    str | None, typer.Option("--exchange", metavar="NAME", help="Such as bybit or binance.", show_default=False)
]
MarketOption = Annotated[MarketName | None, typer.Option("--market", help="Which market.", show_default=False)]
SymbolsOption = Annotated[
    str | None, typer.Option("--symbols", metavar="A,B", help="Such as BTC/USDT:USDT.", show_default=False)
]
TimeframeOption = Annotated[
    str | None, typer.Option("--timeframe", metavar="LENGTH", help="1m, 5m, 1h, ...", show_default=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def fetch(
    since: Annotated[str, typer.Option(metavar="TIME", help="From then on: 2026-01-31, 2026-01-31T12:00, 30d.")],
    *,
    exchange: ExchangeOption = None,
    market: MarketOption = None,
    symbols: SymbolsOption = None,
    timeframe: Annotated[str, typer.Option(metavar="LENGTH", help="1m, 5m, 1h, ...")] = "1m",
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Up to then; without it, now.", show_default=False)
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Ask also for what is stored; new candles win.")] = False,
    config: ConfigOption = None,
    root: RootOption = None,
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch candles from a venue into the store.

    Only what is missing is asked for, gaps in the middle too; after Ctrl-C, a kill or a failure, the same command goes on
    where it ended.  Candles that have not closed are never stored.  Venue, market and symbols come from the config where
    they are not said; no keys are needed.  Exits 3 if a symbol could not be fetched whole.
    """
    from livebot.bootstrap import candles
    from livebot.cli.data_progress import FetchProgress
    from livebot.cli.data_view import print_fetched
    from livebot.cli.since import since_ms
    from livebot.history.place import timeframe_of

    setting = _setting(config, root, folder)
    now_ms = candles.now_ms()
    request = candles.Request(
        exchange=exchange,
        market=market.value if market else None,
        symbols=_listed(symbols),
        timeframe=timeframe_of(timeframe),
        since_ms=since_ms(since, now_ms),
        until_ms=None if until is None else since_ms(until, now_ms, "--until"),
        again=again,
    )
    with FetchProgress() as progress:
        fetched = candles.fetch_candles(setting, request, progress.tell)
    print_fetched(fetched, setting.store.folder, as_json=as_json)
    if any(each.problem for each in fetched):
        raise typer.Exit(EXIT_WRONG)


def take(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILES|FOLDERS...", help="What to import.", show_default=False)
    ],
    *,
    exchange: ExchangeOption = None,
    market: MarketOption = None,
    symbol: Annotated[
        str | None,
        typer.Option(metavar="SYMBOL", help="Whose candles, where the name does not say.", show_default=False),
    ] = None,
    timeframe: TimeframeOption = None,
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...",
            help="The columns of time,open,high,low,close,volume: names, or numbers from 1.",
            show_default=False,
        ),
    ] = None,
    config: ConfigOption = None,
    root: RootOption = None,
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put candle files of other programs into the store.

    CSV, feather, parquet and JSON, also packed (.gz, .zip): freqtrade's, ccxt's, Binance's monthly files, TradingView's,
    and any other with columns that can be recognised.  Symbol, timeframe, venue and market are read from the path or
    said by options.  Times are seconds, milliseconds, micro- or nanoseconds or ISO text, told by their size.  A file with a
    row that cannot be true is refused whole, with the row and the mend; the others are imported.  Exits 3 then.
    """
    from livebot.bootstrap import candles
    from livebot.cli.data_progress import FilesProgress
    from livebot.cli.data_view import print_imported
    from livebot.history.importing.intake import Given, sources_in
    from livebot.history.importing.run import import_files
    from livebot.history.place import timeframe_of

    setting = _setting(config, root, folder)
    given = Given(
        venue=exchange,
        market=market.value if market else None,
        symbol=symbol,
        timeframe=timeframe_of(timeframe) if timeframe else None,
        columns=columns,
    )
    paths, passed = sources_in(files)
    with FilesProgress("importing", len(paths)) as progress:
        report = import_files(setting.store, paths, given, candles.now_ms(), progress.tell)
    print_imported(report, passed, setting.store.folder, as_json=as_json)
    if report.refused:
        raise typer.Exit(EXIT_WRONG)


def check(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILES|FOLDERS...]", help="What to look at; the store.", show_default=False),
    ] = None,
    *,
    exchange: ExchangeOption = None,
    market: MarketOption = None,
    symbols: SymbolsOption = None,
    timeframe: TimeframeOption = None,
    config: ConfigOption = None,
    root: RootOption = None,
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what is wrong with stored candles.

    Gaps with their times, candles that stand there twice, out of order, at or below zero, inconsistent, repeated by a feed
    that stood still, not closed when they were stored, and jumps.  A candle that is missing in all symbols of a venue (or
    that the venue was asked for and has not) is the venue's outage and counts against nobody.  Rows count from 1.
    Exits 3 if something would change a backtest.
    """
    from livebot.bootstrap import candles
    from livebot.cli.data_progress import FilesProgress
    from livebot.cli.data_view import print_checked
    from livebot.history.inspection import files_of, inspect

    if paths:
        chosen = files_of(paths)
    else:
        setting = _setting(config, root, folder)
        wanted = _places(setting, exchange, market, symbols, timeframe)
        chosen = tuple(setting.store.path_of(place) for place in wanted)
    with FilesProgress("checking", len(chosen)) as progress:
        reports = inspect(chosen, candles.now_ms(), progress.tell)
    print_checked(reports, as_json=as_json)
    if not all(report.sound for report in reports):
        raise typer.Exit(EXIT_WRONG)


def show(
    *,
    exchange: ExchangeOption = None,
    market: MarketOption = None,
    symbols: SymbolsOption = None,
    timeframe: TimeframeOption = None,
    config: ConfigOption = None,
    root: RootOption = None,
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say which candles the store holds, with spans and sizes."""
    from livebot.cli.data_view import print_stored

    setting = _setting(config, root, folder)
    wanted = frozenset(_places(setting, exchange, market, symbols, timeframe, some=False))
    stored = tuple(each for each in setting.store.list() if each.place in wanted)
    print_stored(stored, setting.store.folder, as_json=as_json)


def _setting(config: Path | None, root: Path | None, folder: Path | None) -> "Setting":
    from livebot.bootstrap import candles

    return candles.setting_of(config or DEFAULT_CONFIG, required=config is not None, root=root, folder=folder)


def _listed(symbols: str | None) -> tuple[str, ...] | None:
    if symbols is None:
        return None
    found = tuple(dict.fromkeys(part.strip() for part in symbols.split(",") if part.strip()))
    if not found:
        raise BadInput("--symbols is empty; write such as BTC/USDT:USDT,ETH/USDT:USDT")
    return found


def _places(
    setting: "Setting",
    exchange: str | None,
    market: MarketName | None,
    symbols: str | None,
    timeframe: str | None,
    *,
    some: bool = True,
) -> "list[Place]":
    """What of the store is meant; `some`: it has to be something, and each symbol named has to be there."""
    from livebot.history.place import timeframe_of

    named = _listed(symbols)
    length: Timeframe | None = timeframe_of(timeframe) if timeframe else None
    found = [
        place
        for place in setting.store.places()
        if exchange in (None, place.venue)
        and (market is None or market.value == place.market)
        and (named is None or place.symbol in named)
        and length in (None, place.timeframe)
    ]
    lacking = sorted(set(named or ()) - {place.symbol for place in found})
    if some and (lacking or not found):
        what = ", ".join(lacking) or "what was asked for"
        raise BadInput(f"{setting.store.folder}: has no candles of {what}; `livebot data list` says what there is")
    return found
