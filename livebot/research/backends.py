"""Where the folds of a comparison are computed: joblib's backends, by one name.

Rules of this file: what is not installed is said with what to install; the result is the same with each of them.
"""

from importlib import import_module

from livebot.errors import BadInput

LOKY, THREADING, DASK, RAY = "loky", "threading", "dask", "ray"
BACKENDS = (LOKY, THREADING, DASK, RAY)
_MODULES = {DASK: "distributed", RAY: "ray.util.joblib"}


def ready(backend: str) -> str:
    """The backend's name for joblib, once it can be used.

    Dask connects to the scheduler that its own settings name (DASK_SCHEDULER_ADDRESS), Ray to its cluster (RAY_ADDRESS);
    without one each starts workers on this machine.

    Raises:
        BadInput: there is no such backend, or it is not installed.

    """
    if backend not in BACKENDS:
        raise BadInput(f"--backend {backend}: choose one of {', '.join(BACKENDS)}")
    if backend in _MODULES:
        name = _MODULES[backend]
        try:
            module = import_module(name)
        except ImportError as error:
            raise BadInput(
                f"--backend {backend}: {name} is not installed; install it beside livebot, or use loky"
            ) from error
        if backend == DASK:
            module.Client()  # becomes the current one, which joblib takes
        else:
            module.register_ray()
    return backend
