"""Clusters by the correlation of returns: average linkage, by scipy.

Rules of this file: blocking, so it is called beside the event loop; scipy, which takes half a second to import, is not
imported before it is needed; the same candles give the same clusters, in whatever order they come; it works on one core,
so that another is left for the event loop.
"""

from collections.abc import Mapping

import numpy as np
from threadpoolctl import threadpool_limits

from livebot.core.clusters import Closes, Clusters, CorrelationRule, correlations, cut_of, named_by, returns_of, unfit
from livebot.core.series import Floats

_PAIR = 2


def prepare() -> None:
    """Import what is heavy: that holds up the event loop for a moment, which matters least while a daemon starts."""
    import scipy.cluster.hierarchy  # noqa: F401, PLC0415


def correlated(
    closes: Mapping[str, Closes], rule: CorrelationRule, at_ms: int, unknown: Mapping[str, str] | None = None
) -> Clusters:
    """The clusters as of `at_ms`; of the symbols in `unknown` there are no closes, for the reason told there.

    Average linkage on the distance 1 - correlation (Sokal and Michener 1958): the two clusters between whose members the
    correlation is highest on average are joined, as long as that average is at least the threshold.
    """
    unmeasured = dict(unknown or {})
    rows: dict[str, Floats] = {}
    for symbol in sorted(closes):
        row = returns_of(closes[symbol], rule, at_ms)
        why = unfit(row, rule)
        if why is None:
            rows[symbol] = row
        else:
            unmeasured[symbol] = why
    names = {symbol: symbol for symbol in unmeasured}
    if rows:
        # on more cores it takes longer as soon as anybody else wants one of them
        with threadpool_limits(1, user_api="blas"):
            found = correlations(np.stack(list(rows.values())), rule.minimum_candles)
        names |= named_by(list(rows), _labels(found, rule))
    return Clusters(
        at_ms=at_ms,
        rule=rule.text,
        names=tuple(sorted(names.items())),
        unmeasured=tuple(sorted(unmeasured.items())),
    )


def _labels(found: Floats, rule: CorrelationRule) -> list[int]:
    count = len(found)
    if count < _PAIR:
        return [0] * count
    # heavy, and only who has such clusters needs it
    from scipy.cluster.hierarchy import fcluster, linkage  # noqa: PLC0415

    pairs = np.triu_indices(count, 1)
    labels: list[int] = fcluster(linkage(1.0 - found[pairs], "average"), cut_of(rule), "distance").tolist()
    return labels
