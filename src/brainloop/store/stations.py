"""Stations: who is there, under which name, and at what time of their own clock."""

import time

import numpy as np
from sqlalchemy import func, select, update
from sqlalchemy.engine import Connection

from brainloop._types import IntArray
from brainloop.errors import StudyError
from brainloop.store.advisory import NamedLock
from brainloop.store.leases import be_there, leases, others, release
from brainloop.store.records import StationRecord
from brainloop.store.rounds import has_unanswered
from brainloop.store.tables import BLOCK, RESPONSE, STATION
from brainloop.store.transactions import Part, reading, repeatable

__all__ = ["LEASE_S", "Stations"]

LEASE_S = 60.0
"""How long a station's leases hold without a heartbeat, s: longer than a restart of the server or a slow network takes,
shorter than others would mind to wait for a few images."""

TAKING_OVER_S = 3.0
"""How long the server may take to notice that the process that was this station is dead, s."""


class Stations(Part):
    """What a store knows of stations."""

    _held: dict[str, NamedLock]

    def enter(self, station: str, person: str = "", clock: float | None = None) -> float:
        """Be there under a name, until the lease's end from now (`renew` it), and for as long as this process lives.

        On SQLite, where one process holds the study's folder, whoever was there under another name is gone.

        Parameters
        ----------
        station : str
            Its name.
        person : str
            Who sits there.
        clock : float, optional
            This machine's clock, Unix time, s; read here by default.

        Returns
        -------
        float
            This machine's clock minus the store's, s.

        Raises
        ------
        StudyError
            If another process is that station.
        """
        if not station or len(station) > 100:
            raise StudyError(f"expected a station's name of 1 to 100 characters, got {station!r}; name it otherwise")
        self._hold(station, TAKING_OVER_S)
        return self._enter(station, person, clock)

    @repeatable
    def _enter(self, sql: Connection, station: str, person: str, clock: float | None) -> float:
        before = time.time()
        now = self._database.now(sql)
        own = (before + time.time()) / 2 if clock is None else clock
        be_there(sql, station, now, self._lease_s, person=person, clock_offset=own - now)
        if np.isinf(self._lease_s):
            sql.execute(update(STATION).where(STATION.c.name != station).values(until=now))
        return own - now

    def renew(self, station: str) -> None:
        """Say that a station is there still: its leases hold on.

        Raises
        ------
        StudyError
            If the connection that held its name broke, and another process has taken the name since.
        """
        if station in self._held:
            self._hold(station, 0.0)
        self._renew(station)

    @repeatable
    def _renew(self, sql: Connection, station: str) -> None:
        be_there(sql, station, self._database.now(sql), self._lease_s)

    def leave(self, station: str) -> None:
        """Be there no more: what the station has not answered is released, and its name is free."""
        self._leave(station)
        if lock := self._held.pop(station, None):
            lock.drop()

    @repeatable
    def _leave(self, sql: Connection, station: str) -> None:
        now = self._database.now(sql)
        release(sql, [station])
        sql.execute(update(STATION).where(STATION.c.name == station).values(until=now, seen=now))

    @reading
    def leased(self, sql: Connection, station: str = "local") -> IntArray:
        """List the ids of the images that other stations are looking at, rising, each once."""
        now = self._database.now(sql)
        return np.array(sorted({one.image for one in others(leases(sql), station) if one.until > now}), dtype=np.int64)

    @reading
    def stations(self, sql: Connection) -> list[StationRecord]:
        """List every station that was ever there, by name."""
        now = self._database.now(sql)
        given = select(RESPONSE.c.station, func.count()).group_by(RESPONSE.c.station)
        looks = {name: n for name, n in sql.execute(given)}  # noqa: C416
        held = (
            select(BLOCK.c.station, func.count())
            .where(~BLOCK.c.released, has_unanswered(BLOCK.c.number))
            .group_by(BLOCK.c.station)
        )
        blocks = {name: n for name, n in sql.execute(held)}  # noqa: C416
        found = [
            StationRecord(
                row.name, row.person, row.until > now, max(0.0, now - row.seen), row.clock_offset,
                looks.get(row.name, 0), blocks.get(row.name, 0),
            )
            for row in sql.execute(select(STATION))
        ]  # fmt: skip
        return sorted(found, key=lambda one: one.name)

    def _hold(self, station: str, patience_s: float) -> None:
        """Hold a station's name, by a lock that ends with this process."""
        if not self._database.is_shared:
            return
        lock = self._held.setdefault(station, self._database.lock(f"station {station}"))
        start = time.monotonic()
        while not self._database.insist(lambda _: lock.take()):
            if time.monotonic() - start >= patience_s:
                self._held.pop(station, None)
                raise StudyError(
                    f"another process is the station {station!r} of {self._database.name}; close it, or take another "
                    "name with --station"
                )
            time.sleep(0.1)
