"""Rows of a made-up strategy whose truth is known: log-odds of a win = features . the symbol's own coefficients."""

import numpy as np

from livebot.features.feature_set import FeatureSet
from livebot.learning.dataset import Dataset

HOUR_MS = 3_600_000
START_MS = 1_704_067_200_000
LASTS_MS = 5 * HOUR_MS


def truth(kind: str, symbols: int, features: int, size: float = 0.5, seed: int = 3):
    """Coefficients (symbols, features): `shared` by all, of their `own`, of three `clusters`, or none (`noise`)."""
    random = np.random.default_rng(seed)
    if kind == "noise":
        return np.zeros((symbols, features))
    drawn = random.normal(0, size, (symbols, features))
    return {"shared": drawn[[0] * symbols], "own": drawn, "clusters": drawn[np.arange(symbols) % 3]}[kind]


def rows(coefficients, per_symbol: int = 300, seed: int = 1, level=0.0, names=None) -> Dataset:
    """`per_symbol` rows of each symbol on average, one close an hour; stops of a symbol are as wide as its third is numbered."""
    random = np.random.default_rng(seed)
    symbols, width = coefficients.shape
    count = symbols * per_symbol
    close = np.sort(random.integers(0, count // 2, count)) * HOUR_MS + START_MS
    symbol = random.integers(0, symbols, count).astype(np.int16)
    order = np.lexsort((symbol, close))
    close, symbol = close[order], symbol[order]
    features = random.normal(0, 1, (count, width)) * np.linspace(1, 50, width) + 7
    said = ((features - 7) / np.linspace(1, 50, width) * coefficients[symbol]).sum(axis=1)
    said += np.broadcast_to(level, symbols)[symbol]
    win = random.random(count) < 1 / (1 + np.exp(-said))
    gain = np.where(win, 0.01, -0.01) * random.uniform(0.5, 1.5, count)
    return Dataset(
        strategy="made_up",
        timeframe_ms=HOUR_MS,
        feature_set=FeatureSet("model_own", 1, "text", "0" * 64),
        names=tuple(f"model_{number}" for number in range(width)),
        symbols=names or tuple(f"S{number:02}/USDT" for number in range(symbols)),
        features=features,
        symbol=symbol,
        side=np.where(random.random(count) < 0.5, 1, -1).astype(np.int8),
        close_ms=close,
        end_ms=close + random.integers(1, 6, count) * HOUR_MS,
        barrier=np.where(win, 1, -1).astype(np.int8),
        gain=gain,
        cost=np.full(count, 0.001),
        risk=0.01 * (1 + symbol % 3) * np.exp(random.normal(0, 0.1, count)),
        weight=random.uniform(0.5, 1.5, count),
    )


def later_auc(fitted, coefficients, seed: int = 99) -> float:
    """The AUC on many further rows of the same truth."""
    from sklearn.metrics import roc_auc_score

    fresh = rows(coefficients, 2_000, seed)
    return float(roc_auc_score(fresh.win, asked(fitted, fresh)))


def asked(fitted, data: Dataset):
    """The probabilities of all rows."""
    return fitted.predictor.probabilities(data.features, data.side, data.symbol_names.tolist())
