"""The composition root: the only room that knows every concrete class and puts them together.

Rules of this room: nothing is decided here; what is opened is closed in reverse order, however the run ends; a venue
that needs ccxt is put together in a module of its own, imported only when the config names it.
"""

from livebot.bootstrap.commands import alerts_test, check, control_socket, report, to_know
from livebot.bootstrap.daemon import run_daemon

__all__ = ["alerts_test", "check", "control_socket", "report", "run_daemon", "to_know"]
