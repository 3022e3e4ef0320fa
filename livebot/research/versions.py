"""Which code a result was made by: the source of our own modules, and the versions of the libraries under them.

Rules of this file: whatever could change a figure changes the digest; where something stands on the disk does not.
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from inspect import getsource
from types import ModuleType

import numpy as np
import scipy
import sklearn


def libraries_of(estimators: Iterable[str]) -> dict[str, str]:
    """The version of every library that trains, by name, those of these estimators (names of an EstimatorSpec) among them.

    An estimator by its class path has the digest of its module's source, if there is one, else its package's version.
    """
    found = {"numpy": np.__version__, "scipy": scipy.__version__, "scikit-learn": sklearn.__version__}
    for name in estimators:
        module, colon, _ = name.partition(":")
        if colon:
            found[module] = _version_of(module)
        elif name == "lightgbm":
            found[name] = _installed(name)
    return dict(sorted(found.items()))


def _version_of(module: str) -> str:
    top = module.partition(".")[0]
    if top == "sklearn":
        return str(sklearn.__version__)
    try:
        return blake2b(getsource(import_module(module)).encode(), digest_size=20).hexdigest()
    except (ImportError, OSError, TypeError):
        return _installed(top)


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not known"


def source_digest(functions: Sequence[Callable[..., object]], packages: tuple[str, ...]) -> str:
    """Of the source of the modules that these functions' modules use, however far down in `packages`; in hexadecimal."""
    digest = blake2b(digest_size=20)
    for name, module in sorted(_modules_of(functions, packages).items()):
        digest.update(name.encode())
        digest.update(getsource(module).encode())
    return digest.hexdigest()


def _modules_of(functions: Sequence[Callable[..., object]], packages: tuple[str, ...]) -> dict[str, ModuleType]:
    found: dict[str, ModuleType] = {}
    waiting = [function.__module__ for function in functions]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found[name] = sys.modules[name]
        used = (each.__name__ if isinstance(each, ModuleType) else _home(each) for each in vars(found[name]).values())
        waiting += [each for each in used if each.startswith(packages)]
    return found


def _home(value: object) -> str:
    name = getattr(value, "__module__", "")
    return name if isinstance(name, str) else ""
