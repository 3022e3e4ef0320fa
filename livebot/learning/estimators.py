"""The classifiers that can be trained: named ones with defaults for faint signals, any other by its class path.

The defaults hold back: what is to be found in candles moves the odds by some hundredths, and a model left free learns the
noise.  Logistic regression: standardised inputs, C 0.01, which is a normal prior of standard deviation 0.1 on each
coefficient.  Trees: 200 of 8 leaves, 40 rows in each, at a rate of 0.03.

Rules of this file: the libraries are imported when an estimator of theirs is wanted; the same data, parameters and seed give
the same model, so nothing stops early on a part chosen by chance and everything runs on one thread.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from inspect import isclass, signature
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from livebot.core.series import Floats
from livebot.errors import BadInput
from livebot.learning.dataset import Mask
from livebot.learning.predictors.estimators import without_lookup
from livebot.learning.spec import EstimatorSpec

Classifier = Any  # as scikit-learn has them: no types
Inputs = Any  # an array, or a sparse matrix

MOST_BINS = 255  # of scikit-learn's histograms, and LightGBM's default
_TREES = {"max_leaf": 8, "rows": 40, "rate": 0.03, "count": 200, "ridge": 5.0}


@dataclass(frozen=True, slots=True)
class _Named:
    """Where the class is, its parameters here, what to do when it is not there, and what it raises besides ValueError.

    `bins` is its parameter for how many values, or categories, of a column it tells apart at most; `ours` are names under
    which it takes a seed or a number of threads besides scikit-learn's.
    """

    path: str
    defaults: Mapping[str, object]
    missing: str = "install livebot anew"
    error: str = "builtins:ValueError"
    bins: str = ""
    ours: frozenset[str] = frozenset()


_NAMED: dict[str, _Named] = {
    "logistic_regression": _Named("sklearn.linear_model:LogisticRegression", {"C": 0.01, "max_iter": 1000}),
    "hist_gradient_boosting": _Named(
        "sklearn.ensemble:HistGradientBoostingClassifier",
        {
            "max_iter": _TREES["count"],
            "learning_rate": _TREES["rate"],
            "max_leaf_nodes": _TREES["max_leaf"],
            "min_samples_leaf": _TREES["rows"],
            "l2_regularization": _TREES["ridge"],
            "early_stopping": False,
        },
        bins="max_bins",
    ),
    "lightgbm": _Named(
        "lightgbm:LGBMClassifier",
        {
            "n_estimators": _TREES["count"],
            "learning_rate": _TREES["rate"],
            "num_leaves": _TREES["max_leaf"],
            "min_child_samples": _TREES["rows"],
            "reg_lambda": _TREES["ridge"],
            "deterministic": True,
            "force_row_wise": True,
            "verbose": -1,
        },
        "it is an extra: pip install 'livebot[lightgbm]'",
        "lightgbm.basic:LightGBMError",
        bins="max_bin",
        ours=frozenset({"num_thread", "num_threads", "nthread", "nthreads", "random_seed", "seed"}),
    ),
}
# each tree gives a row its leaf, and the leaves are added in the order of the trees: nothing there knows of other rows
_ROW_BY_ROW = frozenset(
    {
        "DecisionTreeClassifier",
        "ExtraTreeClassifier",
        "ExtraTreesClassifier",
        "GradientBoostingClassifier",
        "HistGradientBoostingClassifier",
        "LGBMClassifier",
        "RandomForestClassifier",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A linear model in the units of its inputs: log-odds = `weights` (m,) . inputs + `intercept`; `settled`: converged."""

    weights: Floats
    intercept: float
    settled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A classifier that can be made and fitted: its class, the parameters, and what its library raises for unfit ones.

    `bins`: the most values of a column that it tells apart.
    """

    name: str
    kind: Any
    params: Mapping[str, object]
    error: type[Exception] = ValueError
    bins: int = MOST_BINS

    @property
    def linear(self) -> bool:
        """Whether what it learns is a `Line`."""
        return self.name == "logistic_regression"

    @property
    def native(self) -> bool:
        """Whether it takes a column of codes as categories."""
        return self.name in {"hist_gradient_boosting", "lightgbm"}

    @property
    def whole(self) -> bool:
        """Whether its answer about a row is the same in every batch, to the last bit."""
        library = str(self.kind.__module__).partition(".")[0]  # a class of the same name elsewhere may do as it likes
        return library in {"sklearn", "lightgbm"} and str(self.kind.__name__) in _ROW_BY_ROW

    def made(self) -> Classifier:
        """One that is not fitted.  Raises BadInput: it takes no such parameter."""
        try:
            return self.kind(**self.params)
        except (TypeError, ValueError, self.error) as error:
            raise BadInput(f"model.estimator {self.name} cannot be made: {_told(error)}") from error

    def fitted(self, inputs: Inputs, win: Mask, weight: Floats, category: int | None = None) -> Classifier:
        """A classifier fitted to `inputs` (n, m), dense or sparse; `category` is the column that holds codes, if any.

        Raises:
            BadInput: the parameters are unfit, or it cannot learn from these rows.

        """
        params, told = dict(self.params), {}
        if category is not None and self.name == "lightgbm":
            told = {"categorical_feature": [category]}
        elif category is not None:
            params["categorical_features"] = [category]
        try:
            estimator = self.kind(**params)
            if self.name == "hist_gradient_boosting" and _codes_only_in(category, params):
                inputs = snapped(inputs, self.bins, category)
            with warnings.catch_warnings():
                if self.linear:  # `Line.settled` says it
                    warnings.simplefilter("ignore", ConvergenceWarning)
                estimator.fit(inputs, win.astype(np.int64), sample_weight=weight, **told)
            self._must_give_probabilities(estimator, inputs[:1])
        except BadInput:
            raise
        except (TypeError, ValueError, self.error) as error:
            raise BadInput(f"model.estimator {self.name} cannot be trained: {_told(error)}") from error
        if category is not None and self.name == "hist_gradient_boosting":
            without_lookup(estimator, inputs, category)
        return estimator

    def _must_give_probabilities(self, estimator: Classifier, row: Inputs) -> None:
        if not hasattr(estimator, "predict_proba"):
            raise BadInput(f"model.estimator {self.name} gives no probabilities with these params (no predict_proba)")
        if self.name in _NAMED:
            return
        classes = np.asarray(getattr(estimator, "classes_", (0, 1))).tolist()
        shape = np.shape(estimator.predict_proba(row))
        if classes != [0, 1] or shape != (1, 2):
            raise BadInput(
                f"model.estimator {self.name} gives no probabilities that can be read: of a row predict_proba has to give "
                f"one of class 0 (lost) and one of class 1 (won); its classes_ are {classes}, and it gave an array {shape}"
            )

    def line(self, inputs: Floats, win: Mask, weight: Floats) -> Line:
        """A linear model of `inputs` (n, m), which are standardised for the fit.

        Raises:
            BadInput: as `fitted`.

        """
        mean, scale = moments(inputs, weight)
        estimator = self.fitted((inputs - mean) / scale, win, weight)
        weights = np.asarray(estimator.coef_[0], dtype=np.float64) / scale
        intercept = float(estimator.intercept_[0] - (weights * mean).sum())
        return Line(weights=weights, intercept=intercept, settled=settled(estimator))


def snapped(inputs: Floats, bins: int, category: int | None = None) -> Floats:
    """Each value replaced by the nearest of up to `bins` quantiles of its column; columns with no more values as they are.

    So is column `category`, whose codes stand for something each.  The trees see no more than that anyway: scikit-learn then
    cuts half way between these values, so rows come to the same side of a cut in the fit as they do later by their own
    values.  Done here because 1.9 sorts a column anew for each weighted quantile: with weights, binning took longer than the
    trees (18 of 21 s for 140,000 rows of 41).
    """
    near = np.array(inputs, order="F")  # columns are worked on one by one, here and in the binning
    ranks = ((np.arange(bins) + 0.5) / bins * len(near)).astype(np.intp)
    for place, column in enumerate(near.T):
        if place == category:
            continue
        order = np.argsort(column)  # neighbours then share a value: to look up row by row takes three times as long
        ordered = column[order]
        if np.count_nonzero(ordered[1:] != ordered[:-1]) < bins:
            continue
        values = np.unique(ordered[ranks])
        ends = np.searchsorted(ordered, (values[1:] + values[:-1]) / 2, side="right")
        column[order] = np.repeat(values, np.diff(ends, prepend=0, append=len(ordered)))
    return near


def settled(estimator: Classifier) -> bool:
    """Whether an iterative fit ended before its last iteration."""
    return bool(np.max(estimator.n_iter_) < estimator.max_iter)


def moments(inputs: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Weighted mean and standard deviation of each column; 1 for one that does not vary.

    Raises:
        BadInput: numbers so large that their squares are none.

    """
    with np.errstate(over="ignore"):
        mean = np.average(inputs, axis=0, weights=weight)
        deviation = np.sqrt(np.average((inputs - mean) ** 2, axis=0, weights=weight))
    if not np.isfinite(deviation).all():
        places = ", ".join(map(str, np.flatnonzero(~np.isfinite(deviation)) + 1))
        raise BadInput(
            f"inputs number {places} hold what is too large to be standardised, up to {np.abs(inputs).max():.0e}"
        )
    still = deviation <= np.finfo(np.float64).eps * 10 * np.maximum(np.abs(mean), 1.0)
    return mean, np.where(still, 1.0, deviation)


def plan_of(spec: EstimatorSpec, seed: int) -> Plan:
    """What is to be fitted; `seed` goes to whatever there is of chance.

    Raises:
        BadInput: there is no such estimator, it is not installed, or it lacks what is needed of it.

    """
    named = _NAMED.get(spec.name)
    if named is None and ":" not in spec.name:
        known = ", ".join(_NAMED)
        raise BadInput(
            f"model.estimator.name {spec.name!r} is unknown: it is one of {known}, or package.module:Class of a classifier"
        )
    named = named or _Named(
        spec.name, {}, "is its package installed?", error="builtins:Exception"
    )  # of the operator's own: any
    kind = _classifier(spec.name, named)
    given = {name: value for name, value in spec.params.items() if name not in named.ours}
    params = {**named.defaults, **given}
    accepted = _parameters(kind.__init__)
    fixed: dict[str, object] = {"random_state": seed, "n_jobs": 1}
    params |= {name: value for name, value in fixed.items() if name in accepted}
    if spec.name == "logistic_regression":
        params.pop("n_jobs", None)  # deprecated there, and without effect
    return Plan(
        name=spec.name,
        kind=kind,
        params=params,
        error=_class_at(spec.name, named.error, named.missing),
        bins=_bins(params.get(named.bins)),
    )


def _bins(wanted: object) -> int:
    """What is no number of bins is the library's to refuse."""
    return max(wanted, 2) if isinstance(wanted, int) else MOST_BINS


def _codes_only_in(category: int | None, params: Mapping[str, object]) -> bool:
    """Whether no other column holds codes: those that the operator names himself are snapped by nobody."""
    return params.get("categorical_features") == (None if category is None else [category])


def _classifier(name: str, named: _Named) -> Classifier:
    kind = _class_at(name, named.path, named.missing)
    if "sample_weight" not in _parameters(getattr(kind, "fit", None)):
        raise BadInput(f"model.estimator {name} does not take sample_weight, so rows could not count by their weight")
    return kind


def _class_at(name: str, path: str, missing: str) -> Classifier:
    module_name, _, class_name = path.partition(":")
    try:
        module = import_module(module_name)
    except (ImportError, ValueError) as error:
        raise BadInput(f"model.estimator {name} cannot be imported ({error}): {missing}") from error
    kind = getattr(module, class_name, None)
    if not isclass(kind):
        raise BadInput(f"model.estimator {name}: there is no class {class_name!r} in {module_name}")
    return kind


def _parameters(function: object) -> frozenset[str]:
    return frozenset(signature(function).parameters) if callable(function) else frozenset()


def _told(error: Exception) -> str:
    line = str(error).strip().split("\n", 1)[0]
    return line if isinstance(error, TypeError | ValueError) else f"{type(error).__name__}: {line}"
