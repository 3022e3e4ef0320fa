"""What models see of an entry: named sets of features that mean the same for every symbol, price and size.

"own" looks at the symbol's own candles and the calendar; "market" adds the other symbols at the same close, without the
symbol itself, and so needs a universe of two or more.  No symbol is followed by name: a set is the same for every universe,
and a model goes on fitting when symbols join or leave.

Rules of this file: every name begins with `model_`, so that none is a strategy's own; whatever changes what a set gives,
its order included, raises MODEL_FEATURES_VERSION; nothing settles later than `WARMUP_MOST` candles, because each start of
each symbol waits for that many.
"""

from livebot.features.catalogue import (
    Feature,
    adx,
    atr,
    body_in_atr,
    bollinger_position,
    bollinger_width,
    breadth_above,
    breadth_up,
    channel_position,
    difference,
    directional,
    distance_in_atr,
    efficiency_ratio,
    ema,
    excess_return,
    hour_cosine,
    hour_sine,
    macd_in_atr,
    market_return,
    natr,
    range_in_atr,
    ratio,
    relative_volume,
    rsi,
    scaled_return,
    sma,
    volatility,
    volatility_index,
    volume_score,
    weekday_cosine,
    weekday_sine,
)
from livebot.features.declaration import Source

MODEL_FEATURES_VERSION = 1
PREFIX = "model_"
WARMUP_MOST = 720  # candles of the strategy's timeframe, past values that may be asked for included

_LONG = 96  # candles over which a symbol's usual volatility and volume are taken
_ATR = 14


def _own() -> tuple[Feature, ...]:
    return (
        *(scaled_return(f"model_return_{period}", period, _LONG) for period in (1, 3, 6, 12, 24, _LONG)),
        distance_in_atr("model_above_ema_20", ema("average", 20), _ATR),
        distance_in_atr("model_above_ema_50", ema("average", 50), _ATR),
        distance_in_atr("model_above_sma_200", sma("average", 200), _ATR),
        rsi("model_rsi_14", 14),
        adx("model_adx_14", 14),
        difference("model_direction_14", directional("up", 14, up=True), directional("down", 14, up=False)),
        macd_in_atr("model_macd", period=_ATR),
        bollinger_position("model_bollinger_position_20", 20),
        bollinger_width("model_bollinger_width_20", 20),
        channel_position("model_channel_position_20", 20),
        channel_position("model_channel_position_96", _LONG),
        relative_volume("model_relative_volume_20", 20),
        volume_score("model_volume_score_96", _LONG),
        _volatility_ratio("model_volatility_12_96", 12, _LONG),
        _volatility_ratio("model_volatility_24_168", 24, 168),
        natr("model_atr_percent_14", _ATR),
        range_in_atr("model_range", _ATR),
        body_in_atr("model_body", _ATR),
        efficiency_ratio("model_efficiency_24", 24),
        _share_of_atr("model_upper_shadow", difference("shadow", "high", "close")),
        hour_sine("model_hour_sine"),
        hour_cosine("model_hour_cosine"),
        weekday_sine("model_weekday_sine"),
        weekday_cosine("model_weekday_cosine"),
    )


def _market() -> tuple[Feature, ...]:
    return (
        *(market_return(f"model_market_return_{period}", period) for period in (1, 6, 24, _LONG)),
        *(excess_return(f"model_excess_return_{period}", period) for period in (1, 24)),
        *(breadth_up(f"model_breadth_up_{period}", period) for period in (1, 24)),
        breadth_above("model_breadth_above_50", 50),
        volatility_index("model_market_volatility_24", 24),
    )


def _volatility_ratio(name: str, short: int, long: int) -> Feature:
    """Volatility of late over the usual one; 1 is usual, 0 where nothing moved."""
    return ratio(name, volatility("short", short), volatility("long", long))


def _share_of_atr(name: str, source: Source) -> Feature:
    return ratio(name, source, atr("range", _ATR))


_SETS: dict[str, tuple[Feature, ...]] = {"own": _own(), "market": (*_own(), *_market())}
MODEL_FEATURE_SETS = tuple(_SETS)


def model_features(name: str) -> tuple[Feature, ...]:
    """The features of a set, in the order of a model's inputs.

    Raises:
        ValueError: there is no set of that name.

    """
    if name not in _SETS:
        message = f"there is no set of model features {name!r}; there are {', '.join(MODEL_FEATURE_SETS)}"
        raise ValueError(message)
    return _SETS[name]


def model_feature_set_name(name: str) -> str:
    """What a set is called where it is recorded: in manifests, datasets and reports."""
    return PREFIX + name
