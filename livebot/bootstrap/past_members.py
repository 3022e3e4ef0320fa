"""Who of the stored symbols was in a config's universe when, for a backtest.

Rules of this file: the choice is the daemon's, made at the same times on the candles that had closed by then; what candles
do not tell is said in a note and keeps nobody out; notes are few, however many symbols come and go.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from livebot.backtest.membership import Spans
from livebot.backtest.tape import moment
from livebot.bootstrap.choice import rules_of
from livebot.config.model import Config
from livebot.config.universe import UniverseConfig
from livebot.core.market import MINUTE_MS, Timeframe
from livebot.core.universe import hard_check
from livebot.core.universe_rules import Listing
from livebot.errors import BadInput
from livebot.history.table import CandleTable
from livebot.history.universe_facts import past_universe
from livebot.simulator.market import parts_of

NAMED = 24  # symbols in the notes
TIMES = 3  # of one symbol that comes and goes


@dataclass(frozen=True, slots=True)
class PastMembers:
    """`spans` of each symbol that was a member at some time; `notes` for the reader of a report."""

    spans: Mapping[str, Spans]
    notes: tuple[str, ...]


def candidates(config: Config, section: UniverseConfig, symbols: Iterable[str], where: Path) -> tuple[str, ...]:
    """Those that could be members by their names, sorted; `where` their candles are.  Raises BadInput: none could."""
    there = sorted(symbols)
    rules = rules_of(config, section)
    found = tuple(symbol for symbol in there if hard_check(rules, _listing(symbol)) is None)
    if not found:
        raise BadInput(
            f"universe: {where} has candles of {len(there)} {config.market} symbols, and none of them passes quote, allow "
            "and deny; fetch others with `livebot data fetch`, or say which symbols with --symbols"
        )
    return found


def _listing(symbol: str) -> Listing:
    base, quote, perpetual = parts_of(symbol)
    return Listing(symbol=symbol, base=base, quote=quote, market="perpetual" if perpetual else "spot")


def past_members(
    config: Config,
    section: UniverseConfig,
    tables: Mapping[str, CandleTable],
    base: Timeframe,
    start_ms: int,
    end_ms: int,
) -> PastMembers:
    """The universe from `start_ms` to `end_ms`, both UTC milliseconds and whole minutes.

    Raises:
        BadInput: it was empty all the time.

    """
    refresh_ms = section.refresh_minutes * MINUTE_MS
    past = past_universe(rules_of(config, section), tables, base, start_ms, end_ms, refresh_ms)
    if not past.spans:
        raise BadInput(
            f"universe: none of the {len(tables)} symbols that have candles passed its filters at any time from "
            f"{_day(start_ms)} to {_day(end_ms)}; loosen them, or say which symbols with --symbols"
        )
    spans = {symbol: tuple((span.first_ms, span.stop_ms) for span in found) for symbol, found in past.spans.items()}
    head = (
        f"universe: chosen anew every {section.refresh_minutes} minutes from the candles of {len(tables)} symbols; "
        f"{len(spans)} of them were in at some time"
    )
    return PastMembers(spans, (head, *_told(spans, start_ms, end_ms), *past.notes, *_untold(section)))


def _told(spans: Mapping[str, Spans], start_ms: int, end_ms: int) -> Iterator[str]:
    """Who was in when."""
    always = [symbol for symbol, found in spans.items() if found == ((start_ms, end_ms),)]
    others = [symbol for symbol in spans if symbol not in always]
    if always:
        yield f"universe: in all the time: {_list(always)}"
    for symbol in others[:NAMED]:
        times = [f"{_day(first_ms)} to {_day(stop_ms)}" for first_ms, stop_ms in spans[symbol][:TIMES]]
        more = len(spans[symbol]) - len(times)
        yield f"universe: {symbol} in from {', '.join(times)}" + (f" and {more} more times" if more else "")
    if others[NAMED:]:
        yield f"universe: {len(others) - NAMED} more symbols came and went"


def _untold(section: UniverseConfig) -> Iterator[str]:
    """What candles do not tell of a universe."""
    yield (
        "universe: candles do not tell when a venue stops trading a symbol; it counts as listed from its first candle to "
        "a day after its last one"
    )
    if section.minimum_age_days is not None:
        yield "universe: minimum_age_days counts from a symbol's first stored candle, which may be later than its listing"


def _list(symbols: Sequence[str]) -> str:
    more = len(symbols) - NAMED
    return ", ".join(symbols[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _day(ts_ms: int) -> str:
    return moment(ts_ms // MINUTE_MS)
