"""Where the running daemon answers.

Rules of this file: an operator must be able to halt a daemon whose config somebody is just editing, so a config that no
longer reads is told and worked around, never in the way; nothing heavy is imported, so that the answer comes at once.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from livebot.config.document import read_document
from livebot.config.root import find_root
from livebot.errors import BadInput

STATE_FOLDER = "state"
SOCKET_NAME = "control.sock"


def daemon_address(config: Path, root: Path | None, warn: Callable[[str], None]) -> Path:
    """The control socket's path, by the two keys of the config that say where it is.

    Raises:
        BadInput: there is no such config file, and nothing else says where the root is.

    """
    base = find_root(root, config, os.environ)
    try:
        data = read_document(config.read_text("utf-8-sig"), str(config)).data
    except FileNotFoundError:
        if root is None:
            raise BadInput(f"{config}: no such file; name another with --config, or the folder with --root") from None
        data = {}
    except (OSError, ValueError, BadInput) as error:
        data = {}
        warn(f"{error}\nthe config cannot be read; trying the daemon's usual place under {base}")
    socket = _text(data, "control", "socket")
    return (base / (socket or Path(_text(data, "paths", "state") or STATE_FOLDER) / SOCKET_NAME)).resolve()


def _text(data: Mapping[str, object], section: str, key: str) -> str | None:
    inside = data.get(section)
    value = inside.get(key) if isinstance(inside, Mapping) else None
    return value if isinstance(value, str) and value else None
