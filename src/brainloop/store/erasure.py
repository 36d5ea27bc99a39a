"""Erasure: a person taken out of a store, as if they had never been."""

import sqlite3
import time
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.engine import Connection

from brainloop.errors import StudyError
from brainloop.store.rounds import has_unanswered, open_round
from brainloop.store.stations import Stations
from brainloop.store.tables import (
    BLOCK,
    CORRECTION,
    IMAGE,
    LEASE,
    META,
    MODEL,
    PRESENTATION,
    RESPONSE,
    ROUND,
    STATION,
)
from brainloop.store.transactions import reading, writing

__all__ = ["Erasure"]

WAIT_S = 10.0
"""How long others may hold what is to be written anew, s: their own transactions take milliseconds."""


class Erasure(Stations):
    """What a store forgets, and how."""

    @reading
    def corrections_of(self, sql: Connection, person: str) -> list[dict[str, Any]]:
        """List a person's corrections, each with the image that it is of."""
        query = (
            select(IMAGE.c.path, CORRECTION.c.target, CORRECTION.c.is_target, CORRECTION.c.at)
            .join(CORRECTION, CORRECTION.c.image == IMAGE.c.id)
            .where(CORRECTION.c.person == person)
        )
        return sorted((dict(row) for row in sql.execute(query).mappings()), key=lambda row: row["path"])

    def forget_person(self, person: str) -> dict[str, int]:
        """Delete a person's responses and corrections, out of the files too, as if they had never been.

        What was planned in blocks that the person saw and nobody has answered goes as well; rounds without a look left
        go, and later ones move up. Rounds that were trained on what went are begun and not over any more, and their
        published heads go: `brainloop.loop.retrain` ends them again. On PostgreSQL the tables are written anew by
        ``VACUUM FULL``; its log (WAL), replicas and backups are beyond reach, and so are those of SQLite's file.

        Returns
        -------
        dict of str to int
            How many ``responses`` and ``corrections`` went.

        Raises
        ------
        StudyError
            If the person sits at another station just now, or another program is reading the store, so that it cannot
            be written anew.
        """
        gone = self._forget(person)
        self._rewrite()
        return gone

    @writing
    def _forget(self, sql: Connection, person: str) -> dict[str, int]:
        self._refuse_if_there(sql, person)
        theirs = RESPONSE.c.person == person
        said = CORRECTION.c.person == person
        shown = (
            select(BLOCK.c.number, BLOCK.c.round)
            .join(PRESENTATION, PRESENTATION.c.block == BLOCK.c.number)
            .join(RESPONSE, RESPONSE.c.presentation == PRESENTATION.c.id)
            .where(theirs)
            .distinct()
        )
        blocks = sql.execute(shown).all()
        touched = [block.round for block in blocks]
        touched += sql.execute(select(CORRECTION.c.round).where(said)).scalars().all()
        gone = {
            "responses": sql.execute(delete(RESPONSE).where(theirs)).rowcount,
            "corrections": sql.execute(delete(CORRECTION).where(said)).rowcount,
        }
        sql.execute(update(STATION).where(STATION.c.person == person).values(person=""))
        # A block is answered from its first presentation to its last: one with a hole could not be gone on with.
        unanswered = PRESENTATION.c.id.not_in(select(RESPONSE.c.presentation))
        for block in blocks:
            sql.execute(delete(PRESENTATION).where(PRESENTATION.c.block == block.number, unanswered))
        sql.execute(delete(LEASE).where(~has_unanswered(LEASE.c.block)))
        # The last block stays, if empty: its number must not be given to another, whom a late answer would hit.
        last = select(func.max(BLOCK.c.number)).scalar_subquery()
        empty = BLOCK.c.number.not_in(select(PRESENTATION.c.block))
        sql.execute(delete(BLOCK).where(empty, BLOCK.c.number < last))
        if touched:
            _renumber_rounds(sql, min(touched))
        return gone

    def _refuse_if_there(self, sql: Connection, person: str) -> None:
        if not self._database.is_shared:  # one process holds the folder, and it is this one
            return
        now = self._database.now(sql)
        there = sql.execute(select(STATION.c.name).where(STATION.c.person == person, STATION.c.until > now)).scalars()
        if elsewhere := sorted(set(there) - set(self._held)):
            raise StudyError(
                f"{person} sits at the station {elsewhere[0]!r} just now; let them stop there first, and erase again"
            )

    def _rewrite(self) -> None:
        """Write the tables anew, so that neither free pages nor SQLite's log hold what was deleted."""
        reason = self._rewrite_tables() if self._database.is_shared else self._rewrite_file()
        if reason:
            raise StudyError(
                f"{self._database.name} could not be written anew: {reason}. What was to be erased may still be found "
                "in it: close what uses the study, and erase again"
            )

    def _rewrite_file(self) -> str:
        try:
            with self._database.raw() as cursor:
                cursor.execute("VACUUM")
                busy = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except sqlite3.Error as error:
            return str(error)
        return "another program reads it" if busy else ""

    def _rewrite_tables(self) -> str:
        """Write PostgreSQL's tables anew; say why not, if one kept its file or an old reader keeps dead rows."""
        names = sorted(META.tables)
        try:
            with self._database.raw() as cursor:
                if not _wait_for_readers(cursor):
                    return "another program reads it in a long transaction"
                cursor.execute(f"SET lock_timeout = {int(WAIT_S * 1e3)}")
                try:
                    before = _files(cursor, names)
                    for name in names:
                        cursor.execute(f'VACUUM FULL "{name}"')
                    kept = [name for name, file in _files(cursor, names).items() if before[name] == file]
                finally:
                    cursor.execute("RESET lock_timeout")
        except Exception as error:
            if type(error).__module__.partition(".")[0] not in ("psycopg", "sqlalchemy"):
                raise
            return " ".join(str(error).split())
        return f"only the owner of its tables can ({', '.join(kept)})" if kept else ""


def _wait_for_readers(cursor: Any) -> bool:
    """Wait until nobody's snapshot is from before now; say whether it came to that."""
    start = time.monotonic()
    older = (
        "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() "
        "and backend_xmin is not null and age(backend_xmin) > 0 and backend_type = 'client backend'"
    )
    while cursor.execute(older).fetchone()[0]:
        if time.monotonic() - start > WAIT_S:
            return False
        time.sleep(0.05)
    return True


def _files(cursor: Any, names: list[str]) -> dict[str, int]:
    of_table = "select pg_relation_filenode(%s::regclass)"
    return {name: cursor.execute(of_table, [f'"{name}"']).fetchone()[0] for name in names}


def _renumber_rounds(sql: Connection, first: int) -> None:
    """Begin the rounds from `first` anew, and close the holes between those with a look; corrections go along."""
    open_ = open_round(sql)
    answered = (
        select(BLOCK.c.round)
        .join(PRESENTATION, PRESENTATION.c.block == BLOCK.c.number)
        .join(RESPONSE, RESPONSE.c.presentation == PRESENTATION.c.id)
        .where(BLOCK.c.round < open_)
        .distinct()
    )
    left = sorted(sql.execute(answered).scalars())
    for table in (BLOCK, CORRECTION):
        for old in sorted(sql.execute(select(table.c.round).distinct()).scalars()):
            number = 1 + sum(one < old for one in left)
            sql.execute(update(table).where(table.c.round == old).values(round=number))
    sql.execute(update(ROUND).where(ROUND.c.number >= first).values(measures=None))
    sql.execute(delete(ROUND).where(ROUND.c.number > len(left)))
    heads = sql.execute(select(MODEL.c.name).where(MODEL.c.name.like("head-%"))).scalars().all()
    for name in heads:
        number_of = name.removeprefix("head-")
        if number_of.isdigit() and int(number_of) >= first:
            sql.execute(delete(MODEL).where(MODEL.c.name == name))
