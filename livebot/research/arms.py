"""The arms of a comparison: every way to organise models over symbols, beside no model at all and chance.

Rules of this file: an arm differs from another only in what its sentence says; estimators have one set of parameters each, the
config's for the one that it names, and nothing is searched for, so that no arm gets more tries than another; the order is that of
simplicity, in which ties are decided.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from livebot.errors import BadInput
from livebot.learning.spec import EstimatorSpec, HybridForm, SymbolEncoding, TrainingMode, TrainingSpec

LINEAR, BOOSTING = "logistic_regression", "hist_gradient_boosting"


class Special(Enum):
    """What is no model."""

    UNFILTERED = "unfiltered"  # every entry is taken
    RANDOM = "random"  # by chance, as many as the models take


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """`name` in tables and options, `sentence` for readers; `special`, or how it is trained.

    `untrained`: entries of a symbol that it was not trained on are judged all the same; else they are not taken.
    `cost` is about how long a fold takes, as a multiple of the cheapest arm: measured, used for the time left before the
    first fold of the arm is done.
    """

    name: str
    sentence: str
    special: Special | None = None
    mode: TrainingMode = TrainingMode.MULTI_SYMBOL
    encoding: SymbolEncoding = SymbolEncoding.NONE
    estimator: str = LINEAR
    hybrid: HybridForm = HybridForm.PARTIAL_POOLING
    fallback: bool = True
    untrained: bool = True
    cost: float = 1.0

    def spec(self, base: TrainingSpec) -> TrainingSpec:
        """How it is trained: `base` with what makes this arm; its estimator's parameters hold where it names the same one."""
        same = base.estimator.name == self.estimator
        return replace(
            base,
            mode=self.mode,
            encoding=self.encoding,
            hybrid=self.hybrid,
            fallback_to_shared=self.fallback,
            estimator=base.estimator if same else EstimatorSpec(name=self.estimator),
        )

    @property
    def trained(self) -> bool:
        """Whether there is a model in it."""
        return self.special is None


_MODE, _ENCODING, _FORM = TrainingMode, SymbolEncoding, HybridForm
_BOOSTED = "; gradient boosting"

ARMS: tuple[Arm, ...] = (
    Arm(name="no_filter", sentence="the strategy itself: every entry is taken", special=Special.UNFILTERED),
    Arm(
        name="random",
        sentence="by chance, in each fold as many entries as the median model takes",
        special=Special.RANDOM,
    ),
    Arm(
        name="single_lr", sentence="trained on one symbol, used for all; logistic regression", mode=_MODE.SINGLE_SYMBOL
    ),
    Arm(name="blind_lr", sentence="one model of all symbols that is not told the symbol; logistic regression"),
    Arm(
        name="one_hot_lr",
        sentence="one model of all symbols, the symbol one-hot; logistic regression",
        encoding=_ENCODING.ONE_HOT,
    ),
    Arm(
        name="embedding_lr",
        sentence="one model of all symbols, the symbol as an embedding; logistic regression",
        encoding=_ENCODING.EMBEDDING,
    ),
    Arm(
        name="partial_pooling_lr",
        sentence="one model of all symbols, and for each symbol a shrunk difference from it; logistic regression",
        mode=_MODE.HYBRID,
        hybrid=_FORM.PARTIAL_POOLING,
        cost=1.5,
    ),
    Arm(
        name="shrunk_calibration_lr",
        sentence="one model of all symbols, and for each symbol a shrunk calibration; logistic regression",
        mode=_MODE.HYBRID,
        hybrid=_FORM.SHRUNK_CALIBRATION,
    ),
    Arm(
        name="clustered_lr",
        sentence="a model for each cluster of symbols; logistic regression",
        mode=_MODE.CLUSTERED,
        cost=1.5,
    ),
    Arm(
        name="per_symbol_lr",
        sentence="a model for each symbol, the shared one where a symbol has too few entries; logistic regression",
        mode=_MODE.PER_SYMBOL,
        cost=2.0,
    ),
    Arm(
        name="per_symbol_alone_lr",
        sentence="a model for each symbol, none where a symbol has too few entries; logistic regression",
        mode=_MODE.PER_SYMBOL,
        fallback=False,
        untrained=False,
        cost=2.0,
    ),
    Arm(
        name="single_gb",
        sentence="trained on one symbol, used for all" + _BOOSTED,
        mode=_MODE.SINGLE_SYMBOL,
        estimator=BOOSTING,
        cost=4.0,
    ),
    Arm(
        name="blind_gb",
        sentence="one model of all symbols that is not told the symbol" + _BOOSTED,
        estimator=BOOSTING,
        cost=6.0,
    ),
    Arm(
        name="one_hot_gb",
        sentence="one model of all symbols, the symbol one-hot" + _BOOSTED,
        encoding=_ENCODING.ONE_HOT,
        estimator=BOOSTING,
        cost=6.0,
    ),
    Arm(
        name="native_gb",
        sentence="one model of all symbols, the symbol as a native category" + _BOOSTED,
        encoding=_ENCODING.INDEX,
        estimator=BOOSTING,
        cost=7.0,
    ),
    Arm(
        name="embedding_gb",
        sentence="one model of all symbols, the symbol as an embedding" + _BOOSTED,
        encoding=_ENCODING.EMBEDDING,
        estimator=BOOSTING,
        cost=6.0,
    ),
    Arm(
        name="shrunk_calibration_gb",
        sentence="one model of all symbols, and for each symbol a shrunk calibration" + _BOOSTED,
        mode=_MODE.HYBRID,
        hybrid=_FORM.SHRUNK_CALIBRATION,
        estimator=BOOSTING,
        cost=6.0,
    ),
    Arm(
        name="clustered_gb",
        sentence="a model for each cluster of symbols" + _BOOSTED,
        mode=_MODE.CLUSTERED,
        estimator=BOOSTING,
        cost=16.0,
    ),
    Arm(
        name="per_symbol_gb",
        sentence="a model for each symbol, the shared one where a symbol has too few entries" + _BOOSTED,
        mode=_MODE.PER_SYMBOL,
        estimator=BOOSTING,
        cost=25.0,
    ),
    Arm(
        name="per_symbol_alone_gb",
        sentence="a model for each symbol, none where a symbol has too few entries" + _BOOSTED,
        mode=_MODE.PER_SYMBOL,
        estimator=BOOSTING,
        fallback=False,
        untrained=False,
        cost=24.0,
    ),
)
UNFILTERED, RANDOM, SINGLE = "no_filter", "random", "single_lr"
LIGHTGBM = "lightgbm"
_BOOSTED_END, _OWN_END = "_gb", "_own"


def arms_of(estimator: str = LINEAR) -> tuple[Arm, ...]:
    """All arms there are beside a config with this estimator, in the order of simplicity.

    One that is neither of the two shipped first has its own arms, one a way of organising models: named `..._lightgbm`, or
    `..._own` for a class path.
    """
    if estimator in (LINEAR, BOOSTING):
        return ARMS
    end, native = (f"_{LIGHTGBM}", True) if estimator == LIGHTGBM else (_OWN_END, False)
    return ARMS + tuple(
        replace(
            arm,
            name=arm.name.removesuffix(_BOOSTED_END) + end,
            sentence=arm.sentence.removesuffix(_BOOSTED) + f"; {estimator}",
            estimator=estimator,
        )
        for arm in ARMS
        if arm.estimator == BOOSTING and (native or arm.encoding is not _ENCODING.INDEX)
    )


def arms_named(names: Iterable[str] | None, estimator: str = LINEAR) -> tuple[Arm, ...]:
    """These arms in the order of simplicity, and always the two without a model; None: all of `arms_of` the estimator.

    Raises:
        BadInput: there is no arm of that name, or none of them is a model.

    """
    there = arms_of(estimator)
    if names is None:
        return there
    wanted = set(names)
    unknown = sorted(wanted - {arm.name for arm in there})
    if unknown:
        raise BadInput(
            f"--arms: there is no arm {', '.join(unknown)}; choose among {', '.join(arm.name for arm in there)}"
        )
    chosen = tuple(arm for arm in there if arm.special is not None or arm.name in wanted)
    if not any(arm.trained for arm in chosen):
        raise BadInput(
            "--arms: name at least one arm with a model, such as one_hot_lr; the two without are always there"
        )
    return chosen


_SIMPLICITY: Mapping[str, int] = {
    arm.name: place for place, arm in enumerate(dict.fromkeys((*ARMS, *arms_of(LIGHTGBM), *arms_of(f"{_OWN_END}:any"))))
}


def simplicity(name: str) -> int:
    """Its place in the order of simplicity, 0 the simplest.  Raises KeyError: no such arm."""
    return _SIMPLICITY[name]
