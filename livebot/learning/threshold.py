"""The one rule by which every model's threshold is found, so that two of them differ by what they know and nothing else.

Of the confidences in the calibration slice, that one is the threshold for which the weighted sum of the gains of all rows
at or above it is highest, as long as at least 30 % of the rows are kept: fewer say too little of the future.  Of equals the
lowest.  If no choice beats keeping all rows, the threshold is 0, which keeps all.

Rules of this file: one rule; no option, no search beside it.
"""

import numpy as np

from livebot.core.series import Floats
from livebot.errors import BadInput

KEEP_ALL = 0.0
MINIMUM_KEPT = 0.3  # of the rows


def best_threshold(confidence: Floats, gain: Floats, weight: Floats) -> float:
    """The least confidence worth taking, by rows (n,) of one slice of time.

    Raises:
        BadInput: there are no rows.

    """
    if not len(confidence):
        raise BadInput("there are no rows to find a threshold on")
    order = np.argsort(-confidence, kind="stable")
    ordered = confidence[order]
    kept_sum = np.cumsum((gain * weight)[order])
    # a threshold takes all rows of equal confidence: only the last of them is a place to cut
    last = np.append(ordered[1:] != ordered[:-1], True)
    enough = np.arange(1, len(ordered) + 1) >= MINIMUM_KEPT * len(ordered)
    places = np.flatnonzero(last & enough)
    best = places[kept_sum[places] == kept_sum[places].max()][-1]
    return KEEP_ALL if best == len(ordered) - 1 else float(ordered[best])
