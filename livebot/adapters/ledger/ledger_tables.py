"""The ledger's tables, and how a database of it is opened."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Float,
    Index,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    inspect,
    make_url,
    select,
    text,
)
from sqlalchemy.engine import URL
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
    OperationalError,
    SQLAlchemyError,
)

from livebot.errors import BadInput, Fatal, Transient

SCHEMA = "1"
BUSY_TIMEOUT_SECONDS = 5.0
CACHE_KILOBYTES = 1_024  # of pages that a connection keeps: rows are added at the end and seldom read

METADATA = MetaData()

FACTS = Table(
    "facts",
    METADATA,
    Column("strategy", String(120), primary_key=True),
    Column("symbol", String(120), primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("ts_ms", BigInteger, nullable=False),
    Column("kind", String(40), nullable=False),
    Column("signal_id", String(260), nullable=False),
    Column("side", String(8), nullable=False),
    Column("payload", Text, nullable=False),  # the whole fact as the codec's JSON
    # of closed signals only, for people who ask with SQL; decimals are text, exact
    Column("close_reason", String(40)),
    Column("pnl_net", String(80)),
    Column("pnl_ratio", String(80)),
    Column("fees", String(80)),
    Column("opened_ms", BigInteger),
    Index("facts_by_time", "ts_ms"),
    Index("facts_by_kind", "kind", "ts_ms"),
)

DECISIONS = Table(
    "decisions",
    METADATA,
    Column("strategy", String(120), primary_key=True),
    Column("symbol", String(120), primary_key=True),
    Column("close_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("ts_ms", BigInteger, nullable=False),
    Column("outcome", String(40), nullable=False),
    Column("code", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("side", String(8)),
    Column("confidence", Float(53)),
    Column("feature_set", String(160)),  # since it was added; a ledger from before has none
    Column("model", String(300)),  # so was this
    Index("decisions_by_time", "ts_ms"),
)

META = Table(
    "meta",
    METADATA,
    Column("name", String(40), primary_key=True),
    Column("value", Text, nullable=False),
)


def url_of(target: str | Path) -> URL:
    """A database URL as it is, a path as a SQLite file.

    Raises:
        BadInput: not a URL that SQLAlchemy knows; the text shows no password.

    """
    try:
        if isinstance(target, Path) or "://" not in target:
            return URL.create("sqlite", database=str(target))
        url = make_url(target)
        url.get_dialect()
    except (ArgumentError, NoSuchModuleError) as error:
        message = "the ledger's database must be a path or a URL like postgresql+psycopg://user@host/name"
        raise BadInput(message) from error
    return url


def named(url: URL) -> str:
    """What to call a database in a message: never with its password."""
    if is_file(url):
        return str(url.database)
    return url.render_as_string(hide_password=True)


def is_file(url: URL) -> bool:
    """Whether it is a SQLite file."""
    return url.get_backend_name() == "sqlite" and bool(url.database) and url.database != ":memory:"


def writing_engine(url: URL) -> Engine:
    """An engine whose commits survive a power cut."""
    engine = create_engine(url, hide_parameters=True, **_waiting(url))
    if url.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _make_durable)
    return engine


def reading_engine(url: URL) -> Engine:
    """An engine that cannot write, and that neither waits for a writer nor holds one up.

    Raises:
        BadInput: there is no such ledger.

    """
    if not is_file(url):
        return create_engine(url, hide_parameters=True, execution_options={"postgresql_readonly": True})
    path = Path(str(url.database)).absolute()
    if not path.is_file():
        message = f"there is no ledger at {path}: it is made when livebot first runs in this root"
        raise BadInput(message)
    read_only = url.set(database=path.as_uri(), query={"mode": "ro", "uri": "true"})
    return create_engine(read_only, hide_parameters=True, **_waiting(url))


def _waiting(url: URL) -> dict[str, Any]:
    if url.get_backend_name() != "sqlite":
        return {"pool_pre_ping": True}  # a connection that the server dropped over night is made anew
    return {"connect_args": {"timeout": BUSY_TIMEOUT_SECONDS}}


def _make_durable(connection: Any, _record: object) -> None:  # noqa: ANN401  (a driver's own class)
    cursor = connection.cursor()
    # readers go on while we write, and every commit is synced (NORMAL would lose the last ones in a power cut)
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute(f"PRAGMA cache_size={-CACHE_KILOBYTES}")
    cursor.close()


def columns_of(connection: Connection, table: Table) -> frozenset[str]:
    """Which columns a table really has: those added since it was made are missing."""
    return frozenset(column["name"] for column in inspect(connection).get_columns(table.name))


def add_missing_columns(connection: Connection) -> None:
    """Give a ledger from before the columns that were added since; they are empty in its rows.

    Only columns that may be empty are ever added, so that versions from before go on writing and reading it.
    """
    preparer = connection.dialect.identifier_preparer
    for table in METADATA.sorted_tables:
        there = columns_of(connection, table)
        for column in table.columns:
            if column.name not in there:
                kind = column.type.compile(connection.dialect)
                name, added = preparer.format_table(table), preparer.format_column(column)
                connection.execute(text(f"ALTER TABLE {name} ADD COLUMN {added} {kind}"))


def meta_of(connection: Connection) -> dict[str, str]:
    """What the ledger says of itself."""
    return {row.name: row.value for row in connection.execute(select(META))}


@contextmanager
def told_apart(url: URL) -> Iterator[None]:
    """Turn the database's errors into ours.

    Raises:
        Transient: locked, full, gone for now: what a later try may find mended.
        Fatal: the file is not a database, or is broken.

    """
    try:
        yield
    except DBAPIError as error:
        if isinstance(error, (OperationalError, IntegrityError)) or error.connection_invalidated:
            message = f"the ledger {named(url)} cannot be used now: {error.orig}"
            raise Transient(message) from error
        message = (
            f"the ledger {named(url)} is broken or not a ledger: {error.orig}. Mend: stop livebot, move it away, and "
            "put a backup there or start with an empty one (only reports, win rates and streaks depend on it)"
        )
        raise Fatal(message) from error
    except SQLAlchemyError as error:
        message = f"the ledger {named(url)} cannot be used: {type(error).__name__}: {error}"
        raise Fatal(message) from error
