"""What came out of a comparison, as values that JSON can hold.

Rules of this file: values only; None is a figure that its sample does not support; ratios are fractions, a year has 365 days.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Of an account's trades: as `figures.OutcomeFigures`; `yearly` is the mean daily net return times 365."""

    trades: int
    win_rate: float | None
    mean_gain: float | None
    profit_factor: float | None
    total_return: float
    yearly: float
    sharpe: float | None
    sharpe_error: float | None
    sortino: float | None
    max_drawdown: float | None
    exposure: float | None
    turnover: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Of the probabilities of all test rows that were judged: as `forecast.ForecastFigures`, and the reliability curve.

    `curve` has a point a bin: average confidence, share of wins, rows.
    """

    rows: int
    base_rate: float | None
    confidence: float | None
    log_loss: float | None
    brier: float | None
    auc: float | None
    slope: float | None
    intercept: float | None
    curve: tuple[tuple[float, float, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Mean daily net return less that of `against`, a year; `sharpe` is the difference of the Sharpe ratios.

    `low` to `high` is the interval of this arm alone, `joint_low` to `joint_high` the one that holds for all arms at once.
    """

    against: str
    yearly: float
    low: float
    high: float
    joint_low: float
    joint_high: float
    sharpe: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One way to take an arm's trades: at each cost multiple its figures, and its differences from the baselines."""

    figures: Figures
    doubled: Figures
    differences: tuple[Difference, ...]
    doubled_differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evenness:
    """Of what each part (symbol, quarter, fold) added to the equity: as `figures.Spread`."""

    parts: int
    worst_name: str
    worst: float
    median: float
    above_zero: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldLine:
    """Of one walk-forward fold: what was traded, what it added to the equity, and the threshold."""

    fold: str
    trades: int
    added: float
    threshold: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of a cut: what the unfiltered strategy's trades are to it stands under the arm `no_filter`."""

    trades: int
    win_rate: float | None
    added: float
    mean_gain: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmResult:
    """Everything of one arm.

    `threshold` takes what its own threshold takes, `matched` the share that all arms take, held against the average of random
    filters that take as much; `cuts` by what is cut and part; `unseen` of symbols that no model was trained on, `turnover` while
    symbols come and go; `paths` the Sharpe ratio along each combinatorial path; `beats_random` the share of random filters with
    as many entries that it does better than; `chance` the probability that the best of all arms would be as good against them
    without any skill; `deflated` the deflated Sharpe ratio; `importance` of each feature, by the rise of the log loss; `refused`
    folds and why.
    """

    name: str
    sentence: str
    threshold: Side
    matched: Side
    forecast: Forecast | None
    cuts: Mapping[str, Mapping[str, Part]]
    symbols: Evenness | None
    quarters: Evenness | None
    unseen: Side | None
    unseen_forecast: Forecast | None
    unseen_symbols: Mapping[str, Part]
    turnover: Side | None
    paths: tuple[float | None, ...]
    beats_random: float | None
    chance: float | None
    deflated: float | None
    folds: tuple[FoldLine, ...]
    importance: Mapping[str, float]
    refused: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """`verdict` a few words, `sentence` the decision for readers; `winner` the arm, None if none is confirmed.

    `lacking` says of each arm that may win which conditions of the rule it does not meet; `more` are the other answers:
    against the second baseline, at matched counts, at double costs, on unseen symbols.
    """

    verdict: str
    sentence: str
    winner: str | None
    lacking: Mapping[str, tuple[str, ...]]
    more: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """All of it.  `trials` is the count of the ledger; `overfitting` the probability of backtest overfitting (CSCV)."""

    decision: Decision
    arms: tuple[ArmResult, ...]
    first_ms: int
    stop_ms: int
    entries: int
    unseen_entries: int
    folds: int
    trials: int
    overfitting: float | None
    not_significant: tuple[str, ...]
    notes: tuple[str, ...] = field(default_factory=tuple)

    def arm(self, name: str) -> ArmResult:
        """Raises KeyError: no such arm."""
        return {each.name: each for each in self.arms}[name]
