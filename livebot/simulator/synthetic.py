"""A seeded market that never ends: correlated symbols, calm, normal and wild times, jumps, and prices that stay sane.

Rules of this file: everything is a function of (seed, symbol, minute).  There is no generator that would have to be
wound forward: random numbers are hashes of a counter, so that any minute of any year costs the same.

How a price is made.  Time is cut into blocks of 240 minutes (each symbol at an offset of its own, so that not all
symbols compute in the same minute).  The log price at a block's start is a sum of random steps on scales of 1, 4, 16,
... blocks, interpolated; their sizes make it wander like a random walk up to some weeks and stay near the base price
over years.  Inside a block it is a random walk in minutes, pulled at its end to the start of the next block: returns
are the market's own (shared by all symbols) and the symbol's, each scaled by a regime that switches at random times,
plus rare jumps.  High and low are drawn from the extremes of a Brownian bridge between open and close.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2s

import numpy as np
import numpy.typing as npt

from livebot.core.market import MINUTE_MS, Candle, Instrument
from livebot.core.series import CandleSeries, Floats
from livebot.simulator.market import Fees, instrument_for, lot_decimals, parts_of, tick_decimals

Counters = npt.NDArray[np.uint64]
Minutes = npt.NDArray[np.int64]

BLOCK = 240  # minutes
_HELD = BLOCK // 3  # minutes held of a block, which is made anew for the next part: 3,200 bytes a symbol
_CHUNK = 16  # blocks made at once, to bound what a long history takes
_SCALES = 4 ** np.arange(6, dtype=np.int64)  # in blocks: 4 hours .. 170 days
_STEP = 0.61  # makes the sum of all scales move as much in a block as the minutes inside it do
_SCALE_LIMIT = 0.1  # in log price, for one scale
_MINUTES_PER_DAY = 1440

_BASE_PRICES = {
    "BTC": 60_000.0,
    "ETH": 3_000.0,
    "SOL": 150.0,
    "BNB": 600.0,
    "XRP": 0.6,
    "DOGE": 0.15,
    "ADA": 0.5,
    "AVAX": 30.0,
    "LINK": 15.0,
    "LTC": 80.0,
    "DOT": 6.0,
    "BCH": 400.0,
    "NEAR": 5.0,
    "UNI": 9.0,
    "TRX": 0.15,
    "XLM": 0.1,
    "ATOM": 7.0,
    "FIL": 5.0,
    "APT": 9.0,
    "ARB": 0.9,
}
_DAILY_VOLATILITY = {"BTC": 0.022, "ETH": 0.03, "BNB": 0.026, "LTC": 0.032}

_REGIMES = np.array([0.5, 1.0, 2.2])  # calm, normal, wild
_REGIME_BOUNDS = np.array([0.35, 0.85])  # their shares of the time: 35 %, 50 %, 15 %
_SWITCH = 1 / 45  # a regime lasts 45 minutes on average
_JUMP = 1 / 3_000  # per minute and symbol
_MARKET_JUMP = 1 / 15_000
_JUMP_SIZE = 5.0  # in minute volatilities, up to twice that

# One hash of a minute serves several draws where they need few bits.
_NOISE, _REGIME, _JUMPING, _EXTREMES, _TRADING = range(5)
_LANES = 5

_GAMMA = 0x9E3779B97F4A7C15
_MIX_1 = 0xBF58476D1CE4E5B9
_MIX_2 = 0x94D049BB133111EB
_EVEN_PARTS = np.uint64(0x0000FFFF0000FFFF)
_LOWER_HALF = np.uint64(0xFFFFFFFF)


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticSettings:
    """`volatility` scales all moves (1 is like real large coins, 3 to 5 shows stops and targets within an hour of
    market time); `correlation` is that of the symbols' minute returns in normal times, 0 to 1.
    """

    seed: int = 1
    volatility: float = 1.0
    correlation: float = 0.4
    fees: Fees = field(default_factory=Fees)


def symbol_names(count: int, *, quote: str = "USDT", perpetual: bool = True) -> tuple[str, ...]:
    """Names for a market of that many symbols: the well-known ones first, then C020, C021 ..."""
    bases = [*_BASE_PRICES, *(f"C{number:03d}" for number in range(len(_BASE_PRICES), count))][:count]
    return tuple(f"{base}/{quote}:{quote}" if perpetual else f"{base}/{quote}" for base in bases)


class _Profile:
    """What is constant of one symbol."""

    def __init__(self, symbol: str, settings: SyntheticSettings) -> None:
        base = parts_of(symbol)[0]
        self.key = _key(settings.seed, symbol)
        character = _uniform(_hash(np.arange(4, dtype=np.uint64), _key(settings.seed, f"{symbol} character")))
        self.price = _BASE_PRICES.get(base) or float(10 ** (4.0 * character[0] - 1.5))
        daily = _DAILY_VOLATILITY.get(base) or 0.035 + 0.035 * float(character[1])
        self.volatility: float = settings.volatility * daily / _MINUTES_PER_DAY**0.5
        self.turnover = float(10 ** (4.3 + 2.0 * character[2]))  # quote a minute
        self.offset = int(self.key % BLOCK)
        self.anchor_sources = (
            (_key(settings.seed, f"{symbol} anchors"), (1.0 - settings.correlation) ** 0.5),
            (_key(settings.seed, "the whole market's anchors"), settings.correlation**0.5),
        )
        self.amplitudes = np.minimum(
            _STEP * self.volatility * BLOCK**0.5 * _SCALES.astype(np.float64) ** 0.5, _SCALE_LIMIT
        )
        self.decimals = tick_decimals(self.price)
        self.lot_decimals = lot_decimals(self.price)
        self.instrument = instrument_for(symbol, self.price, self.decimals, settings.fees)


class SyntheticMarket:
    """The market of one seed.  Holds a part of a block (3 KB) per symbol; everything else is computed when asked for."""

    def __init__(self, symbols: Sequence[str], settings: SyntheticSettings, *, first_ms: int = 0) -> None:
        """Prepare the symbols.

        Raises:
            BadInput: a symbol has an unknown form.

        """
        self._settings = settings
        self._first_ms = first_ms - first_ms % MINUTE_MS
        self._profiles: dict[str, _Profile] = {}
        self._blocks: dict[str, tuple[int, Floats]] = {}
        self._market_key = _key(settings.seed, "the whole market")
        self._market_moves = lru_cache(maxsize=4)(self._make_market_moves)
        self.add(symbols)

    @property
    def symbols(self) -> tuple[str, ...]:
        """All, in the order given."""
        return tuple(self._profiles)

    @property
    def first_ms(self) -> int:
        """As given; history reaches back further."""
        return self._first_ms

    @property
    def end_ms(self) -> int | None:
        """It never ends."""
        return None

    def add(self, symbols: Sequence[str]) -> None:
        """Trade these too.  Raises BadInput for a symbol of unknown form."""
        for symbol in symbols:
            if symbol not in self._profiles:
                self._profiles[symbol] = _Profile(symbol, self._settings)

    def identity(self, symbol: str) -> str:
        """Seed and shape."""
        given = self._settings
        return f"synthetic: seed {given.seed}, volatility {given.volatility:g}, correlation {given.correlation:g}"

    def instrument(self, symbol: str) -> Instrument:
        """Steps fit the base price."""
        return self._profiles[symbol].instrument

    def price(self, symbol: str, minute_ms: int) -> float:
        """The open of the candle that begins at `minute_ms`."""
        values, index = self._place(symbol, minute_ms)
        return float(values[0, index])

    def candle(self, symbol: str, minute_ms: int) -> Candle:
        """The candle that begins at `minute_ms`."""
        values, index = self._place(symbol, minute_ms)
        return Candle(minute_ms, *values[:, index].tolist())

    def candles(self, symbol: str, first_ms: int, stop_ms: int) -> CandleSeries:
        """All candles that begin in [first_ms, stop_ms)."""
        profile = self._profiles[symbol]
        first, stop = -(-first_ms // MINUTE_MS), -(-stop_ms // MINUTE_MS)
        parts = []
        block, last = (first + profile.offset) // BLOCK, (stop - 1 + profile.offset) // BLOCK
        while block <= last:
            count = min(_CHUNK, last - block + 1)
            begin = block * BLOCK - profile.offset
            made = self._make(profile, block, count)
            parts.append(made[:, max(first - begin, 0) : stop - begin])
            block += count
        values = np.concatenate(parts, axis=1) if parts else np.empty((5, 0))
        ts_ms = np.arange(first, first + values.shape[1], dtype=np.int64) * MINUTE_MS
        return CandleSeries(
            ts_ms=ts_ms, open=values[0], high=values[1], low=values[2], close=values[3], volume=values[4]
        )

    def latest_close(self, symbol: str, now_ms: int) -> int:
        """There are no gaps."""
        return now_ms - now_ms % MINUTE_MS

    def begins_ms(self, symbol: str) -> None:
        """It has been there for ever."""

    def _place(self, symbol: str, minute_ms: int) -> tuple[Floats, int]:
        profile = self._profiles[symbol]
        part, index = divmod(minute_ms // MINUTE_MS + profile.offset, _HELD)
        held = self._blocks.get(symbol)
        if held is None or held[0] != part:
            block, start = divmod(part * _HELD, BLOCK)
            held = (part, self._make(profile, block, 1)[:, start : start + _HELD].copy())
            self._blocks[symbol] = held
        return held[1], index

    def _make(self, profile: _Profile, block: int, count: int) -> Floats:
        """Candles of `count` blocks: rows open, high, low, close, volume."""
        begin = block * BLOCK - profile.offset
        minutes = np.arange(begin, begin + count * BLOCK, dtype=np.int64)
        draws = _hash_lanes(minutes, profile.key)
        scale = _regimes(draws[_REGIME].reshape(count, BLOCK))
        moves = self._moves(profile, draws, scale, minutes)
        anchors = _anchors(profile, np.arange(block, block + count + 1, dtype=np.int64))
        closes = _walk(moves, anchors)
        edges = np.empty((count, BLOCK + 1))
        edges[:, 0], edges[:, 1:] = anchors[:-1], closes
        return _candles_of(profile, edges, scale, draws)

    def _moves(self, profile: _Profile, draws: Counters, scale: Floats, minutes: Minutes) -> Floats:
        """Log returns by minute, before the path is pulled to the anchors."""
        first_block = int(minutes[0]) // BLOCK
        blocks = int(minutes[-1]) // BLOCK - first_block + 1
        start = int(minutes[0]) - first_block * BLOCK
        shared = self._market_moves(first_block, blocks)[start : start + len(minutes)].reshape(scale.shape)
        own = _normal(draws[_NOISE]).reshape(scale.shape) * scale
        correlation = self._settings.correlation
        moves: Floats = own * (1.0 - correlation) ** 0.5 + shared * correlation**0.5
        moves += _jumps(draws[_JUMPING], _JUMP).reshape(scale.shape)
        return moves * profile.volatility

    def _make_market_moves(self, block: int, count: int) -> Floats:
        minutes = np.arange(block * BLOCK, (block + count) * BLOCK, dtype=np.int64)
        draws = _hash_lanes(minutes, self._market_key)
        scale = _regimes(draws[_REGIME].reshape(count, BLOCK)).ravel()
        return _normal(draws[_NOISE]) * scale + _jumps(draws[_JUMPING], _MARKET_JUMP)


def _walk(moves: Floats, anchors: Floats) -> Floats:
    """Log prices at the end of each minute: a random walk per block, bent so that it ends where the next one starts."""
    path = np.cumsum(moves, axis=1)
    share = np.arange(1, BLOCK + 1) / BLOCK
    path += share * (anchors[1:] - anchors[:-1] - path[:, -1])[:, None]
    path += anchors[:-1, None]
    path[:, -1] = anchors[1:]  # exactly, so that the open of the next block is this close
    return path


def _candles_of(profile: _Profile, edges: Floats, scale: Floats, draws: Counters) -> Floats:
    begin, end = edges[:, :-1].ravel(), edges[:, 1:].ravel()
    change = end - begin
    spread = 2.0 * (profile.volatility * scale.ravel()) ** 2
    upper, lower = _halves(draws[_EXTREMES])
    square = change * change
    # The distribution of a Brownian bridge's maximum and minimum, by inversion.
    high = 0.5 * (begin + end + np.sqrt(square - spread * np.log(upper)))
    low = 0.5 * (begin + end - np.sqrt(square - spread * np.log(lower)))
    values = np.empty((5, len(begin)))
    for row, logs in enumerate((begin, high, low, end)):
        values[row] = _on_tick(profile, logs)
    np.maximum(values[1], np.maximum(values[0], values[3]), out=values[1])
    np.minimum(values[2], np.minimum(values[0], values[3]), out=values[2])
    activity = scale.ravel() * (0.3 + _uniform(draws[_TRADING])) * (1.0 + np.sqrt(square / spread))
    values[4] = np.round(profile.turnover * activity / values[3], profile.lot_decimals)
    return values


def _on_tick(profile: _Profile, logs: Floats) -> Floats:
    ticks: Floats = np.rint(np.exp(logs) * (profile.price * 10.0**profile.decimals))
    return np.maximum(ticks, 1.0) / 10.0**profile.decimals


def _anchors(profile: _Profile, blocks: Minutes) -> Floats:
    """Log distance from the base price at the start of each block: the symbol's own and its share of the market's."""
    scales = _SCALES[:, None]
    left = blocks // scales
    share = (blocks - left * scales) / scales
    counters = left * 8 + np.arange(len(_SCALES), dtype=np.int64)[:, None]
    total = np.zeros(len(blocks))
    for key, weight in profile.anchor_sources:
        before = _normal(_hash(counters.astype(np.uint64), key))
        after = _normal(_hash((counters + 8).astype(np.uint64), key))
        # Row by row: a sum over an axis may group the terms differently for another length.
        for row in profile.amplitudes[:, None] * (before * (1.0 - share) + after * share):
            total += row * weight
    return total


def _regimes(draws: Counters) -> Floats:
    """Volatility factor by minute: a Markov chain that at a switch draws anew, and always draws at a block's start."""
    switch, choice = _halves(draws)
    switch[:, 0] = 0.0
    since = np.maximum.accumulate(np.where(switch < _SWITCH, np.arange(draws.shape[1]), 0), axis=1)
    chosen = np.take_along_axis(choice, since, axis=1)
    factors: Floats = _REGIMES[np.searchsorted(_REGIME_BOUNDS, chosen)]
    return factors


def _jumps(draws: Counters, probability: float) -> Floats:
    chance, size = _halves(draws)
    signed = (1.0 + np.abs(2.0 * size - 1.0)) * np.sign(size - 0.5) * _JUMP_SIZE
    return np.where(chance < probability, signed, 0.0)


# Random numbers: a hash of a counter (the finaliser of splitmix64), read as uniform or, by adding its four 16-bit
# parts, as nearly normal (no more than 3.5 deviations; the tails of the market come from regimes and jumps).


def _key(seed: int, text: str) -> int:
    return int.from_bytes(blake2s(f"{seed}|{text}".encode(), digest_size=8).digest(), "big")


def _hash(counters: Counters, key: int) -> Counters:
    mixed = counters * np.uint64(_GAMMA) + np.uint64(key)
    mixed ^= mixed >> np.uint64(30)
    mixed *= np.uint64(_MIX_1)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(_MIX_2)
    mixed ^= mixed >> np.uint64(31)
    return mixed


def _hash_lanes(minutes: Minutes, key: int) -> Counters:
    lanes = np.arange(_LANES, dtype=np.int64)[:, None]
    return _hash((minutes * 8 + lanes).astype(np.uint64), key)


def _uniform(draws: Counters) -> Floats:
    return (draws >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _halves(draws: Counters) -> tuple[Floats, Floats]:
    """Two uniforms in (0, 1) of one hash."""
    upper = ((draws >> np.uint64(32)).astype(np.float64) + 0.5) * 2.0**-32
    lower = ((draws & _LOWER_HALF).astype(np.float64) + 0.5) * 2.0**-32
    return upper, lower


def _normal(draws: Counters) -> Floats:
    pairs = (draws & _EVEN_PARTS) + ((draws >> np.uint64(16)) & _EVEN_PARTS)
    total = (pairs & _LOWER_HALF) + (pairs >> np.uint64(32))
    return (total.astype(np.float64) - 131_070.0) * (1.0 / 37_837.227)  # mean and deviation of such a sum
