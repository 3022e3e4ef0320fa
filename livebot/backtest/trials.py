"""Every trial that was ever made, so that nobody has to believe the best of many without knowing how many there were.

Rules of this file: a trial is added, never changed and never removed (the file itself refuses both); it is on disk before
it is told; two sweeps at once may write the same file.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

from livebot.adapters.state_files.file_layer import SystemFiles
from livebot.errors import BadInput, Fatal
from livebot.history.whole_file import make_folders

LEDGER = "trials.sqlite"
SCHEMA = 1
WAIT_S = 30.0  # for another process that is writing

_CREATE = """
CREATE TABLE IF NOT EXISTS trials (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    digest TEXT NOT NULL,
    made_ms INTEGER NOT NULL,
    seconds REAL NOT NULL,
    strategy TEXT NOT NULL,
    code TEXT NOT NULL,
    symbols TEXT NOT NULL,
    from_ms INTEGER NOT NULL,
    to_ms INTEGER NOT NULL,
    candles TEXT NOT NULL,
    config TEXT NOT NULL,
    features TEXT NOT NULL,
    params TEXT NOT NULL,
    figures TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS trials_by_digest ON trials (digest);
CREATE INDEX IF NOT EXISTS trials_by_strategy ON trials (strategy);
CREATE TRIGGER IF NOT EXISTS trials_are_kept BEFORE DELETE ON trials
    BEGIN SELECT RAISE(ABORT, 'trials are never removed'); END;
CREATE TRIGGER IF NOT EXISTS trials_are_fixed BEFORE UPDATE ON trials
    BEGIN SELECT RAISE(ABORT, 'trials are never changed'); END;
"""
_COLUMNS = (
    "digest, made_ms, seconds, strategy, code, symbols, from_ms, to_ms, candles, config, features, params, figures"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialKey:
    """What the figures of a trial depend on.

    `strategy` is the classes whose parameters were chosen, with ", " between them; `code` the digest of their source;
    `candles` of the candles, `config` of everything else in the plan; `features` are the short names of the feature sets;
    `params` JSON text of all parameters of those strategies by strategy id.
    """

    strategy: str
    code: str
    symbols: tuple[str, ...]
    from_ms: int
    to_ms: int
    candles: str
    config: str
    features: str
    params: str

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes one by one."""
        return tuple(self.strategy.split(", "))

    @property
    def digest(self) -> str:
        """The sha256 of all parts, in hexadecimal."""
        return sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialFigures:
    """How a trial went; None: the sample does not support the figure.

    Ratios are fractions, `pnl` and `expectancy` in quote currency, `sharpe` and `sortino` of a year (sqrt 365);
    `daily_sharpe`, `skewness` and `kurtosis` (3 for a normal distribution) of the `days` whole days' returns.
    """

    signals: int
    win_rate: float | None
    pnl: float
    expectancy: float | None
    profit_factor: float | None
    total_return: float | None
    sharpe: float | None
    sortino: float | None
    drawdown: float | None
    days: int
    daily_sharpe: float | None
    skewness: float | None
    kurtosis: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One trial as it stands in the ledger; `made_ms` is UTC."""

    key: TrialKey
    made_ms: int
    seconds: float
    figures: TrialFigures


class TrialLedger:
    """The file; use it as a context."""

    def __init__(self, path: Path) -> None:
        """Open it, or make it.

        Raises:
            BadInput: it is no ledger, or a newer livebot's.
            Fatal: it cannot be opened or made; naming the file and the mend.

        """
        make_folders(path.parent, SystemFiles())
        self._path = path
        with self._told():
            self._database = sqlite3.connect(path, timeout=WAIT_S, isolation_level=None)
            try:
                self._prepare()
            except BaseException:
                self._database.close()
                raise

    def _prepare(self) -> None:
        self._database.execute("PRAGMA synchronous = FULL")
        version = self._database.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA:
            raise BadInput(f"{self._path}: written by a newer livebot (schema {version}, this one knows {SCHEMA})")
        self._database.executescript(f"{_CREATE} PRAGMA user_version = {SCHEMA};")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._database.close()

    def add(self, trial: Trial) -> None:
        """Add a trial; it is on disk when this returns.  Raises Fatal: it could not be written."""
        key = trial.key
        row = (
            *(key.digest, trial.made_ms, trial.seconds, key.strategy, key.code, json.dumps(key.symbols)),
            *(key.from_ms, key.to_ms, key.candles, key.config, key.features, key.params),
            json.dumps(asdict(trial.figures)),
        )
        marks = ", ".join("?" * len(row))
        with self._told():
            self._database.execute(f"INSERT INTO trials ({_COLUMNS}) VALUES ({marks})", row)  # noqa: S608 - no text of others

    def find(self, key: TrialKey) -> Trial | None:
        """The last trial with the same key.  Raises BadInput, Fatal: it cannot be read."""
        found = self._select("WHERE digest = ? ORDER BY number DESC LIMIT 1", (key.digest,))
        return found[0] if found else None

    def made_on(self, key: TrialKey) -> list[Trial]:
        """All trials of one of the key's strategies on its data: candles of one of its symbols, of a time that overlaps its own.

        Each once, however often it was repeated; one of several strategies at once counts for each of them.

        Raises BadInput, Fatal: they cannot be read.
        """
        found = self._select("WHERE from_ms < ? AND to_ms > ? ORDER BY number", (key.to_ms, key.from_ms))
        symbols, classes = set(key.symbols), set(key.classes)
        return list(
            {
                each.key.digest: each
                for each in found
                if symbols & set(each.key.symbols) and classes & set(each.key.classes)
            }.values()
        )

    def _select(self, where: str, values: Sequence[object]) -> list[Trial]:
        with self._told():
            rows = self._database.execute(f"SELECT {_COLUMNS} FROM trials {where}", values).fetchall()  # noqa: S608
        return [self._trial(dict(zip(_COLUMNS.split(", "), row, strict=True))) for row in rows]

    def _trial(self, row: Mapping[str, Any]) -> Trial:
        try:
            figures = json.loads(row["figures"])
            key = {each.name: row[each.name] for each in fields(TrialKey)} | {
                "symbols": tuple(json.loads(row["symbols"]))
            }
            return Trial(
                key=TrialKey(**key),
                made_ms=row["made_ms"],
                seconds=row["seconds"],
                figures=TrialFigures(**figures),
            )
        except (TypeError, ValueError) as error:
            raise BadInput(f"{self._path}: a trial in it cannot be read ({error}); {_aside(self._path)}") from error

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise Fatal(
                f"{self._path}: the ledger of trials cannot be used: {error}; nothing in it was changed.  See that the disk "
                "has room, that you may write there, and that no other sweep holds it"
            ) from error
        except sqlite3.DatabaseError as error:
            raise BadInput(f"{self._path}: is no ledger of trials ({error}); {_aside(self._path)}") from error


def _aside(path: Path) -> str:
    return f"move it aside (to {path.name}.broken, say) and keep it: a new one begins to count from 0"
