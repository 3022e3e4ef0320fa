"""`python -m livebot` is `livebot`."""

from livebot.cli import main

main()
