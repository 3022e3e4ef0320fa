"""Where the models of a strategy and a symbol lie: the scope, which is a folder (or folders in folders) below models/.

Rules of this file: a name that could leave the folder, or be taken for a version, is refused rather than changed.
"""

import re
from datetime import UTC, datetime

from livebot.adapters.state_files.signal_names import SUFFIX, file_name, folder_name
from livebot.errors import BadInput

DEFAULT_PATTERN = "{strategy}"
SHARED = "shared"  # stands for the symbol of the model that is for all of them
PARTS_MAX = 4
PART_BYTES_MAX = 120
POINTERS = ("current", "previous", "challenger")

_STRATEGY, _SYMBOL = "{strategy}", "{symbol}"
_FIELD = re.compile(r"\{[^}]*\}")
_PART = re.compile(r"[^\W_](?:[^\W_]|[._$+&@!'-])*|\$[^\W_](?:[^\W_]|[._$+&@!'-])*")
_VERSION = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}")


def check_pattern(pattern: str) -> str:
    """The pattern itself.

    Raises:
        BadInput: it does not name the strategy, holds another field, or would not make a scope.

    """
    others = sorted(set(_FIELD.findall(pattern)) - {_STRATEGY, _SYMBOL})
    if others:
        raise BadInput(f"model_path_pattern {pattern!r}: knows {_STRATEGY} and {_SYMBOL}, not {', '.join(others)}")
    if _STRATEGY not in pattern:
        raise BadInput(f"model_path_pattern {pattern!r}: must hold {_STRATEGY}, or two strategies would share a model")
    if any(_STRATEGY in part and _SYMBOL in part for part in pattern.split("/")):
        raise BadInput(
            f"model_path_pattern {pattern!r}: put a / between {_STRATEGY} and {_SYMBOL}, or the models of a strategy a could be "
            "taken for those of a-b"
        )
    check_scope(pattern.replace(_STRATEGY, "s").replace(_SYMBOL, "B-Q"))
    return pattern


def by_symbol(pattern: str) -> bool:
    """Whether each symbol has a scope of its own."""
    return _SYMBOL in pattern


def scope_of(pattern: str, strategy: str, symbol: str | None = None) -> str:
    """The scope of a strategy (id) and a symbol; without a symbol, the one that is for all of them.

    Raises:
        BadInput: one of them cannot name a folder.

    """
    named = SHARED if symbol is None else file_name(symbol).removesuffix(SUFFIX)
    return check_scope(pattern.replace(_STRATEGY, folder_name(strategy)).replace(_SYMBOL, named))


def pattern_of_scopes(pattern: str, strategy: str) -> re.Pattern[str]:
    """What the scopes of a strategy's symbols look like."""
    parts = re.split(f"({re.escape(_STRATEGY)}|{re.escape(_SYMBOL)})", pattern)
    meant = {_STRATEGY: re.escape(strategy), _SYMBOL: "[^/]+"}
    return re.compile("".join(meant.get(part, re.escape(part)) for part in parts))


def check_scope(scope: str) -> str:
    """The scope itself.

    Raises:
        BadInput: not 1 to PARTS_MAX names of folders with `/` between them.

    """
    parts = scope.split("/")
    if len(parts) > PARTS_MAX or not all(map(is_part, parts)):
        raise BadInput(
            f"{scope!r} is no scope of models: 1 to {PARTS_MAX} names of letters, digits and . _ - with / between them, "
            f"each at most {PART_BYTES_MAX} bytes, none of them a version or {', '.join(POINTERS)}"
        )
    return scope


def check_version(version: str) -> str:
    """The version itself.

    Raises:
        BadInput: not of the form YYYYMMDDTHHMMSSZ-0123abcd.

    """
    if not is_version(version):
        raise BadInput(
            f"{version!r} is no version of a model: it reads YYYYMMDDTHHMMSSZ-0123abcd, such as `models list` says"
        )
    return version


def is_version(name: str) -> bool:
    """Whether this is what a version is called."""
    return _VERSION.fullmatch(name) is not None


def version_name(created_ms: int, digest: str) -> str:
    """What a version is called: when it was made (UTC, to the second), and the first 8 digits of its digest."""
    return f"{datetime.fromtimestamp(created_ms / 1000, UTC):%Y%m%dT%H%M%SZ}-{digest[:8]}"


def is_part(part: str) -> bool:
    """Whether this may be one of the names in a scope."""
    plain = _PART.fullmatch(part) is not None and len(part.encode()) <= PART_BYTES_MAX
    return plain and not is_version(part) and part not in POINTERS and not part.endswith(".scratch")
