"""How `livebot run` ends where systemd has started it.

Rules of this file: what ended it stands in `systemctl status`; what would end the next start just as well (config, keys,
usage) is exit code 78 (EX_CONFIG), which the unit does not restart; in a terminal the codes are those of every command.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import typer

from livebot.adapters.log.redaction import Redaction, secrets_of
from livebot.adapters.systemd_notify import SystemdNotify, runs_as_service
from livebot.errors import BadInput, LivebotError

EX_CONFIG = 78


@contextmanager
def told_to_service(environ: Mapping[str, str]) -> Iterator[None]:
    """Tell the service manager of what ends the daemon inside.

    Raises:
        LivebotError: what was raised inside, where it is not told in another way.
        typer.Exit: with 78, after the sentence was written to stderr.

    """
    try:
        yield
    except LivebotError as error:
        if not runs_as_service(environ):
            raise
        SystemdNotify(environ).status(f"ended: {error}")
        if not isinstance(error, BadInput):
            raise
        typer.echo(Redaction(secrets_of(environ))(str(error)), err=True)
        raise typer.Exit(EX_CONFIG) from None
