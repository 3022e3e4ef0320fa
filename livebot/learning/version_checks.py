"""Whether a version may be asked, as far as its manifest says: by the features that it wants, and by the time of its training.

Rules of this file: values in, values out; a problem is a sentence with its cause and the mend, None is none.
"""

from datetime import UTC, datetime
from itertools import zip_longest

from livebot.features.feature_set import FeatureSet
from livebot.learning.manifest import Manifest


def feature_problem(manifest: Manifest, feature_set: FeatureSet | None) -> str | None:
    """What differs between a model's features and those that the caller computes; None if nothing does."""
    if feature_set is None:
        return None
    if feature_set.digest == manifest.feature_digest:
        return _name_problem(manifest, feature_set)
    theirs, ours = manifest.feature_set.splitlines(), feature_set.text.splitlines()
    pairs = [(one, other) for one, other in zip(theirs, ours, strict=False) if one != other]
    if pairs:
        first = f"the first that differs is {pairs[0][0]!r}, here {pairs[0][1]!r}"
    else:
        first = f"it has {len(theirs) - 1} features, and here there are {len(ours) - 1}"
    return (
        f"it was trained on the features {manifest.feature_set_name}, and the strategy is given {feature_set}: {first}; "
        "train it anew, or set model.features and the strategy's timeframe as they were"
    )


def _name_problem(manifest: Manifest, feature_set: FeatureSet) -> str | None:
    """Inputs go by their place: names in another order are those of another model."""
    names = [line.partition(" = ")[0] for line in feature_set.text.splitlines()[1:]]
    for said, name in zip_longest(manifest.feature_names, names, fillvalue="nothing"):
        if said != name:
            return f"its manifest contradicts itself: it lists {said} where its feature set has {name}; train it anew"
    return None


def time_problem(manifest: Manifest, judged_from_ms: int | None) -> str | None:
    """Why a version may not be judged by what begins then (UTC ms; None: it is not judged); None if it may."""
    if judged_from_ms is None or manifest.train_end_ms < judged_from_ms:
        return None
    return (
        f"its training reaches {_moment(manifest.train_end_ms)}, and it was to be judged from {_moment(judged_from_ms)} on: it has "
        "seen what it would be judged by"
    )


def _moment(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"
