"""Reading the config of a command."""

import sys
from pathlib import Path

from livebot.config import load as config_load
from livebot.config.load import LoadedConfig


def load(config_path: Path) -> LoadedConfig:
    """Read and check a config; a strategy may stand beside it.  Raises ConfigErrors."""
    # A user's own strategy stands beside the config; at the end of the path, so that it can shadow nothing.
    folder = str(config_path.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)
    return config_load.load(config_path)
