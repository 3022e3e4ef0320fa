"""Rows before and after a moment, with nothing of the later ones known to the earlier.

Rules of this file: the split is by time, never by the number of rows, and the same for all symbols.
"""

import numpy as np

from livebot.learning.dataset import Dataset


def split(dataset: Dataset, share: float, embargo_ms: int) -> tuple[Dataset, Dataset]:
    """The rows to learn from, and those of the last `share` of the time between the first close and the last.

    An earlier row whose outcome was known only in the later part, or less than `embargo_ms` before it, is in neither
    (purge and embargo: Lopez de Prado 2018, chapter 7); that is so over all symbols.
    """
    if not len(dataset):
        return dataset, dataset
    first, last = int(dataset.close_ms[0]), int(dataset.close_ms[-1])
    begins_ms = last - int((last - first) * share)
    earlier = (dataset.close_ms < begins_ms) & (dataset.end_ms + embargo_ms < begins_ms)
    return dataset.rows(earlier), dataset.rows(np.asarray(dataset.close_ms >= begins_ms))
