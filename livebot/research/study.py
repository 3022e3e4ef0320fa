"""What a comparison is to do, as one value, and the pieces of work that it comes to.

Rules of this file: every arm has the same folds and the same rows; symbols that are to be unseen are in no train row of any
fold; what is held against another arm is decided here, before anything is trained.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import Enum

import numpy as np
import numpy.typing as npt

from livebot.core.market import DAY_MS
from livebot.core.series import Floats, Times
from livebot.errors import BadInput
from livebot.learning.dataset import Dataset
from livebot.learning.fitting import weighed
from livebot.learning.spec import SymbolBalance, TrainingSpec
from livebot.research.arms import Arm
from livebot.research.combinatorial import Combinatorial, CombinatorialTerms, combinatorial
from livebot.research.fold_cache import plain
from livebot.research.fold_run import Fit, FoldWork
from livebot.research.folds import Fold, Span, WalkTerms, audit, tested_span, walk_forward
from livebot.research.held_out import staggered_listings, turnover_folds, unseen_folds
from livebot.research.rule import JudgingTerms

LEAST_EVENTS = 50  # of a symbol over the whole time; with fewer nothing can be said of it
_LEAST_TURNOVER_SYMBOLS = 3


class Kind(Enum):
    """What a fold is for."""

    WALK = "walk_forward"
    TURNOVER = "turnover"  # the same while symbols come and go
    PATHS = "combinatorial"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DailyTurnover:
    """What was traded a day in quote currency: `days` (d,) UTC midnights, `amount` (d, symbols), in the order of `symbols`."""

    symbols: tuple[str, ...]
    days: Times
    amount: Floats

    def average(self, first_ms: int, stop_ms: int, without: Sequence[Span] = ()) -> dict[str, float]:
        """Of the days in [first, stop) but for those that begin `without`, by symbol; 0 where there is none."""
        wanted = (self.days >= first_ms) & (self.days < stop_ms)
        for begin, end in without:
            wanted &= (self.days < begin) | (self.days >= end)
        inside = self.amount[wanted]
        means = inside.mean(axis=0) if len(inside) else np.zeros(len(self.symbols))
        return dict(zip(self.symbols, means.tolist(), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Study:
    """`dataset` has the rows of all symbols, those of `unseen` too; `span` is the time of the candles; `turnover` of all symbols.

    `volatility` (n,) is how much the symbol of each row moved before its close; regimes are cut by it, no model sees it.
    `paths` None: no combinatorial folds.  `base` is what all arms have in common.  `balance` is made anew of the rows that an
    arm is trained on, and so is how much each of them counts.
    """

    dataset: Dataset
    volatility: Floats
    unseen: tuple[str, ...]
    span: Span
    arms: tuple[Arm, ...]
    base: TrainingSpec
    fit: Fit
    turnover: DailyTurnover
    walk: WalkTerms = field(default_factory=WalkTerms)
    paths: CombinatorialTerms | None = field(default_factory=CombinatorialTerms)
    moving_share: float = 0.4
    balance: SymbolBalance = SymbolBalance.NONE
    judging: JudgingTerms = field(default_factory=JudgingTerms)
    seed: int = 1

    @property
    def seen(self) -> tuple[str, ...]:
        """The symbols that are trained on."""
        return tuple(symbol for symbol in self.dataset.symbols if symbol not in self.unseen)

    @property
    def trained_arms(self) -> tuple[Arm, ...]:
        """The arms with a model."""
        return tuple(arm for arm in self.arms if arm.trained)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """The folds by kind, as indices into the study's dataset; `listed` who comes and goes when, in the turnover folds.

    The test rows of walk-forward folds are those of all symbols, the unseen ones too; of the others those of the seen ones.
    """

    folds: Mapping[Kind, tuple[Fold, ...]]
    listed: Mapping[str, Span]
    paths: Combinatorial | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """One arm on one fold."""

    kind: Kind
    place: int
    arm: Arm


def folds_of(study: Study) -> Plan:
    """The folds of a study.

    Raises:
        BadInput: too few entries, one class only, no time for a single fold, or a fold that would leak; naming which.

    """
    dataset, unseen = study.dataset, study.unseen
    check_events(dataset)
    walk = walk_forward(dataset, study.walk, *study.span)
    trained = unseen_folds(dataset, walk, unseen) if unseen else walk
    seen_rows = np.flatnonzero(~np.isin(dataset.symbol_names, unseen))
    whole = tuple(replace(fold, train=kept.train) for fold, kept in zip(walk, trained, strict=True))
    seen = tuple(replace(fold, test=np.intersect1d(fold.test, seen_rows)) for fold in whole)
    folds: dict[Kind, tuple[Fold, ...]] = {Kind.WALK: whole}
    notes: list[str] = []
    listed: dict[str, Span] = {}
    if len(study.seen) >= _LEAST_TURNOVER_SYMBOLS:
        listed = staggered_listings(study.seen, tested_span(walk), study.moving_share, study.seed)
        folds[Kind.TURNOVER] = turnover_folds(dataset, seen, listed)
    else:
        notes.append(f"{len(study.seen)} symbols are too few for some to come and go: that was left out")
    paths = None
    if study.paths is not None:
        paths = combinatorial(dataset.rows(seen_rows), study.paths)
        folds[Kind.PATHS] = tuple(_placed(fold, seen_rows) for fold in paths.folds)
    for fold in (each for several in folds.values() for each in several):
        audit(dataset, fold)
    return Plan(folds=folds, listed=listed, paths=paths, notes=tuple(notes))


def _placed(fold: Fold, rows: npt.NDArray[np.intp]) -> Fold:
    return replace(fold, train=rows[fold.train], test=rows[fold.test])


def check_events(dataset: Dataset) -> None:
    """Refuse what nothing could be learned from.  Raises BadInput: naming the symbol or the outcome."""
    counts = {symbol: int(np.sum(dataset.symbol == code)) for code, symbol in enumerate(dataset.symbols)}
    few = [f"{symbol} {count}" for symbol, count in counts.items() if count < LEAST_EVENTS]
    if few:
        raise BadInput(
            f"strategy {dataset.strategy} wanted too few entries (at least {LEAST_EVENTS} a symbol): {', '.join(few)}; "
            "leave such symbols out with --symbols or --unseen, or give more history"
        )
    if dataset.win.all() or not dataset.win.any():
        said = "won" if dataset.win.all() else "lost"
        raise BadInput(
            f"strategy {dataset.strategy}: all {len(dataset):,} entries {said}, so there is nothing to tell apart; look at its "
            "stop, target and expiry"
        )


def pieces_of(study: Study, plan: Plan) -> tuple[Piece, ...]:
    """All of them, the costly ones first: then the end is short and the time left soon known."""
    found = [
        Piece(kind, place, arm)
        for kind, folds in plan.folds.items()
        for place in range(len(folds))
        for arm in study.trained_arms
    ]
    return tuple(sorted(found, key=lambda each: -cost_of(plan, each)))


def cost_of(plan: Plan, piece: Piece) -> float:
    """About how long it takes, as a multiple: the arm's by how many rows there are to train on."""
    rows = [len(fold.train) for fold in plan.folds[piece.kind]]
    walk = [len(fold.train) for fold in plan.folds[Kind.WALK]]
    return piece.arm.cost * (1 + sum(rows) / len(rows)) / (1 + sum(walk) / len(walk))


def work_of(study: Study, plan: Plan, piece: Piece) -> FoldWork:
    """What a worker needs for it, and nothing more."""
    fold = plan.folds[piece.kind][piece.place]
    spec = spec_of(study, fold, piece.arm)
    return FoldWork(
        fit=study.fit,
        train=weighed(study.dataset.rows(fold.train), spec, study.balance),
        test=study.dataset.rows(fold.test),
        spec=spec,
        untrained=piece.arm.untrained,
        importance=piece.kind is Kind.WALK,
        seed=study.seed,
    )


def spec_of(study: Study, fold: Fold, arm: Arm) -> TrainingSpec:
    """How an arm is trained on a fold; what clusters go by is that of the fold's train window, never of days it tests."""
    closed = study.dataset.close_ms[fold.train]
    first_ms, stop_ms = (int(closed[0]), int(closed[-1]) // DAY_MS * DAY_MS) if len(closed) else (0, 0)
    amounts = study.turnover.average(first_ms, stop_ms, fold.test_spans)
    symbols = study.base.symbols or study.seen
    return replace(arm.spec(study.base), symbols=symbols, turnover={each: amounts[each] for each in study.seen})


def key_parts(study: Study, plan: Plan, piece: Piece, digests: Sequence[str]) -> dict[str, object]:
    """Everything that a piece's result depends on; `digests` of data and code."""
    fold = plan.folds[piece.kind][piece.place]
    spec = asdict(spec_of(study, fold, piece.arm))
    return {
        "digests": list(digests),
        "spec": plain(spec),
        "untrained": piece.arm.untrained,
        "importance": piece.kind is Kind.WALK,
        "seed": study.seed,
        "weights": study.balance.value,  # of the train rows
        "train": fold.train.tolist(),
        "test": fold.test.tolist(),
    }
