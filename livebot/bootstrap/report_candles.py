"""A live report with the candles of the store: for plots, and for volatility regimes.

Rules of this file: a report never fails over a candle file; what cannot be used is a note in it; imported when it is asked for,
for reading candles takes pyarrow.
"""

from collections.abc import Iterable
from dataclasses import replace

from livebot.adapters.state_files.file_layer import SystemFiles
from livebot.config.model import Config
from livebot.config.root import Paths
from livebot.core.market import DAY_MS
from livebot.core.series import CandleSeries
from livebot.errors import BadInput
from livebot.history.place import Place
from livebot.history.store import CandleStore
from livebot.reporting.live_report import LiveReport
from livebot.reporting.performance_report import performance

AROUND_MS = 7 * DAY_MS  # before and after: for the volatility at the first trade, and for what came after the last


def with_candles(report: LiveReport, config: Config, paths: Paths) -> LiveReport:
    """The same report, with the finest candles that the store has of each traded symbol."""
    store = CandleStore(paths.candle_store, SystemFiles())
    record = report.record
    candles: dict[str, CandleSeries] = {}
    notes: list[str] = []
    for place in _finest(store.places(), config, {trade.symbol for trade in record.trades}):
        try:
            table = store.read(place).between(record.start_ms - AROUND_MS, record.end_ms + AROUND_MS)
        except BadInput as error:
            notes.append(f"The candles of {place.symbol} were not used: {error}.")
            continue
        if len(table):
            candles[place.symbol] = table.series()
    if not candles and not notes:
        return report
    record = replace(record, candles=candles, notes=(*record.notes, *notes))
    return replace(report, record=record, performance=performance(record))


def _finest(places: Iterable[Place], config: Config, symbols: set[str]) -> list[Place]:
    found: dict[str, Place] = {}
    for place in sorted(places, key=lambda each: each.timeframe.ms, reverse=True):
        if (place.venue, place.market) == (config.exchange.id, config.market) and place.symbol in symbols:
            found[place.symbol] = place
    return [found[symbol] for symbol in sorted(found)]
