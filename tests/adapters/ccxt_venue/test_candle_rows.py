"""How the venues' candle messages are read, and how symbols are put into requests."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as some

from livebot.adapters.ccxt_venue.candle_rows import Dialect, candles_of, dialect_of
from livebot.core.market import Candle, Timeframe
from livebot.errors import BadInput

BYBIT, BINANCE = dialect_of("bybit", "perpetual"), dialect_of("binance", "perpetual")
# As their documentation prints them; times moved to the opening of a minute.
BYBIT_MESSAGE = """{"topic": "kline.1.BTCUSDT", "type": "snapshot", "ts": 1672324988882, "data": [{"start": 1672324800000,
"end": 1672324859999, "interval": "1", "open": "16649.5", "close": "16677", "high": "16677", "low": "16608",
"volume": "2.081", "turnover": "34666.4005", "confirm": false, "timestamp": 1672324988882}]}"""
BINANCE_MESSAGE = """{"e": "kline", "E": 1638747660000, "s": "BTCUSDT", "k": {"t": 1638747660000, "T": 1638747719999,
"s": "BTCUSDT", "i": "1m", "f": 100, "L": 200, "o": "0.0010", "c": "0.0020", "h": "0.0025", "l": "0.0010", "v": "1000",
"n": 100, "x": true, "q": "1.0000", "V": "500", "Q": "0.500", "B": "123456"}}"""


def test_bybits_message_is_read():
    (heard,) = BYBIT.read(json.loads(BYBIT_MESSAGE))
    assert heard == ("kline.1.BTCUSDT", Candle(1672324800000, 16649.5, 16677, 16608, 16677, 2.081), False)
    assert BYBIT.topic("BTCUSDT") == heard[0]


def test_binances_message_is_read():
    (heard,) = BINANCE.read(json.loads(BINANCE_MESSAGE))
    assert heard == ("btcusdt@kline_1m", Candle(1638747660000, 0.001, 0.0025, 0.001, 0.002, 1000), True)
    assert BINANCE.topic("BTCUSDT") == heard[0]


def test_a_message_of_several_candles_is_read_whole():
    message = json.loads(BYBIT_MESSAGE)
    second = message["data"][0] | {"start": 1672324860000}
    message["data"][0]["confirm"] = True
    message["data"].append(second)
    assert [(candle.ts_ms, closed) for _, candle, closed in BYBIT.read(message)] == [
        (1672324800000, True),
        (1672324860000, False),
    ]


@pytest.mark.parametrize(
    ("dialect", "text", "wrong"),
    [
        (BYBIT, BYBIT_MESSAGE, {"open": "a lot"}),
        (BYBIT, BYBIT_MESSAGE, {"open": None}),
        (BYBIT, BYBIT_MESSAGE, {"high": "16000"}),
        (BYBIT, BYBIT_MESSAGE, {"low": "nan"}),
        (BYBIT, BYBIT_MESSAGE, {"volume": "-1"}),
        (BYBIT, BYBIT_MESSAGE, {"start": 1672324800001}),
        (BYBIT, BYBIT_MESSAGE, {"confirm": "false"}),
        (BINANCE, BINANCE_MESSAGE, {"x": None}),
        (BINANCE, BINANCE_MESSAGE, {"s": 5}),
        (BINANCE, BINANCE_MESSAGE, {"c": "inf"}),
    ],
)
def test_a_candle_that_cannot_be_true_is_refused(dialect, text, wrong):
    message = json.loads(text)
    (message["data"][0] if "data" in message else message["k"]).update(wrong)
    with pytest.raises(BadInput):
        dialect.read(message)


json_values = some.recursive(
    some.none() | some.booleans() | some.integers() | some.text(max_size=5),
    lambda inner: (
        some.lists(inner, max_size=3)
        | some.dictionaries(some.sampled_from(["topic", "data", "k", "s", "i", "t", "x", "start", "confirm"]), inner)
    ),
    max_leaves=8,
)


@given(dialect=some.sampled_from([BYBIT, BINANCE]), message=json_values)
def test_whatever_comes_is_read_or_refused(dialect: Dialect, message):
    try:
        assert isinstance(dialect.read(message), list)
    except BadInput as error:
        assert str(error)


@pytest.mark.parametrize(
    "venue", [("bybit", "spot"), ("bybit", "perpetual"), ("binance", "spot"), ("binance", "perpetual")]
)
def test_every_request_is_within_the_venues_limits(venue):
    dialect = dialect_of(*venue)
    topics = {f"{n}/USDT": dialect.topic(f"COIN{'X' * (n % 13)}{n}USDT") for n in range(1_300)}
    frames = list(dialect.frames(topics))
    assert [symbol for frame in frames for symbol in frame] == list(topics)
    documented = {"bybit": 21_000, "binance": 4_096}[venue[0]]
    for frame in frames:
        assert (
            len(json.dumps({"method": "SUBSCRIBE", "params": [topics[symbol] for symbol in frame], "id": 12345}))
            < documented
        )
        assert len(frame) <= (10 if venue == ("bybit", "spot") else 1_300)
    assert list(dialect.frames({})) == []


def test_a_venue_whose_stream_is_not_known_is_refused_by_name():
    with pytest.raises(
        BadInput, match="the candle stream of kraken spot is not known to livebot; known are binance perp"
    ):
        dialect_of("kraken", "spot")


def test_the_rows_of_an_answer_are_sorted_and_kept_once():
    rows = [
        [120_000, "1", "2", "1", "2", "5"],
        [60_000, 1.0, 2.0, 1.0, 2.0, 0.0],
        [120_000, "1", "2", "1", "1.5", "6", "x"],
    ]
    assert candles_of(rows, Timeframe.M1) == (
        Candle(60_000, 1.0, 2.0, 1.0, 2.0, 0.0),
        Candle(120_000, 1.0, 2.0, 1.0, 1.5, 6.0),
    )


@pytest.mark.parametrize(
    "row",
    [
        [],
        [60_000, "1", "1", "1", "1"],
        [60_000, None, "1", "1", "1", "1"],
        [60_000, "1", "1", "2", "1", "1"],
        [None] * 6,
    ],
)
def test_a_row_that_cannot_be_true_is_refused(row):
    with pytest.raises(BadInput):
        candles_of([row], Timeframe.M1)
