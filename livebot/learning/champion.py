"""Champion against challenger: what each would have gained on the newest rows that neither was trained on, and who stays.

Rules of this file: values in, values out; the row counts for both or for none, and a trade only if it could have been taken; a
comparison that lacks rows promotes nobody; every verdict says its reasons in numbers.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from math import sqrt
from statistics import NormalDist

import numpy as np

from livebot.core.market import DAY_MS
from livebot.core.series import Floats
from livebot.learning.dataset import Dataset, Mask
from livebot.learning.taking import take

_LEAST = 1e-6  # of a probability whose logarithm is taken
SYMBOLS_TOLD = 5
BLOCKS_LEAST = 10  # of time, by which chance can be told


class Undecided(Enum):
    """Who is used where chance alone could have made the difference."""

    NEWER = "newer"
    IN_USE = "in_use"


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """What a challenger has to show: the config's `model.retrain`.  Gains are ratios of a trade's notional.

    `certainty` is how sure (one-sided, 0.5 to below 1) a difference has to be to be more than chance.
    """

    minimum_trades: int = 20
    minimum_gain: float = 0.0
    certainty: float = 0.9
    undecided: Undecided = Undecided.NEWER
    undecided_margin: float = 0.0005
    maximum_loss_rise: float = 0.01
    symbol_floor: float | None = -0.01


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Showing:
    """What taking the entries that a model lets through would have brought, one trade of a symbol at a time.

    `taken` (n,) of the window's rows, and `open_to_all` (n,) those that the strategy alone would have traded, which are
    what "an entry" is counted by; `gain_per_entry` the net gain of all trades over the number of entries; `gain_per_trade`
    over those taken (None: none); `log_loss` of its confidences in these entries (nats); `by_symbol` (trades, gain a trade,
    standard error of that gain, 0 of a single trade).
    """

    taken: Mask
    open_to_all: Mask
    gain_per_entry: float
    gain_per_trade: float | None
    log_loss: float
    by_symbol: Mapping[str, tuple[int, float, float]]

    @property
    def trades(self) -> int:
        """How many it takes."""
        return int(self.taken.sum())

    @property
    def entries(self) -> int:
        """How many the strategy alone would take."""
        return int(self.open_to_all.sum())


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the challenger takes over, and why (not), in sentences."""

    promote: bool
    reasons: tuple[str, ...]


def showing(window: Dataset, probabilities: Floats, threshold: float) -> Showing:
    """What a model with these probabilities (n,) of winning would have taken of the window, and gained.

    Raises:
        ValueError: the window has no row.
        BadInput: a probability is no number.

    """
    if not len(window):
        raise ValueError("window: has no row")
    taken, everything = _traded(window, probabilities, threshold), _traded(window, np.ones(len(window)), 0.0)
    gains, names = window.gain[taken], window.symbol[taken]
    by_symbol = {window.symbols[code]: _mean_of(gains[names == code]) for code in np.unique(names).tolist()}
    return Showing(
        taken=taken,
        open_to_all=everything,
        gain_per_entry=float(gains.sum()) / int(everything.sum()),
        gain_per_trade=float(gains.mean()) if len(gains) else None,
        log_loss=_log_loss(probabilities[everything], window.win[everything]),
        by_symbol=by_symbol,
    )


def _mean_of(gains: Floats) -> tuple[int, float, float]:
    trades = len(gains)
    return trades, float(gains.mean()), float(gains.std(ddof=1)) / sqrt(trades) if trades > 1 else 0.0


def unfiltered(window: Dataset, share_won: float) -> Showing:
    """The strategy without a model: every entry is taken, and each wins as likely as in training (`share_won`)."""
    return showing(window, np.full(len(window), share_won), 0.0)


def _traded(window: Dataset, probabilities: Floats, threshold: float) -> Mask:
    taken: Mask = np.zeros(len(window), dtype=np.bool_)
    taken[take(window, np.arange(len(window), dtype=np.intp), probabilities, threshold)] = True
    return taken


def _log_loss(probabilities: Floats, won: Mask) -> float:
    bounded = np.clip(probabilities, _LEAST, 1 - _LEAST)
    return float(-np.where(won, np.log(bounded), np.log(1 - bounded)).mean())


# Who takes over


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Two showings on one window.

    `first`: the incumbent is the strategy without a model; `replaces`: there is a model in use all the same, which the
    challenger could not be held against.  `alone` is the challenger in symbols that the model in use does not cover.
    """

    challenger: Showing
    incumbent: Showing
    first: bool
    replaces: bool = False
    alone: Showing | None = None

    @property
    def against(self) -> str:
        """What the challenger is held against."""
        return "the strategy without a model" if self.first else "the champion"

    @property
    def ahead(self) -> float:
        """By how much the challenger gains more, an entry."""
        return self.challenger.gain_per_entry - self.incumbent.gain_per_entry


def judge(window: Dataset, match: Match, floor: Floor) -> Verdict:
    """Whether the challenger takes over from the incumbent: the champion, or the strategy without a model.

    Its lead is compared with `minimum_gain`, and is more than chance if it lies above (or below) that by more than
    `certainty` allows for.  If it is above, it takes over; if below, not.  In between chance could have made the difference:
    then the newer one is used if its lead is at most `undecided_margin` below `minimum_gain`, or with `undecided: in_use`
    none is changed.  A first model has nothing older to relieve, and is only used if it is above.
    """
    lacking = _lacking(match.challenger, floor)
    if lacking is not None:
        return Verdict(False, (lacking,))
    spread, why_so_far = _reach_of_chance(window, match, floor)
    shown, held = match.challenger, match.incumbent
    told = (
        f"it takes {shown.trades} of {shown.entries} entries and gains {shown.gain_per_entry:+.4%} an entry, {match.against} "
        f"{held.gain_per_entry:+.4%} with {held.trades} (difference {match.ahead:+.4%}; {why_so_far})"
    )
    promote, why = _by_lead(match, floor, spread)
    failings = [*_of_loss(match, floor), *_of_symbols(match, floor)]
    return Verdict(promote and not failings, (told, why, *failings))


def _reach_of_chance(window: Dataset, match: Match, floor: Floor) -> tuple[float, str]:
    """How far chance gets, and that in words; where it cannot be told, as far as the entries could have made it at all."""
    others = int((match.challenger.taken ^ match.incumbent.taken).sum())
    spread = chance_of(window, match.challenger, match.incumbent, floor.certainty)
    if others >= floor.minimum_trades and spread is not None:
        return spread, f"at retrain.certainty {floor.certainty:.0%} chance alone makes {spread:.4%}"
    most = others * float(np.abs(window.gain).max()) / match.challenger.entries
    if others < floor.minimum_trades:
        return (
            most,
            f"they decide otherwise in {others} entries, {floor.minimum_trades} are needed to tell that from chance",
        )
    return most, "trades last too long for this window to tell that from chance: raise retrain.window_days"


def _lacking(challenger: Showing, floor: Floor) -> str | None:
    for what, rows in (
        ("entries that can be traded one after the other", challenger.entries),
        ("entries that it takes", challenger.trades),
    ):
        if rows < floor.minimum_trades:
            return f"the newest window has {rows} {what}, {floor.minimum_trades} are needed to judge it"
    return None


def _by_lead(match: Match, floor: Floor, spread: float) -> tuple[bool, str]:
    wanted = f"retrain.minimum_gain ({floor.minimum_gain:+.4%}) above {match.against}"
    if match.ahead - spread > floor.minimum_gain:
        return True, f"that is more than {wanted}, beyond chance"
    if match.ahead + spread < floor.minimum_gain:
        return False, f"that is less than {wanted}, beyond chance"
    if match.first and not match.replaces:
        return (
            False,
            f"that is not beyond chance {wanted}, which a first model must be; `--promote` uses it all the same",
        )
    if floor.undecided is Undecided.IN_USE:
        return False, f"chance could make it, so the model in use stays (retrain.undecided: {floor.undecided.value})"
    if match.ahead < floor.minimum_gain - floor.undecided_margin:
        return False, (
            f"chance could make it, but it is more than retrain.undecided_margin ({floor.undecided_margin:.4%}) below {wanted}"
        )
    return True, f"chance could make it, so the newer one is used (retrain.undecided: {floor.undecided.value})"


def _of_loss(match: Match, floor: Floor) -> Iterable[str]:
    shown, held = match.challenger.log_loss, match.incumbent.log_loss
    if shown - held > floor.maximum_loss_rise:
        yield (
            f"its log-loss is {shown:.4f}, that of {match.against} {held:.4f}: more than "
            f"retrain.maximum_loss_rise ({floor.maximum_loss_rise:g}) above it"
        )


def _of_symbols(match: Match, floor: Floor) -> Iterable[str]:
    """Also those that only the challenger covers: it would be the first to trade there.

    Of many symbols some are below it by chance, so it counts only beyond that, at `certainty` for each.
    """
    if floor.symbol_floor is None:
        return
    shown = {**match.challenger.by_symbol, **({} if match.alone is None else match.alone.by_symbol)}
    least = max(floor.minimum_trades, 2)
    below = {
        name: gain
        for name, (trades, gain, error) in sorted(shown.items())
        if trades >= least and gain + student(floor.certainty, trades - 1) * error < floor.symbol_floor
    }
    told = ", ".join(f"{name} ({gain:+.2%} a trade)" for name, gain in tuple(below.items())[:SYMBOLS_TOLD])
    if below:
        more = f" and {len(below) - SYMBOLS_TOLD} more" if len(below) > SYMBOLS_TOLD else ""
        yield f"below retrain.symbol_floor ({floor.symbol_floor:+.2%}) beyond chance: {told}{more}"


# What chance makes


def chance_of(window: Dataset, challenger: Showing, incumbent: Showing, certainty: float) -> float | None:
    """By how much the lead an entry is beyond chance, one-sided: Student's t times the standard error of the lead.

    Trades of many symbols at one time are not independent, nor are those that last into the next days.  So what is drawn by
    chance are blocks of time, all symbols together, a day long or twice as long as a trade lasts on average: the sum over
    blocks of what the challenger made more has the variance blocks * s^2.  A window of less than BLOCKS_LEAST days is cut into
    so many equal parts instead.  None where trades last too long for so many blocks.
    """
    more = window.gain * (challenger.taken.astype(np.float64) - incumbent.taken)
    begin_ms, stop_ms = int(window.close_ms[0]), int(window.end_ms.max()) + 1
    least_ms = 2 * int((window.end_ms - window.close_ms).mean())
    part_ms = max((stop_ms - begin_ms) // BLOCKS_LEAST, 1)
    if least_ms > part_ms:
        return None
    block_ms = min(max(DAY_MS, least_ms), part_ms)
    places = (window.end_ms - begin_ms) // block_ms
    sums = np.bincount(places, weights=more, minlength=BLOCKS_LEAST)
    error = float(sums.std(ddof=1)) * sqrt(len(sums)) / challenger.entries
    return student(certainty, len(sums) - 1) * error


def student(level: float, freedom: int) -> float:
    """The quantile of Student's t, to three digits from 9 degrees of freedom on (Abramowitz & Stegun 1964, 26.7.5)."""
    normal = NormalDist().inv_cdf(level)
    square = normal * normal
    return normal * (
        1
        + (square + 1) / (4 * freedom)
        + (5 * square**2 + 16 * square + 3) / (96 * freedom**2)
        + (3 * square**3 + 19 * square**2 + 17 * square - 15) / (384 * freedom**3)
    )


# The rows


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
