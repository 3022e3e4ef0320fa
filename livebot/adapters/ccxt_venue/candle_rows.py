"""How each venue writes candles on its stream, and how many topics it takes in one request.

Rules of this file: pure, ccxt is not imported; a message is read as a whole or not at all (BadInput); whether a candle is
closed is the venue's own word (`confirm`, `x`), which ccxt's parsed rows leave out.

How long a market without trades is silent.  Binance pushes a candle "every 250 milliseconds (if existing)", that is when
it has changed: in our captures of the futures stream a quiet contract says nothing for 10 s and more, and the closing
message comes up to 2.1 s after the minute.  Bybit documents a push every 1 to 60 s.  So silence alone proves nothing on
either venue; only REST can tell a quiet market from a dead stream.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from livebot.core.market import Candle, Timeframe
from livebot.errors import BadInput
from livebot.features.timeframes import check_candle

Heard = tuple[str, Candle, bool]  # the venue's topic, the candle, whether it is closed


@dataclass(frozen=True, slots=True)
class Dialect:
    """One venue's candle stream.

    `topic` names the one-minute candles of a market id; `read` takes a message apart, raising BadInput; a request holds
    at most `most_topics`, and `most_characters` of topics with their quotes and commas.
    """

    topic: Callable[[str], str]
    read: Callable[[Mapping[str, Any]], list[Heard]]
    most_topics: int
    most_characters: int

    def frames(self, topics: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
        """Symbols (keys) in groups whose topics (values) fit into one request."""
        group: list[str] = []
        length = 0
        for symbol, topic in topics.items():
            size = len(topic) + 3
            if group and (len(group) == self.most_topics or length + size > self.most_characters):
                yield tuple(group)
                group, length = [], 0
            group.append(symbol)
            length += size
        if group:
            yield tuple(group)


def dialect_of(exchange_id: str, market: str) -> Dialect:
    """How a venue speaks in a market.

    Raises:
        BadInput: its stream is not known to livebot.

    """
    found = _DIALECTS.get((exchange_id, market))
    if found is None:
        known = ", ".join(sorted(f"{venue} {kind}" for venue, kind in _DIALECTS))
        message = f"the candle stream of {exchange_id} {market} is not known to livebot; known are {known}"
        raise BadInput(message)
    return found


def candles_of(rows: Iterable[Sequence[Any]], timeframe: Timeframe) -> tuple[Candle, ...]:
    """Rows of a REST answer (opening time, open, high, low, close, volume; numbers or text), oldest first, each once.

    Raises:
        BadInput: one of them cannot be true.

    """
    found: dict[int, Candle] = {}
    for row in rows:
        candle = _candle(*row[:6])
        check_candle(candle, timeframe)
        found[candle.ts_ms] = candle
    return tuple(found[ts_ms] for ts_ms in sorted(found))


def _candle(*values: Any) -> Candle:  # noqa: ANN401 - what a venue sent
    try:
        ts_ms, opened, high, low, close, volume = values
        return Candle(int(ts_ms), float(opened), float(high), float(low), float(close), float(volume))
    except (TypeError, ValueError) as error:
        message = f"a candle {values!r:.200} is not six numbers"
        raise BadInput(message) from error


def _heard(topic: Any, row: Mapping[str, Any], names: Sequence[str], closed: str) -> Heard:  # noqa: ANN401
    candle = _candle(*(row[name] for name in names))
    check_candle(candle)
    if not isinstance(topic, str) or not isinstance(row[closed], bool):
        message = f"the candle {candle.ts_ms} of {topic!r:.80} does not say whether it is closed"
        raise BadInput(message)
    return topic, candle, row[closed]


def _read_bybit(message: Mapping[str, Any]) -> list[Heard]:
    try:
        return [_heard(message["topic"], row, _BYBIT_NAMES, "confirm") for row in message["data"]]
    except (KeyError, TypeError) as error:
        raise BadInput(_unreadable(message)) from error


def _read_binance(message: Mapping[str, Any]) -> list[Heard]:
    try:
        row = message["k"]
        return [_heard(f"{row['s'].lower()}@kline_{row['i']}", row, _BINANCE_NAMES, "x")]
    except (KeyError, TypeError, AttributeError) as error:
        raise BadInput(_unreadable(message)) from error


def _unreadable(message: object) -> str:
    return f"a message of the candle stream cannot be read: {message!r:.300}"


_BYBIT_NAMES = ("start", "open", "high", "low", "close", "volume")
_BINANCE_NAMES = ("t", "o", "h", "l", "c", "v")


def _bybit(most_topics: int) -> Dialect:
    # 21,000 characters of topics in one request, as documented; on spot ten topics
    return Dialect(lambda market_id: f"kline.1.{market_id}", _read_bybit, most_topics, 20_000)


# Binance reads at most 4,096 bytes of a request and then says nothing at all; ccxt sends one request of any length.
_BINANCE = Dialect(lambda market_id: f"{market_id.lower()}@kline_1m", _read_binance, 200, 3_900)
_DIALECTS: Mapping[tuple[str, str], Dialect] = {
    ("bybit", "spot"): _bybit(10),
    ("bybit", "perpetual"): _bybit(1_000),
    ("binance", "spot"): _BINANCE,
    ("binance", "perpetual"): _BINANCE,
    ("binanceusdm", "perpetual"): _BINANCE,
}
