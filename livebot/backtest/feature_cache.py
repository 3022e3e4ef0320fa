"""Computed features, kept on disk from one run to the next.

Rules of this file: what is kept is named by everything it depends on: the declarations, the library that computes them
and every bit of the candles; a file that is not as it should be is computed anew; the oldest go when there is too much.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np

from livebot.core.market import Timeframe
from livebot.core.series import CandleSeries, Floats
from livebot.features.batch import compute
from livebot.features.declaration import Feature
from livebot.features.feature_set import canonical_text
from livebot.features.ta_lib import talib

_COLUMNS = ("open", "high", "low", "close", "volume")
_SUFFIX = ".npy"


class FeatureCache:
    """A folder of files; `folder` None keeps nothing."""

    def __init__(self, folder: Path | None, most_bytes: int) -> None:
        """Nothing is read before it is asked for; `most_bytes` bounds all files together."""
        self._folder = folder
        self._most_bytes = most_bytes
        self.hits = 0

    def features(
        self, features: Sequence[Feature], timeframe: Timeframe, candles: CandleSeries
    ) -> Mapping[str, Floats]:
        """Each feature by name, one value a candle.  Raises ValueError: two have the same name."""
        if not features or not len(candles):
            return {feature.name: np.empty(0) for feature in features}
        if self._folder is None:
            return compute(features, candles)
        path = self._folder / f"{_key(features, timeframe, candles)}{_SUFFIX}"
        kept = _load(path, len(features), len(candles))
        if kept is None:
            computed = compute(features, candles)
            self._keep(path, np.stack([computed[feature.name] for feature in features]))
            return computed
        self.hits += 1
        return {feature.name: row for feature, row in zip(features, kept, strict=True)}

    def _keep(self, path: Path, values: Floats) -> None:
        if values.nbytes > self._most_bytes:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._make_room(path.parent, values.nbytes)
            scratch = path.with_suffix(".scratch")
            with scratch.open("wb") as file:
                np.save(file, values)
            scratch.replace(path)
        except OSError:
            return  # a full disk costs time, not the result

    def _make_room(self, folder: Path, wanted: int) -> None:
        files = sorted(folder.glob(f"*{_SUFFIX}"), key=lambda file: file.stat().st_mtime)
        total = wanted + sum(file.stat().st_size for file in files)
        for file in files:
            if total <= self._most_bytes:
                return
            total -= file.stat().st_size
            file.unlink(missing_ok=True)


def _key(features: Sequence[Feature], timeframe: Timeframe, candles: CandleSeries) -> str:
    digest = blake2b(digest_size=20)
    digest.update(f"{canonical_text(timeframe, features)}\n{talib.__version__} {np.__version__}".encode())
    digest.update(np.ascontiguousarray(candles.ts_ms).data)
    for name in _COLUMNS:
        digest.update(np.ascontiguousarray(getattr(candles, name)).data)
    return digest.hexdigest()


def _load(path: Path, rows: int, columns: int) -> Floats | None:
    try:
        values: Floats = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    fits = values.dtype == np.float64 and values.shape == (rows, columns)
    return values if fits else None
