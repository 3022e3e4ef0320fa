"""TA-Lib, imported alone: it would load pandas and polars wherever they are installed, and wrap its functions for them.

That costs two thirds of a second at each start, forty megabytes, and a call for each value.

Rules of this file: it is the only one that imports talib; afterwards pandas and polars can be imported as ever.
"""

import sys

_NOT_WANTED = tuple(name for name in ("pandas", "polars") if name not in sys.modules)

for _name in _NOT_WANTED:
    sys.modules[_name] = None  # type: ignore[assignment]
try:
    import talib
    from talib import InsufficientHistory, stream  # type: ignore[attr-defined]
finally:
    for _name in _NOT_WANTED:
        del sys.modules[_name]

__all__ = ["InsufficientHistory", "stream", "talib"]
