"""The database below a store: how it is reached, what a transaction is, and what is tried again.

SQLite in WAL mode with ``synchronous=FULL``, PostgreSQL with ``synchronous_commit=on``: what a transaction returned
from is on disk. Transactions that write come one after another (SQLite by its file, PostgreSQL by an advisory lock), so
that each sees what all before it did. On PostgreSQL one whose connection breaks is tried again; a token that it writes
tells whether the first try had come through and only its acknowledgement was lost.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar
from uuid import uuid4

from sqlalchemy import URL, create_engine, delete, event, func, insert, make_url, select
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import ArgumentError, DBAPIError

from brainloop.errors import MissingExtraError, SettingsError
from brainloop.store.advisory import WRITERS, NamedLock
from brainloop.store.problems import explain, is_passing
from brainloop.store.tables import WRITTEN

__all__ = ["PATIENCE_S", "Database", "Mode"]

PATIENCE_S = 60.0
"""How long a server that does not answer is waited for, s: PostgreSQL restarts in seconds, a host in a minute."""

PAUSES_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Between one try and the next, s; the last again and again."""

KEEP_TOKENS_S = 3600.0
"""A token is asked for within `PATIENCE_S`; an hour is beyond doubt."""

PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000", "secure_delete=ON")

# A peer that is gone is noticed after 20 + 4 x 10 s on either side; a client that freezes in mid-transaction holds the
# others up for 10 s.
KEEPALIVE = {"keepalives": 1, "keepalives_idle": 20, "keepalives_interval": 10, "keepalives_count": 4}
SESSION = (
    "-c synchronous_commit=on -c TimeZone=UTC -c idle_in_transaction_session_timeout=10s "
    "-c tcp_keepalives_idle=20 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=4"
)

Mode = Literal["read", "write", "repeat"]
"""What a transaction does: reads; writes, once however often it is tried; writes what may as well be written twice."""

Result = TypeVar("Result")


class Database:
    """A database that one study is in.

    Parameters
    ----------
    where : Path or str
        A file, or ``sqlite:///file``, or ``postgresql://user@host/database``.
    patience_s : float
        How long a server that was reached before is waited for, s.

    Raises
    ------
    SettingsError
        If it is a URL of another kind, or one with a password.
    MissingExtraError
        If the driver of PostgreSQL is not installed.
    """

    def __init__(self, where: Path | str, patience_s: float = PATIENCE_S) -> None:
        url = _url(where)
        self.is_shared = url.get_backend_name() == "postgresql"
        self.name = url.set(drivername="postgresql").render_as_string() if self.is_shared else str(url.database)
        self.patience_s = patience_s
        self._met = False
        self.engine = _postgresql(url) if self.is_shared else _sqlite(url)

    def transact(self, work: Callable[[Connection], Result], mode: Mode) -> Result:
        """Do `work` in one transaction, which ends whole or not at all; `Mode` says how it is tried again."""
        token = uuid4().hex if mode == "write" and self.is_shared else None
        results: list[Result] = []

        def attempt(number: int) -> Result:
            with self.engine.connect().execution_options(brainloop_writes=mode != "read") as sql, sql.begin():
                if self.is_shared and mode != "read":
                    sql.execute(WRITERS.statement())
                if number and results and token and _was_written(sql, token):
                    return results[-1]
                results.append(work(sql))
                if token:
                    now = self.now(sql)
                    sql.execute(delete(WRITTEN).where(WRITTEN.c.at < now - KEEP_TOKENS_S))
                    sql.execute(insert(WRITTEN).values(token=token, at=now))
                return results[-1]

        return self.insist(attempt)

    def insist(self, attempt: Callable[[int], Result]) -> Result:
        """Call `attempt` with 0, 1, 2 and so on until no passing trouble of the connection stops it.

        Raises
        ------
        UnreachableError
            If the server does not come back in time.
        StudyError
            If the database is not sound, lets nobody in, or refuses what was asked.
        """
        start = time.monotonic()
        number = 0
        while True:
            try:
                result = attempt(number)
            except DBAPIError as error:
                patient = time.monotonic() - start < self.patience_s
                if not (self.is_shared and patient and is_passing(error, met=self._met)):
                    raise explain(error, self.name, shared=self.is_shared) from error
                time.sleep(PAUSES_S[min(number, len(PAUSES_S) - 1)])
                number += 1
            else:
                self._met = True
                return result

    def now(self, sql: Connection) -> float:
        """Read the store's clock, Unix time, s: the server's, so that the stations' own may be wrong."""
        if not self.is_shared:
            return time.time()
        return float(sql.execute(select(func.extract("epoch", func.clock_timestamp()))).scalar_one())

    def lock(self, name: str) -> NamedLock:
        """Make a lock that is held until it is dropped or its process ends; PostgreSQL only."""
        return NamedLock(self.engine, name)

    @contextmanager
    def raw(self) -> Iterator[Any]:
        """Give a cursor outside of any transaction, for statements that allow none."""
        with closing(self.engine.raw_connection()) as connection:
            driver: Any = connection.driver_connection
            if not self.is_shared:
                yield driver.cursor()
                return
            driver.autocommit = True
            try:
                yield driver.cursor()
            finally:
                if not driver.closed:
                    driver.autocommit = False

    def close(self) -> None:
        """Let go of the database."""
        self.engine.dispose()


def _was_written(sql: Connection, token: str) -> bool:
    return bool(sql.execute(select(func.count()).where(WRITTEN.c.token == token)).scalar())


def _url(where: Path | str) -> URL:
    if isinstance(where, Path) or "://" not in where:
        return URL.create("sqlite", database=str(where))
    try:
        url = make_url(where)
    except (ArgumentError, ValueError):
        url = None
    kinds = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
    kinds["postgresql+psycopg"] = "postgresql+psycopg"
    if url is None or url.drivername not in kinds or not url.database:
        shown = where.partition("://")[0] + "://..."
        raise SettingsError(
            f"expected a store at a file, sqlite:///file or postgresql://host/database, got {shown}; give one of these"
        )
    if url.password is not None or "password" in url.query:
        raise SettingsError(
            f"expected the URL of a store without a password, as it is written into study.toml; got one to "
            f"{url.host or 'a socket'}. Put it into ~/.pgpass, a service file or the variable PGPASSWORD"
        )
    return url.set(drivername=kinds[url.drivername])


def _sqlite(url: URL) -> Engine:
    engine = create_engine(url)

    @event.listens_for(engine, "connect")
    def durable(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # begin as said below, not when the driver thinks fit
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(sql: Connection) -> None:
        writes = sql.get_execution_options().get("brainloop_writes", False)
        sql.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgresql(url: URL) -> Engine:
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("psycopg", "postgres", "a store on PostgreSQL", error) from error
    given = url.query.get("options", "")
    options = f"{SESSION} {given if isinstance(given, str) else ' '.join(given)}".strip()
    to_server = {"connect_timeout": 10, "application_name": "brainloop", "options": options, **KEEPALIVE}
    return create_engine(
        url.difference_update_query(["options"]), pool_pre_ping=True, pool_size=4, max_overflow=12,
        connect_args=to_server,
    )  # fmt: skip
