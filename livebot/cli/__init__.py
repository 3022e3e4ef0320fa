"""The command line."""


def main() -> None:
    """What the `livebot` script calls."""
    from livebot.cli.app import app

    app()
