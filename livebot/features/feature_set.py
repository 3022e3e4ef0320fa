"""What a model, a backtest or a decision was made with: a named, versioned and hashed set of features.

Rules of this file: the hash depends on what is computed and on nothing else: not on the process, the machine, the
library's names or the names of inner features.  The order counts, because a model's inputs stand in that order.

CATALOGUE_VERSION rises whenever a function of the catalogue gives other values for the same declaration: models trained
before are then of another feature set.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

from livebot.core.market import Timeframe
from livebot.features.declaration import Feature
from livebot.features.functions import FUNCTIONS, OPEN_TIME

CATALOGUE_VERSION = 1
_OF_TIME = re.compile(rf"^(\w+) = \w+\('{OPEN_TIME}'", re.MULTILINE)
SHORT = 12  # hexadecimal digits shown: two sets of one name with the same ones are not a thing that happens


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """`digest` is the sha256 of `text`, in hexadecimal; `str()` is what stands in records: `name@version 0123456789ab`."""

    name: str
    version: int
    text: str
    digest: str

    def __str__(self) -> str:
        """The short form."""
        return f"{self.name}@{self.version} {self.digest[:SHORT]}"


def make_feature_set(name: str, version: int, timeframe: Timeframe, features: Sequence[Feature]) -> FeatureSet:
    """The set of these features of candles of this timeframe.

    Raises:
        ValueError: the version is not a whole number above 0.

    """
    if type(version) is not int or version < 1:
        message = f"version {version!r} of feature set {name!r} must be a whole number above 0"
        raise ValueError(message)
    return _set_of(name, version, timeframe, tuple(features))


@lru_cache(maxsize=256)
def _set_of(name: str, version: int, timeframe: Timeframe, features: tuple[Feature, ...]) -> FeatureSet:
    text = canonical_text(timeframe, features)
    return FeatureSet(name, version, text, sha256(text.encode()).hexdigest())


def canonical_text(timeframe: Timeframe, features: Sequence[Feature]) -> str:
    """One line of ASCII a feature, under a line with the catalogue's version and the timeframe."""
    lines = [f"catalogue {CATALOGUE_VERSION} timeframe {timeframe.value}"]
    lines += [f"{feature.name} = {_written(feature)}" for feature in features]
    return "\n".join(lines)


def made_of_time(text: str) -> frozenset[str]:
    """The names of those features of a canonical text that are made of the time of day or week alone."""
    return frozenset(_OF_TIME.findall(text))


def _written(source: Feature | str) -> str:
    if isinstance(source, str):
        return ascii(source)
    function = FUNCTIONS[source.function]
    given = [_written(inner) for inner in source.sources]
    given += [f"{name}={_number(value)}" for name, value in source.parameters]
    output = "" if len(function.outputs) == 1 else f".{source.output}"
    return f"{function.kind}({', '.join(given)}){output}"


def _number(value: float) -> str:
    """Shortest text that reads back as the same number; 2 and 2.0 are the same."""
    return str(int(value)) if value == int(value) else repr(float(value))
