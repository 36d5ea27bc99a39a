"""The store of one study: who was shown what, what came of it, and who is there."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import func, insert, select
from sqlalchemy.engine import Connection

from brainloop.errors import StudyError
from brainloop.store.blocks import Blocks
from brainloop.store.database import PATIENCE_S, Database
from brainloop.store.erasure import Erasure
from brainloop.store.pool import Pool
from brainloop.store.records import PoolImage
from brainloop.store.rounds import Rounds
from brainloop.store.schema import found_schema, lacking, make_tables, upgrade
from brainloop.store.stations import LEASE_S
from brainloop.store.tables import FACT, IMAGE, SCHEMA, SKIPPED
from brainloop.store.transactions import writing

__all__ = ["Store"]


class Store(Pool, Blocks, Rounds, Erasure):
    """The store of one study, on SQLite or on PostgreSQL.

    Every method is one transaction, so that a kill at any instant leaves either all of it or none.

    Parameters
    ----------
    where : Path or str
        A file, or ``sqlite:///file``: made where there is none, for one station. Or
        ``postgresql://user@host/database``, without a password, for any number of them.
    lease_s : float, optional
        How long a station's leases hold without a heartbeat, s: `LEASE_S` on PostgreSQL, for ever on SQLite.
    patience_s : float
        How long a server that does not answer any more is waited for, s.

    Attributes
    ----------
    name : str
        What messages call it; never with a password.
    is_shared : bool
        Whether several stations can use it: PostgreSQL.

    Raises
    ------
    SettingsError
        If it is a URL of another kind, or one with a password.
    UnreachableError
        If the server cannot be reached.
    StudyError
        If the server lets nobody of that name in, there is no such database, or what is there is no store.
    """

    def __init__(self, where: Path | str, *, lease_s: float | None = None, patience_s: float = PATIENCE_S) -> None:
        self._database = Database(where, patience_s)
        self.name, self.is_shared = self._database.name, self._database.is_shared
        self._lease_s = (LEASE_S if self.is_shared else np.inf) if lease_s is None else lease_s
        self._held = {}
        try:
            self._version = self._database.transact(lambda sql: found_schema(sql, self.name), "read")
            if self._version is None and not self.is_shared:
                self._make()
        except BaseException:
            self._database.close()
            raise
        self._lacking = lacking(self._version, self.name)

    @property
    def is_empty(self) -> bool:
        """Whether there is no study in it yet."""
        return self._version is None

    @property
    def lease_s(self) -> float:
        """How long a station's leases hold without a heartbeat, s."""
        return self._lease_s

    @property
    def patience_s(self) -> float:
        """How long a server that does not answer any more is waited for, s; it may be changed."""
        return self._database.patience_s

    @patience_s.setter
    def patience_s(self, value: float) -> None:
        self._database.patience_s = value

    def _make(self) -> None:
        """Make the tables, unless another process has made them since."""

        def make(sql: Connection) -> None:
            if found_schema(sql, self.name) is None:
                make_tables(sql)

        self._database.transact(make, "repeat")
        self._version = SCHEMA
        self._lacking = None

    def create(self, images: Sequence[PoolImage], skipped: Sequence[tuple[str, str]], facts: dict[str, Any]) -> None:
        """Fill a new store: its images, the (path, reason) of those that were skipped, and facts to keep as JSON.

        Raises
        ------
        StudyError
            If it holds a study already.
        """
        if self._version is None:
            self._make()
        self._fill(images, skipped, facts)

    @writing
    def _fill(
        self,
        sql: Connection,
        images: Sequence[PoolImage],
        skipped: Sequence[tuple[str, str]],
        facts: dict[str, Any],
    ) -> None:
        if sql.execute(select(func.count()).select_from(IMAGE)).scalar():
            raise StudyError(
                f"{self.name} holds a study already: join it with brainloop join STUDY {self.name}, or name an empty "
                "database"
            )
        sql.execute(insert(IMAGE), [vars(image) for image in images])
        if skipped:
            sql.execute(insert(SKIPPED), [{"path": path, "reason": reason} for path, reason in skipped])
        if facts:
            sql.execute(insert(FACT), [{"name": name, "value": json.dumps(value)} for name, value in facts.items()])

    def upgrade(self) -> None:
        """Bring the tables to the newest schema, all of it or nothing.

        Raises
        ------
        StudyError
            If there is no study in the database.
        """
        if self._version is None:
            raise StudyError(self._lacking or "")

        def bring(sql: Connection) -> None:
            if (version := found_schema(sql, self.name)) not in (None, SCHEMA):
                upgrade(sql, str(version))

        self._database.transact(bring, "repeat")
        self._version, self._lacking = SCHEMA, None

    def close(self) -> None:
        """Let go of the database and of the stations' names that this process holds; their leases last."""
        for lock in self._held.values():
            lock.drop()
        self._held.clear()
        self._database.close()
