"""The command line."""

import sys

from livebot.cli.interrupt import INTERRUPTED, leaving_at_once


def main() -> None:
    """What the `livebot` script calls."""
    with leaving_at_once():
        from livebot.cli.app import app
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
