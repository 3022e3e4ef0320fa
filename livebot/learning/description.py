"""All that a manifest says of a model, measured on the rows of the symbols it covers.

Rules of this file: nothing is asked of the disk or the clock; what is measured of scores is measured on the calibrating rows,
the last part of the time, because on its own training rows an estimator is surer than it ever will be again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version

import numpy as np

from livebot.core.market import DAY_MS, Timeframe
from livebot.core.series import Floats
from livebot.errors import BadInput
from livebot.learning.dataset import Dataset, Mask
from livebot.learning.drift import binned, stability_index
from livebot.learning.golden import golden_rows
from livebot.learning.manifest import BINS, Bins, Covered, Manifest, ModelFormat, Plain, ReliabilityBin
from livebot.learning.model_file import libraries
from livebot.learning.predictor import Fitted, Predictor
from livebot.learning.scopes import version_name
from livebot.learning.sealing import digest_of
from livebot.learning.spec import TrainingMode, TrainingSpec
from livebot.learning.time_split import split

_TAIL = 0.001  # of the usual values of a feature, on either side
_INNER = np.linspace(0.0, 1.0, BINS + 1)[1:-1]
# Stretches of the training, held against the whole of it: about as many rows as drift is first judged by
_STRETCH_ROWS, _STRETCHES_LEAST, _STRETCHES_MOST = 50, 4, 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What the rows and the fit do not say of a model themselves.

    `label` is what a row's outcome means (costs, barriers, ...); `data` a digest for each piece of input; `short` the symbols
    with too little history.
    """

    scope: str
    created_ms: int
    spec: TrainingSpec
    label: Mapping[str, Plain] = field(default_factory=dict)
    data: Mapping[str, str] = field(default_factory=dict)
    short: tuple[str, ...] = ()
    format: ModelFormat = ModelFormat.JOBLIB


def described(
    fitted: Fitted, dataset: Dataset, description: Description, model: bytes, parent: str | None = None
) -> Manifest:
    """The manifest of a model whose file holds `model`.

    Raises:
        BadInput: the dataset is empty, or holds nothing of what the model covers.
        pydantic.ValidationError: what was fitted cannot be described (a threshold above 1, say): a mistake in livebot.

    """
    spec, digest = description.spec, digest_of(model)
    golden = golden_rows(fitted.predictor, dataset)
    known = dataset.rows(np.isin(dataset.symbol_names, fitted.covered))
    if not len(known):
        raise BadInput("it covers no symbol that there are rows of")
    _, calibrating = split(known, spec.calibration_share, spec.embargo_ms)
    scores = _scores(fitted.predictor, calibrating)
    return Manifest(
        schema=1,
        scope=description.scope,
        version=version_name(description.created_ms, digest),
        created_ms=description.created_ms,
        livebot=version("livebot"),
        format=description.format,
        model_digest=digest,
        model_bytes=len(model),
        libraries=libraries(spec.estimator.name, description.format),
        strategy=dataset.strategy,
        timeframe=next(each for each in Timeframe if each.ms == dataset.timeframe_ms),
        feature_names=dataset.names,
        feature_set=dataset.feature_set.text,
        feature_set_name=str(dataset.feature_set),
        feature_digest=dataset.feature_set.digest,
        training_mode=spec.mode,
        symbol_encoding=spec.encoding,
        estimator=spec.estimator.name,
        estimator_params={name: _plain(value) for name, value in spec.estimator.params.items()},
        label=dict(description.label),
        symbols=_covered(fitted, dataset),
        short=description.short,
        shared=spec.mode is not TrainingMode.PER_SYMBOL or spec.fallback_to_shared,
        train_start_ms=int(dataset.close_ms[0]),
        train_end_ms=int(dataset.end_ms.max()),
        metrics={name: float(value) for name, value in fitted.metrics.items()},
        calibrators=dict(fitted.calibrators),
        threshold=float(fitted.threshold),
        feature_bins=tuple(bins_of(column) for column in known.features.T),
        score_bins=bins_of(scores),
        reliability=reliability_of(scores, calibrating.win),
        bounds=tuple(
            (float(low), float(high)) for low, high in np.quantile(known.features, (_TAIL, 1 - _TAIL), axis=0).T
        ),
        data=dict(description.data),
        parent=parent,
        seed=spec.seed,
        notes=fitted.notes,
        golden=golden,
    )


def bins_of(values: Floats) -> Bins:
    """Ten bins with about as many values in each; of a value that often repeats one bin holds more.  In the order of time."""
    edges = np.quantile(values, _INNER)
    shares = binned(values, edges) / len(values)
    stretches = np.array_split(values, min(len(values) // _STRETCH_ROWS, _STRETCHES_MOST) or 1)
    usual = max(stability_index(shares, binned(each, edges)) for each in stretches)
    return Bins(
        edges=tuple(edges.tolist()),
        shares=tuple(shares.tolist()),
        usual=usual if len(stretches) >= _STRETCHES_LEAST else 0.0,
    )


def reliability_of(scores: Floats, won: Mask) -> tuple[ReliabilityBin, ...]:
    """For each tenth of probability in which somebody was: how many, what they were given, what share of them won."""
    bins = np.minimum((scores * BINS).astype(np.intp), BINS - 1)
    found = []
    for number in range(BINS):
        inside = bins == number
        if inside.any():
            said, share = float(scores[inside].mean()), float(won[inside].mean())
            found.append(ReliabilityBin(rows=int(inside.sum()), said=min(said, 1.0), won=share))
    return tuple(found)


def _scores(predictor: Predictor, dataset: Dataset) -> Floats:
    return np.asarray(
        predictor.probabilities(dataset.features, dataset.side, dataset.symbol_names.tolist()), dtype=np.float64
    )


def _covered(fitted: Fitted, dataset: Dataset) -> dict[str, Covered]:
    codes = {symbol: code for code, symbol in enumerate(dataset.symbols)}
    found = {}
    for symbol in fitted.covered:
        rows = np.flatnonzero(dataset.symbol == codes.get(symbol, -1))
        days = float(dataset.end_ms[rows].max() - dataset.close_ms[rows[0]]) / DAY_MS if len(rows) else 0.0
        found[symbol] = Covered(rows=len(rows), days=days)
    return found


def _plain(value: object) -> Plain:
    return value if value is None or isinstance(value, str | int | float | bool) else repr(value)
