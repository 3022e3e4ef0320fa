"""Champion against challenger: what each would have gained on the newest rows that neither was trained on, and who stays.

Rules of this file: values in, values out; the row counts for both or for none; a comparison that lacks rows promotes
nobody; every verdict says its reasons in numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

import numpy as np

from livebot.core.series import Floats
from livebot.learning.dataset import Dataset, Mask

_LEAST = 1e-6  # of a probability whose logarithm is taken
SYMBOLS_TOLD = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """What a challenger has to show: the config's `model.retrain`.  Gains are ratios of a trade's notional."""

    minimum_trades: int = 20
    minimum_gain: float = 0.0
    maximum_loss_rise: float = 0.01
    symbol_floor: float | None = -0.01


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Showing:
    """What taking the entries that a model lets through would have brought.

    `taken` (n,) of the window's rows; `gain_per_entry` the net gain over all rows, one that is not taken counting 0;
    `gain_per_trade` over those taken (None: none); `log_loss` of its confidences (nats); `by_symbol` (trades, gain a trade).
    """

    taken: Mask
    gain_per_entry: float
    gain_per_trade: float | None
    log_loss: float
    by_symbol: Mapping[str, tuple[int, float]]

    @property
    def trades(self) -> int:
        """How many it takes."""
        return int(self.taken.sum())


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the challenger takes over, and why (not), in sentences."""

    promote: bool
    reasons: tuple[str, ...]


def showing(window: Dataset, probabilities: Floats, threshold: float) -> Showing:
    """What a model with these probabilities (n,) of winning would have taken of the window, and gained.

    Raises:
        ValueError: the window has no row.

    """
    if not len(window):
        raise ValueError("window: has no row")
    taken: Mask = probabilities >= threshold
    gains, names = window.gain[taken], window.symbol[taken]
    by_symbol = {
        window.symbols[code]: (int((names == code).sum()), float(gains[names == code].mean()))
        for code in np.unique(names).tolist()
    }
    return Showing(
        taken=taken,
        gain_per_entry=float(np.where(taken, window.gain, 0.0).mean()),
        gain_per_trade=float(gains.mean()) if len(gains) else None,
        log_loss=_log_loss(probabilities, window.win),
        by_symbol=by_symbol,
    )


def unfiltered(window: Dataset, share_won: float) -> Showing:
    """The strategy without a model: every entry is taken, and each wins as likely as in training (`share_won`)."""
    return showing(window, np.full(len(window), share_won), 0.0)


def _log_loss(probabilities: Floats, won: Mask) -> float:
    bounded = np.clip(probabilities, _LEAST, 1 - _LEAST)
    return float(-np.where(won, np.log(bounded), np.log(1 - bounded)).mean())


def judge(window: Dataset, challenger: Showing, incumbent: Showing, floor: Floor, *, first: bool) -> Verdict:
    """Whether the challenger takes over from the incumbent: the champion, or with `first` the strategy without a model."""
    against = "the strategy without a model" if first else "the champion"
    lacking = _lacking(window, challenger, floor)
    if lacking is not None:
        return Verdict(False, (lacking,))
    ahead = challenger.gain_per_entry - incumbent.gain_per_entry
    told = (
        f"it takes {challenger.trades} of {len(window)} entries and gains {challenger.gain_per_entry:+.4%} an entry, {against} "
        f"{incumbent.gain_per_entry:+.4%} with {incumbent.trades} (difference {ahead:+.4%}, standard error "
        f"{_standard_error(window, challenger, incumbent):.4%})"
    )
    failings = [*_failings(challenger, incumbent, floor, ahead, against)]
    return Verdict(not failings, (told, *failings))


def _lacking(window: Dataset, challenger: Showing, floor: Floor) -> str | None:
    for what, rows in (("entries", len(window)), ("entries that it takes", challenger.trades)):
        if rows < floor.minimum_trades:
            return f"the newest window has {rows} {what}, {floor.minimum_trades} are needed to judge it"
    return None


def _failings(challenger: Showing, incumbent: Showing, floor: Floor, ahead: float, against: str) -> list[str]:
    found = []
    if ahead < floor.minimum_gain:
        found.append(f"that is less than retrain.minimum_gain ({floor.minimum_gain:+.4%}) above {against}")
    rise = challenger.log_loss - incumbent.log_loss
    if rise > floor.maximum_loss_rise:
        found.append(
            f"its log-loss is {challenger.log_loss:.4f}, that of {against} {incumbent.log_loss:.4f}: more than "
            f"retrain.maximum_loss_rise ({floor.maximum_loss_rise:g}) above it"
        )
    if floor.symbol_floor is not None:
        judged = {name: gain for name, (trades, gain) in challenger.by_symbol.items() if trades >= floor.minimum_trades}
        below = sorted(name for name, gain in judged.items() if gain < floor.symbol_floor)
        told = ", ".join(f"{name} ({judged[name]:+.2%} a trade)" for name in below[:SYMBOLS_TOLD])
        if below:
            more = f" and {len(below) - SYMBOLS_TOLD} more" if len(below) > SYMBOLS_TOLD else ""
            found.append(f"below retrain.symbol_floor ({floor.symbol_floor:+.2%}): {told}{more}")
    return found


def _standard_error(window: Dataset, challenger: Showing, incumbent: Showing) -> float:
    """Of the mean paired difference, rows taken as independent."""
    differences = window.gain * (challenger.taken.astype(np.float64) - incumbent.taken)
    return float(differences.std(ddof=1) / sqrt(len(window))) if len(window) > 1 else 0.0


def window_start(newest_ms: int, window_ms: int, champion_end_ms: int | None) -> int:
    """From when rows are kept from training: `window_ms` before the newest, and not before the champion's training ended."""
    start_ms = newest_ms - window_ms
    return start_ms if champion_end_ms is None else max(start_ms, champion_end_ms)


def split(dataset: Dataset, start_ms: int) -> tuple[Dataset, Dataset]:
    """The rows to train on and the window.

    A row is trained on only if its outcome was known before the window begins; one that was decided before and ended
    later is in neither.
    """
    return dataset.rows(dataset.end_ms < start_ms), dataset.rows(dataset.close_ms >= start_ms)
