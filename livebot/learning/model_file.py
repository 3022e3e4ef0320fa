"""A predictor as bytes and back, in one of two formats, and the versions of the libraries that both need.

Rules of this file: nothing here decides whether bytes may be trusted: that is the seal's, and asked before.  What a pickle
may name is bounded all the same, and what skops may hold is a list in this file, never what the file asks for.
"""

import platform
import types
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from io import BytesIO
from typing import Any, Final

import joblib
from joblib.numpy_pickle import NumpyUnpickler

from livebot.errors import BadInput
from livebot.learning.manifest import ModelFormat
from livebot.learning.predictor import Predictor

MODEL_BYTES_MAX = 512_000_000

_TOLD = 3  # strange types in a sentence
_ALWAYS = ("numpy", "scikit-learn", "joblib")
_DISTRIBUTIONS = {"sklearn": "scikit-learn"}  # where a package comes from, if not from one of its own name
_PACKAGES = ("livebot.learning", "sklearn", "scipy", "lightgbm")
_NAMED: Final = {
    "builtins": "bool bytearray bytes complex dict float frozenset int list object range set slice str tuple",
    "collections": "OrderedDict defaultdict",
    "copyreg": "_reconstructor",
    "functools": "partial",
    "joblib.numpy_pickle": "NumpyArrayWrapper",
    "numpy": "bool bool_ dtype float32 float64 int8 int16 int32 int64 intp ndarray str_ uint8 uint16 uint32 uint64",
    "numpy._core.multiarray": "_reconstruct scalar",
    "numpy._core.numeric": "_frombuffer",
    "numpy.random._pickle": "__bit_generator_ctor __generator_ctor __randomstate_ctor",
    "numpy.random._mt19937": "MT19937",
    "numpy.random._pcg64": "PCG64",
    "numpy.random.bit_generator": "SeedSequence __pyx_unpickle_SeedSequence",
    "types": "MappingProxyType",
}
_NAMES: Final = frozenset((module, name) for module, names in _NAMED.items() for name in names.split())
# what skops asks about in the shipped estimators, and nothing else
_SKOPS_TYPES: Final = frozenset(
    {
        "collections.OrderedDict",
        "functools.partial",
        "lightgbm.basic.Booster",
        "lightgbm.sklearn.LGBMClassifier",
        "livebot.learning.predictors.calibrated.CalibratedPredictor",
        "livebot.learning.predictors.calibrated.Calibration",
        "livebot.learning.predictors.estimators.CodesFirst",
        "livebot.learning.predictors.estimators.EstimatorScores",
        "livebot.learning.predictors.linear.LinearScores",
        "livebot.learning.predictors.symbol_rows.SymbolTable",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.utils.validation.check_array",
    }
)


class _NamedOnly(NumpyUnpickler):  # type: ignore[misc]  # joblib ships no types
    """Defence in depth behind the seal: only classes and functions of the packages that models are made of."""

    def __init__(self, data: bytes, packages: Sequence[str]) -> None:
        super().__init__("", BytesIO(data), True)
        self._packages = packages

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401
        if (module, name) in _NAMES:
            return super().find_class(module, name)
        package = next((each for each in self._packages if _within(module, each)), None)
        if package is not None and "." not in name:
            found = super().find_class(module, name)
            # not what a module merely imported, such as os
            if isinstance(found, type | types.FunctionType | types.BuiltinFunctionType) and _within(
                found.__module__ or "", package.partition(".")[0]
            ):
                return found
        raise BadInput(f"it names {module}.{name}, which no model of livebot holds; it was not loaded")


def dumped(predictor: Predictor, model_format: ModelFormat) -> bytes:
    """The predictor as bytes.

    Raises:
        BadInput: it cannot be written in this format, or skops is not installed.

    """
    if model_format is ModelFormat.SKOPS:
        return bytes(_skops().dumps(predictor))
    buffer = BytesIO()
    joblib.dump(predictor, buffer)
    return buffer.getvalue()


def undumped(data: bytes, model_format: ModelFormat, packages: Sequence[str] = ()) -> Predictor:
    """What `dumped` was given.  Of a pickle this is running code: check the seal before.

    `packages` are those of estimators of the operator's own; skops reads shipped ones only.

    Raises:
        BadInput: it does not load, or names or holds what no model of livebot does.

    """
    try:
        skops = model_format is ModelFormat.SKOPS
        loaded = _from_skops(data) if skops else _NamedOnly(data, (*_PACKAGES, *packages)).load()
    except BadInput:
        raise
    except Exception as error:  # noqa: BLE001 - pickle runs whatever the model is made of; LightGBM's errors are of no narrower kind
        raise BadInput(f"it does not load: {type(error).__name__}: {error}") from None
    if not callable(getattr(loaded, "probabilities", None)):
        raise BadInput(f"it is a {type(loaded).__name__}, and no predictor")
    return loaded  # type: ignore[no-any-return]


def _from_skops(data: bytes) -> Any:  # noqa: ANN401
    skops = _skops()
    strange = sorted(set(skops.get_untrusted_types(data=data)) - _SKOPS_TYPES)
    if strange:
        raise BadInput(f"it holds {', '.join(strange[:_TOLD])}, which no model of livebot does; it was not loaded")
    return skops.loads(data, trusted=sorted(_SKOPS_TYPES))


def _skops() -> Any:  # noqa: ANN401
    try:
        return import_module("skops.io")  # an extra
    except ImportError:
        raise BadInput(
            "model.format: skops needs the package skops, which is not installed: pip install 'livebot[skops]', or use joblib"
        ) from None


def libraries(estimator: str, model_format: ModelFormat) -> dict[str, str]:
    """The versions that a model hangs on: python (without its patch), and by distribution those that are its code.

    `estimator` is its name or class path (EstimatorSpec.name).
    """
    used = [*_ALWAYS]
    if model_format is ModelFormat.SKOPS:
        used.append("skops")
    package = estimator.partition(":")[0].partition(".")[0]
    if package == "lightgbm" or ":" in estimator:
        used.append(_DISTRIBUTIONS.get(package, package))
    return {"python": python_version(), **_versions(used)}


def library_problem(saved: Mapping[str, str]) -> str | None:
    """What of the libraries a model was saved with is another version here; None if nothing is."""
    here = {"python": python_version(), **_versions(name for name in saved if name != "python")}
    other = [
        f"{name} {saved[name]} (here: {here.get(name, 'not installed')})"
        for name in saved
        if here.get(name) != saved[name]
    ]
    return f"it was trained with {', '.join(other)}; train it anew (livebot train)" if other else None


def python_version() -> str:
    """Major and minor."""
    return ".".join(platform.python_version_tuple()[:2])


def _versions(names: Iterable[str]) -> dict[str, str]:
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # a module of the operator's own that no package brought
            continue
    return found


def _within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")
