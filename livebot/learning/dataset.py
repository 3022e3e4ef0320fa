"""What a model learns from: one row for each entry that a strategy wanted, with what became of it.

Rules of this file: a value, in the order of time; whatever is known of a row only later than its close is an outcome
(`end_ms`, `barrier`, `gain`, `cost`), and nothing of that is ever an input.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from livebot.core.series import Floats, Times
from livebot.features.feature_set import FeatureSet

Codes = npt.NDArray[np.int16]
Signs = npt.NDArray[np.int8]
Mask = npt.NDArray[np.bool_]

TARGET, EXPIRED, STOPPED = 1, 0, -1  # barriers


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dataset:
    """n rows, sorted by (close_ms, symbol), of one strategy; every array has n along its first axis.

    `features` (n, k) are the model's features at the close, finite, in the order of `names`; `symbol` (codes into `symbols`,
    which are sorted); `side` +1 long, -1 short; `close_ms` when it was decided, `end_ms` when its outcome was known (UTC);
    `barrier` TARGET, EXPIRED or STOPPED; `gain` the net return on the notional after fees and slippage, `cost` what of
    it they were (so that at double costs it is `gain` - `cost`); `risk` the distance of the stop as a ratio of the
    entry price; `weight` how much the row counts, average 1 (uniqueness and balance of the symbols).
    `dropped` says why wanted entries are no rows, and how many (reason -> count).
    """

    strategy: str
    timeframe_ms: int
    feature_set: FeatureSet
    names: tuple[str, ...]
    symbols: tuple[str, ...]
    features: Floats
    symbol: Codes
    side: Signs
    close_ms: Times
    end_ms: Times
    barrier: Signs
    gain: Floats
    cost: Floats
    risk: Floats
    weight: Floats
    dropped: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Hold every array to the number of rows, and the rows to their order.

        Raises:
            ValueError: naming the array.

        """
        rows = len(self.close_ms)
        for name in ("features", "symbol", "side", "end_ms", "barrier", "gain", "cost", "risk", "weight"):
            if len(getattr(self, name)) != rows:
                raise ValueError(f"{name} has {len(getattr(self, name))} rows, close_ms has {rows}")
        if self.features.shape != (rows, len(self.names)):
            raise ValueError(f"features are {self.features.shape}, {rows} rows of {len(self.names)} were expected")
        if rows and (np.diff(self.close_ms) < 0).any():
            raise ValueError("close_ms goes back in time")
        if rows and (self.end_ms <= self.close_ms).any():
            raise ValueError("end_ms: an outcome is known before its close")

    def __len__(self) -> int:
        """How many rows."""
        return len(self.close_ms)

    @property
    def win(self) -> Mask:
        """What is to be foretold: whether the trade gains anything after costs."""
        won: Mask = self.gain > 0
        return won

    @property
    def symbol_names(self) -> npt.NDArray[Any]:
        """The symbol of each row, as text."""
        names: npt.NDArray[Any] = np.asarray(self.symbols, dtype=np.str_)[self.symbol]
        return names

    def rows(self, chosen: Mask | npt.NDArray[np.intp]) -> "Dataset":
        """Those rows, in the same order; `symbols` stay as they are, so codes keep their meaning."""
        arrays = ("features", "symbol", "side", "close_ms", "end_ms", "barrier", "gain", "cost", "risk", "weight")
        return replace(self, **{name: getattr(self, name)[chosen] for name in arrays})
