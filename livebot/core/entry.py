"""What a strategy wants: entries, adjustments of an open signal, and how an open signal is managed by rule.

Rules of this file: prices are float64 because they come from features; the kernel turns them into Decimal on the
instrument's ticks.  Ratios are fractions (0.01 is one percent).
"""

from dataclasses import dataclass
from decimal import Decimal

from livebot.core.market import Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Trailing:
    """Stop follows the best price at `distance` (ratio), once the gain has reached `after` (ratio)."""

    distance: Decimal
    after: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakEven:
    """Stop moves to the entry price plus `offset` (ratio, in the signal's favour) once the gain reaches `after`."""

    after: Decimal
    offset: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialLevel:
    """At a gain of `gain` (ratio over the entry price) close `fraction` of the entered quantity."""

    gain: Decimal
    fraction: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Averaging:
    """Add `fraction` of the first quantity when price is `step` (ratio) better than the entry, at most `times`."""

    step: Decimal
    fraction: Decimal
    times: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitPlan:
    """Management by rule.  Raises ValueError for a plan that contradicts itself."""

    trailing: Trailing | None = None
    break_even: BreakEven | None = None
    partial_levels: tuple[PartialLevel, ...] = ()
    averaging: Averaging | None = None

    def __post_init__(self) -> None:
        """Check ratios, that levels rise, and that they leave something for the target.

        Raises:
            ValueError: naming the part and the mend.

        """
        if self.trailing is not None:
            _check_positive("trailing.distance", self.trailing.distance)
        if self.break_even is not None:
            _check_break_even(self.break_even)
        if self.averaging is not None:
            _check_positive("averaging.step", self.averaging.step)
            _check_positive("averaging.fraction", self.averaging.fraction)
            _check_positive("averaging.times", self.averaging.times)
        _check_levels(self.partial_levels)


def _check_positive(name: str, value: Decimal | int) -> None:
    if value <= 0:
        message = f"{name}: {value} must be above 0"
        raise ValueError(message)


def _check_break_even(break_even: BreakEven) -> None:
    _check_positive("break_even.after", break_even.after)
    if break_even.offset >= break_even.after:
        message = (
            f"break_even.offset: {break_even.offset} must be less than break_even.after {break_even.after}, "
            "or the stop would stand beyond the price that moves it"
        )
        raise ValueError(message)


def _check_levels(levels: tuple[PartialLevel, ...]) -> None:
    gains = [level.gain for level in levels]
    if gains != sorted(set(gains)) or any(gain <= 0 for gain in gains):
        message = f"partial_levels: gains {[str(gain) for gain in gains]} must be positive and rising"
        raise ValueError(message)
    fractions = [level.fraction for level in levels]
    if any(fraction <= 0 for fraction in fractions) or sum(fractions) >= 1:
        message = "partial_levels: fractions must be positive and sum to less than 1; the target closes the rest"
        raise ValueError(message)


NO_EXIT_PLAN = ExitPlan()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A trade a strategy wants.

    `limit_price` None means at the market; otherwise the entry rests at that price for `schedule_ms` (None: the
    configured time).  `lifetime_ms` counts from the first fill.  `exits` None means the configured plan.  `confidence` is
    how much the strategy itself trusts it, a probability in [0, 1]; None: it does not say.  `evidence` is what a model
    judges it by: values of its features at the close, in their order (`livebot.strategies.evidence`); empty: nothing.
    """

    side: Side
    stop_loss: float
    take_profit: float
    lifetime_ms: int
    limit_price: float | None = None
    schedule_ms: int | None = None
    exits: ExitPlan | None = None
    reason: str = ""
    confidence: float | None = None
    evidence: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """What `manage` wants of an open signal; prices that would loosen are ignored by the kernel."""

    stop_loss: float | None = None
    take_profit: float | None = None
    close: bool = False
