"""Where everything lies: every path of the config, resolved once against one root."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from livebot.config.model import Config
from livebot.errors import BadInput

_SOCKET_BYTES_MAX = 107  # what Linux takes as the address of a unix socket


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Absolute paths; nothing of it needs to exist yet, save what an operator brings (`candles`, `ca_file`)."""

    config: Path
    root: Path
    signals: Path
    state: Path
    models: Path
    control_socket: Path
    candle_store: Path
    candles: Path | None
    venue_socket: Path | None
    ca_file: Path | None

    @property
    def lock(self) -> Path:
        """Held while a daemon runs on this root."""
        return self.state / "livebot.lock"

    @property
    def portfolio(self) -> Path:
        """What the portfolio remembers."""
        return self.state / "portfolio.json"

    @property
    def ledger(self) -> Path:
        """The facts."""
        return self.state / "ledger.sqlite"

    @property
    def simulator(self) -> Path:
        """The simulated venue's own memory."""
        return self.state / "simulator"

    @property
    def report(self) -> Path:
        """The report of the last graceful stop."""
        return self.state / "report.md"


def find_root(root: Path | None, config_path: Path, environ: Mapping[str, str]) -> Path:
    """The root: `root` (the command line's), else the first of $STATE_DIRECTORY, else the folder of the config file."""
    if root is not None:
        return root.resolve()
    given = [folder for folder in environ.get("STATE_DIRECTORY", "").split(":") if folder]
    return Path(given[0]).resolve() if given else config_path.resolve().parent


def resolve(config: Config, config_path: Path, root: Path | None, environ: Mapping[str, str]) -> Paths:
    """Every path of the config.

    Raises:
        BadInput: a socket's path is longer than the system takes.

    """
    base = find_root(root, config_path, environ)
    simulator, loopback = config.exchange.simulator, config.exchange.loopback
    state = _below(base, config.paths.state)
    control, venue = _optional(base, config.control.socket), _optional(base, simulator.socket)
    return Paths(
        config=config_path.resolve(),
        root=base,
        signals=_below(base, config.paths.signals),
        state=state,
        models=_below(base, config.paths.models),
        control_socket=_fits_a_socket(control or state / "control.sock", "control.socket"),
        candle_store=_below(base, config.paths.candles),
        candles=_optional(base, simulator.candles),
        venue_socket=venue and _fits_a_socket(venue, "exchange.simulator.socket"),
        ca_file=_optional(base, loopback.ca_file if loopback else None),
    )


def _below(base: Path, text: str) -> Path:
    return (base / text).resolve()


def _optional(base: Path, text: str | None) -> Path | None:
    return None if text is None else _below(base, text)


def _fits_a_socket(path: Path, key: str) -> Path:
    length = len(bytes(path))
    if length > _SOCKET_BYTES_MAX:
        raise BadInput(
            f"{key}: {path} is {length} bytes long, and a socket's path may have {_SOCKET_BYTES_MAX}; "
            "write a shorter one, such as one under /run"
        )
    return path
