"""Inputs kept with the outputs they must give: a model that loads and answers otherwise is not the one that was trained.

Rules of this file: the rows are rows of training, spread evenly over its time; the tolerance is far below what any decision
could notice and above what another processor's rounding does.
"""

import numpy as np

from livebot.errors import BadInput, Rejected
from livebot.learning.dataset import Dataset
from livebot.learning.loaded import LoadedModel
from livebot.learning.manifest import GOLDEN_ROWS, GoldenRow
from livebot.learning.predictor import Predictor

TOLERANCE = 1e-12


def golden_rows(predictor: Predictor, dataset: Dataset) -> tuple[GoldenRow, ...]:
    """At most GOLDEN_ROWS rows of a dataset with what the predictor says of them.

    Raises:
        BadInput: the dataset is empty.

    """
    if not len(dataset):
        raise BadInput("there are no rows, so nothing can show later that a model is the one that was trained")
    chosen = np.unique(np.linspace(0, len(dataset) - 1, GOLDEN_ROWS).round().astype(np.intp))
    rows = dataset.rows(chosen)
    symbols = rows.symbol_names.tolist()
    said = predictor.probabilities(rows.features, rows.side, symbols)
    return tuple(
        GoldenRow(features=tuple(features), side=side, symbol=symbol, probability=probability)
        for features, side, symbol, probability in zip(
            rows.features.tolist(), rows.side.tolist(), symbols, np.asarray(said).tolist(), strict=True
        )
    )


def check_golden(model: LoadedModel) -> None:
    """Ask a model about its golden rows.

    Raises:
        BadInput: it fails, or an answer is off by more than TOLERANCE.

    """
    rows = model.manifest.golden
    features = np.asarray([row.features for row in rows], dtype=np.float64)
    side = np.asarray([row.side for row in rows], dtype=np.int8)
    expected = np.asarray([row.probability for row in rows], dtype=np.float64)
    try:
        said = model.probabilities(features, side, [row.symbol for row in rows])
    except Rejected as error:
        raise BadInput(f"its golden rows cannot be asked: {error}") from error
    off = np.abs(said - expected)
    if (off > TOLERANCE).any():
        row = int(off.argmax())
        raise BadInput(
            f"golden row {row + 1} of {len(rows)} gives {float(said[row])!r} and must give {float(expected[row])!r}: "
            "the model does not answer as it did when it was trained"
        )
