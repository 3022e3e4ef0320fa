"""The command line."""

import sys

_INTERRUPTED = 130  # what shells make of a SIGINT


def main() -> None:
    """What the `livebot` script calls."""
    try:
        from livebot.cli.app import app

        app()
    except KeyboardInterrupt:  # before there is anything that could end in order
        sys.exit(_INTERRUPTED)
