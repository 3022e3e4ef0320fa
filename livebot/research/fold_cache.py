"""Results of folds on disk, so that a comparison that was killed goes on where it was.

Rules of this file: a result is found by everything it depends on and by nothing else; a file is there whole or not at all; one
that cannot be read is made again, never believed.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from enum import Enum
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt

from livebot.history.whole_file import FileCalls, make_folders, replace_file

Arrays = dict[str, npt.NDArray[np.generic]]
_SUFFIX = ".npz"
_SEAL = "seal"  # the key inside, so that a file under another's name is not taken for it


def key_of(parts: Mapping[str, object]) -> str:
    """The sha256 of these parts, in hexadecimal; they are what JSON can hold, floats by their shortest text."""
    return sha256(json.dumps(parts, sort_keys=True, allow_nan=False).encode()).hexdigest()


def plain(value: object) -> object:
    """As JSON knows it; what it does not know by its text."""
    match value:
        case Mapping():
            return {str(name): plain(each) for name, each in sorted(value.items(), key=lambda item: str(item[0]))}
        case list() | tuple():
            return [plain(each) for each in value]
        case Enum():
            return plain(value.value)
        case bool() | int() | float() | str() | None:
            return value
        case _:
            return repr(value)


class FoldCache:
    """One folder of results."""

    def __init__(self, folder: Path, calls: FileCalls) -> None:
        """Make the folder if there is none.  Raises Fatal: it cannot be made."""
        make_folders(folder, calls)
        self._folder, self._calls = folder, calls

    def find(self, key: str) -> Arrays | None:
        """The result of this key; None: there is none that can be read."""
        try:
            with np.load(io.BytesIO(self._path(key).read_bytes()), allow_pickle=False) as archive:
                found = {name: archive[name] for name in archive.files}
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
            return None
        sealed = found.pop(_SEAL, None)
        return found if sealed is not None and str(sealed) == key else None

    def keep(self, key: str, arrays: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """Write it, durably.  Raises Fatal: it could not be written; naming the file and the mend."""
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **{_SEAL: np.asarray(key)}, **arrays)
        replace_file(self._path(key), content.getvalue(), self._calls)

    def _path(self, key: str) -> Path:
        return self._folder / (key + _SUFFIX)
