"""Rounds: open, then begun by whoever trains, then over.

Blocks are planned into the open round, which is the one after the last begun. To begin it, its complete blocks stay
and the others move on to the next, which is open from then on. A round is over when its measures are there.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, fields
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, insert, select, update
from sqlalchemy.engine import Connection

from brainloop.errors import StudyError
from brainloop.store.records import Round
from brainloop.store.tables import BLOCK, PRESENTATION, RESPONSE, ROUND
from brainloop.store.transactions import Part, reading, repeatable, writing

__all__ = ["Rounds", "has_unanswered", "open_round"]


class Rounds(Part):
    """What a store knows of rounds."""

    @reading
    def open_round(self, sql: Connection) -> int:
        """Give the round that blocks are planned into: the one after the last begun."""
        return open_round(sql)

    @reading
    def waiting(self, sql: Connection) -> int:
        """Count the looks in complete blocks of the open round; of released blocks, what was answered."""
        return int(sql.execute(_complete_looks(open_round(sql))).scalar_one())

    @contextmanager
    def training(self) -> Iterator[bool]:
        """Try to become the one who trains; give whether this is so, until the end of the block.

        On PostgreSQL it is an advisory lock on a connection of its own, which the server lets go of when this process
        ends. On SQLite whoever holds the study's folder trains.
        """
        if not self._database.is_shared:
            yield True
            return
        lock = self._database.lock("trainer")
        try:
            yield self._database.insist(lambda _: lock.take())
        finally:
            lock.drop()

    @writing
    def begin_round(self, sql: Connection) -> int:
        """Begin the open round with its complete blocks; the others move to the next.

        Returns
        -------
        int
            The round that was begun.

        Raises
        ------
        StudyError
            If no look lies in a complete block of it: there is nothing to learn from.
        """
        number = open_round(sql)
        if not sql.execute(_complete_looks(number)).scalar():
            raise StudyError(f"expected answered blocks in round {number} to begin it, found none; let somebody look")
        sql.execute(
            update(BLOCK)
            .where(BLOCK.c.round == number, ~BLOCK.c.released, has_unanswered(BLOCK.c.number))
            .values(round=number + 1)
        )
        sql.execute(insert(ROUND).values(number=number))
        return number

    @reading
    def begun(self, sql: Connection) -> list[int]:
        """List the rounds that are begun and not over, in order."""
        return list(
            sql.execute(select(ROUND.c.number).where(ROUND.c.measures.is_(None)).order_by(ROUND.c.number)).scalars()
        )

    @repeatable
    def close_round(self, sql: Connection, measures: Round) -> None:
        """Write what a round came to; it is over with this. One that is over already stays as it is.

        The open round, if all of it is answered, is begun and over at once.

        Raises
        ------
        StudyError
            If the round was neither begun nor is the open one.
        """
        row = json.dumps(dict(zip((f.name for f in fields(Round)), astuple(measures), strict=True)))
        this = ROUND.c.number == measures.number
        there = sql.execute(select(func.count()).select_from(ROUND).where(this)).scalar()
        if there:
            sql.execute(update(ROUND).where(this, ROUND.c.measures.is_(None)).values(measures=row))
        elif measures.number == (number := open_round(sql)):
            sql.execute(insert(ROUND).values(number=number, measures=row))
        else:
            raise StudyError(f"expected a round that was begun, got round {measures.number}; {number} is open")

    @reading
    def rounds(self, sql: Connection) -> list[Round]:
        """List the rounds that are over."""
        over = select(ROUND.c.measures).where(ROUND.c.measures.is_not(None)).order_by(ROUND.c.number)
        return [Round(**json.loads(row)) for row in sql.execute(over).scalars()]


def open_round(sql: Connection) -> int:
    """Give the round after the last begun."""
    return int(sql.execute(select(func.max(ROUND.c.number))).scalar() or 0) + 1


def has_unanswered(block: ColumnElement[int]) -> ColumnElement[bool]:
    """Say in SQL whether a block holds a presentation that nobody has answered."""
    shown, given = PRESENTATION.alias(), RESPONSE.alias()
    unanswered = ~exists().where(given.c.presentation == shown.c.id)
    return exists().where(and_(shown.c.block == block, unanswered))


def _complete_looks(number: int) -> Select[Any]:
    return (
        select(func.count())
        .select_from(RESPONSE)
        .join(PRESENTATION, PRESENTATION.c.id == RESPONSE.c.presentation)
        .join(BLOCK, BLOCK.c.number == PRESENTATION.c.block)
        .where(BLOCK.c.round == number, BLOCK.c.released | ~has_unanswered(BLOCK.c.number))
    )
