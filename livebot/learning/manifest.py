"""What is to be known of a model before its file is touched: `manifest.json`.

Rules of this file: it is read from bytes that anyone may have written, so every field has a type and a bound, and an
unknown one is an error; a manifest of an earlier schema is brought up to date by a function of its own, and keeps loading.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from math import isfinite
from types import MappingProxyType
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from livebot.adapters.state_files.json_text import json_of, tree_of
from livebot.core.market import Timeframe
from livebot.errors import BadInput
from livebot.learning.scopes import check_scope, check_version
from livebot.learning.sealing import digest_of
from livebot.learning.spec import SymbolEncoding, TrainingMode

SCHEMA = 1
MANIFEST_BYTES_MAX = 16_000_000
FEATURES_MAX = 2_000
SYMBOLS_MAX = 10_000
GOLDEN_ROWS = 32
BINS = 10
TEXT_MAX = 400_000
PROBLEMS_TOLD = 3

Tree = dict[str, object]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Ratio = Annotated[float, Field(ge=0, le=1)]
Moment = Annotated[int, Field(ge=0, le=253_402_300_799_999)]  # the end of the year 9999, beyond which nothing is shown
Plain = str | int | float | bool | None


class ModelFormat(Enum):
    """How the model is written: joblib is a pickle, so it is code; skops is data, read by a list of what may be in it."""

    JOBLIB = "joblib"
    SKOPS = "skops"

    @property
    def file_name(self) -> str:
        """The model's file in its version's folder."""
        return f"model.{self.value}"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Covered(_Part):
    """A symbol the model was trained on, with how many rows over how many days."""

    rows: Annotated[int, Field(ge=0)]
    days: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Bins(_Part):
    """How a value was spread in training, for PSI: 9 edges that rise (perhaps not strictly), and the share of each bin.

    Bin i holds what lies above edge i - 1 and not above edge i (numpy.searchsorted from the left).  `usual` is the largest index
    of any stretch of the training itself against the whole of it (0: too few rows, or an older version): what moves with
    the seasons of a market does so in training too.
    """

    edges: Annotated[tuple[Finite, ...], Field(min_length=BINS - 1, max_length=BINS - 1)]
    shares: Annotated[tuple[Ratio, ...], Field(min_length=BINS, max_length=BINS)]
    usual: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if list(self.edges) != sorted(self.edges):
            raise ValueError("edges: they fall")
        return self


class ReliabilityBin(_Part):
    """Of the rows that were given about this probability: how many, what they were given, what share of them won."""

    rows: Annotated[int, Field(ge=0)]
    said: Ratio
    won: Ratio


class GoldenRow(_Part):
    """An input and the probability the model must give for it, to 1e-12."""

    features: tuple[Finite, ...]
    side: Annotated[int, Field(ge=-1, le=1)]
    symbol: Name
    probability: Ratio


class Manifest(_Part):
    """One version of a model.  Times are UTC ms; `model_digest` is the SHA-256 of the model's file, in hexadecimal.

    `train_end_ms` is the last moment that any outcome or calibration row reaches.  `feature_set` is the text whose SHA-256
    is `feature_digest`; `bounds` are for each feature the least and the greatest usual value (0.1 % and 99.9 % quantile);
    `shared`: there is a part that may answer for symbols it was not trained on; `short` are the symbols with too little
    history, whether covered or not; `calibrators` by symbol (slope, intercept), "" the shared one; `score_bins` and
    `reliability` are of the rows that calibrated, which the estimator itself did not see.
    """

    schema_number: int = Field(alias="schema")
    scope: Name
    version: Name
    created_ms: Moment
    livebot: Name
    format: ModelFormat
    model_digest: Digest
    model_bytes: Annotated[int, Field(ge=1)]
    libraries: dict[Name, Name]
    strategy: Name
    timeframe: Timeframe
    feature_names: Annotated[tuple[Name, ...], Field(min_length=1, max_length=FEATURES_MAX)]
    feature_set: Annotated[str, Field(max_length=TEXT_MAX)]
    feature_set_name: Name
    feature_digest: Digest
    training_mode: TrainingMode
    symbol_encoding: SymbolEncoding
    estimator: Name
    estimator_params: dict[str, Plain]
    label: dict[str, Plain]
    symbols: Annotated[dict[Name, Covered], Field(max_length=SYMBOLS_MAX)]
    short: tuple[Name, ...]
    shared: bool
    train_start_ms: Moment
    train_end_ms: Moment
    metrics: dict[str, float]
    calibrators: dict[str, tuple[Finite, Finite]]
    threshold: Ratio
    feature_bins: tuple[Bins, ...]
    score_bins: Bins
    reliability: tuple[ReliabilityBin, ...]
    bounds: tuple[tuple[Finite, Finite], ...]
    data: dict[str, str]
    parent: Name | None
    seed: int
    notes: tuple[str, ...]
    golden: Annotated[tuple[GoldenRow, ...], Field(min_length=1, max_length=GOLDEN_ROWS)]

    @field_validator("scope")
    @classmethod
    def _is_a_scope(cls, value: str) -> str:
        return _told(check_scope, value)

    @field_validator("version")
    @classmethod
    def _is_a_version(cls, value: str) -> str:
        return _told(check_version, value)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        width = len(self.feature_names)
        if len(set(self.feature_names)) != width:
            raise ValueError("feature_names: one stands there twice")
        for name, found in (("feature_bins", len(self.feature_bins)), ("bounds", len(self.bounds))):
            if found != width:
                raise ValueError(f"{name}: {found} of them for {width} features")
        if any(len(row.features) != width or row.side == 0 for row in self.golden):
            raise ValueError(f"golden: a row has not {width} features, or no side")
        if any(low > high for low, high in self.bounds):
            raise ValueError("bounds: the least usual value of a feature is above its greatest")
        if digest_of(self.feature_set.encode()) != self.feature_digest:
            raise ValueError("feature_digest: it is not that of feature_set")
        if self.train_end_ms < self.train_start_ms:
            raise ValueError("train_end_ms lies before train_start_ms")
        return self

    @property
    def name(self) -> str:
        """`scope/version`, as records name it."""
        return f"{self.scope}/{self.version}"


UPGRADES: Mapping[int, Callable[[Tree], Tree]] = MappingProxyType({})
"""By schema: the same tree as the next schema has it, never changed once a version that writes the next one is out."""


def written(manifest: Manifest) -> bytes:
    """The manifest as indented JSON.  A number that is not finite (only a metric can be) is left out."""
    tree = manifest.model_dump(mode="json", by_alias=True)
    tree["metrics"] = {name: value for name, value in tree["metrics"].items() if isfinite(value)}
    return json_of(tree, indent=True)


def parsed(body: bytes, upgrades: Mapping[int, Callable[[Tree], Tree]] = UPGRADES) -> Manifest:
    """The manifest that `written` wrote, or an earlier version of livebot did.

    Raises:
        BadInput: it is not one; the text names the first places that are wrong.

    """
    tree = tree_of(body)
    if not isinstance(tree, dict):
        raise BadInput("not a manifest: it is no JSON object")
    schema = tree.get("schema")
    if type(schema) is not int or schema < 1:
        raise BadInput(f"not a manifest: its schema is {schema!r}")
    if schema > SCHEMA:
        raise BadInput(
            f"written with schema {schema} by a later livebot, and this one reads up to {SCHEMA}: start that one, or train anew"
        )
    for number in range(schema, SCHEMA):
        tree = upgrades[number](tree)
    try:
        return Manifest.model_validate_json(json_of(tree))
    except ValidationError as error:
        raise BadInput(f"not a manifest of schema {SCHEMA}: {_problems(error)}") from None


def _problems(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_input=False, include_context=False)
    told = [f"{'.'.join(map(str, each['loc'])) or 'as a whole'}: {each['msg']}" for each in found[:PROBLEMS_TOLD]]
    more = len(found) - len(told)
    return "; ".join(told) + (f"; and {more} more" if more else "")


def _told(check: Callable[[str], str], value: str) -> str:
    try:
        return check(value)
    except BadInput as error:
        raise ValueError(str(error)) from None
