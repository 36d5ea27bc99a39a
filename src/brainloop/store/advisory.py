"""PostgreSQL's advisory locks: of a transaction, and of a process for as long as it lives."""

from contextlib import suppress
from dataclasses import dataclass
from threading import Lock
from typing import Any
from zlib import crc32

from sqlalchemy import Select, func, select, text
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

__all__ = ["WRITERS", "Key", "NamedLock"]

OURS = int.from_bytes(b"BrLp", "big")
"""The first of an advisory lock's two numbers, so that those of other programs do not meet ours."""


@dataclass(frozen=True)
class Key:
    """The two numbers that PostgreSQL knows a lock by.

    Parameters
    ----------
    name : str
        What is locked.
    """

    name: str

    @property
    def numbers(self) -> tuple[int, int]:
        """Ours, and the name's as a signed number of 32 bits."""
        return OURS, int.from_bytes(crc32(self.name.encode()).to_bytes(4, "big"), "big", signed=True)

    def statement(self) -> Select[Any]:
        """Wait for the lock, which then lasts until the transaction ends."""
        return select(func.pg_advisory_xact_lock(*self.numbers))


WRITERS = Key("writers")


class NamedLock:
    """A lock that a process holds by a connection of its own, so that the server lets go of it when the process ends.

    Parameters
    ----------
    engine : Engine
        Of the database.
    name : str
        What is locked.
    """

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._key = Key(name)
        self._sql: Connection | None = None
        self._mutex = Lock()

    def take(self) -> bool:
        """Take the lock unless another holds it; say whether it is held now."""
        with self._mutex:
            if self._is_held():
                return True
            sql = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            try:
                sql.detach()  # else the pool would hand the lock to whoever comes next
                if not sql.execute(select(func.pg_try_advisory_lock(*self._key.numbers))).scalar():
                    sql.close()
                    return False
            except BaseException:
                sql.close()
                raise
            self._sql = sql
            return True

    def _is_held(self) -> bool:
        if self._sql is None:
            return False
        try:
            self._sql.execute(text("select 1"))
        except DBAPIError:
            self._let_go()
            return False
        return True

    def drop(self) -> None:
        """Let go of the lock, held or not."""
        with self._mutex:
            self._let_go()

    def _let_go(self) -> None:
        sql, self._sql = self._sql, None
        if sql is None:
            return
        if not sql.invalidated:  # one that broke has nothing to unlock
            # The server notices a closed connection a little later: until then the lock would be held by nobody.
            with suppress(DBAPIError):
                sql.execute(select(func.pg_advisory_unlock(*self._key.numbers)))
        sql.close()
