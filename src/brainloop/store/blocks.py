"""Blocks: planned into the open round with leases on their images, and answered look by look."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from sqlalchemy import delete, func, insert, or_, select, true
from sqlalchemy.engine import Connection, Row

from brainloop.errors import LeaseError, StudyError
from brainloop.presentation.block import Block, Response
from brainloop.store.leases import be_there, free_lapsed, lease, leases, others
from brainloop.store.records import Looks
from brainloop.store.rounds import has_unanswered, open_round
from brainloop.store.tables import BLOCK, IMAGE, LEASE, PRESENTATION, RESPONSE
from brainloop.store.transactions import Part, reading, repeatable, writing

__all__ = ["Blocks"]


class Blocks(Part):
    """What a store knows of blocks and looks."""

    @writing
    def plan(
        self,
        sql: Connection,
        blocks: Sequence[Block],
        station: str = "local",
        *,
        overlap: bool = False,
        most: float = np.inf,
    ) -> None:
        """Write a station's next blocks, whole, before the first is shown, and lease their images to it.

        Leases of stations that are not there any more end with this; their blocks are released.

        Parameters
        ----------
        blocks : sequence of Block
            `Block.images` are image ids here. Blocks are numbered on from the last that was planned, and belong to the
            open round, whatever their own numbers say.
        station : str
            Who is to look.
        overlap : bool
            Whether images may be shown that another station is looking at.
        most : float
            Presentations of the whole study, at most.

        Raises
        ------
        LeaseError
            If another station is looking at one of the images, or has planned what was left to plan; nothing is
            planned then.
        """
        now = self._database.now(sql)
        be_there(sql, station, now, self._lease_s)
        free_lapsed(sql, station, now)
        wanted = {image for block in blocks for image in block.images}
        if not overlap and (taken := {one.image: one.station for one in others(leases(sql), station)}.keys() & wanted):
            images = tuple(sorted(taken))
            raise LeaseError(
                f"expected images that no other station is looking at, got {len(images)} that one is, such as image "
                f"{images[0]}; plan others, or ask for an overlap",
                images,
            )
        if _planned(sql) + sum(len(block.images) for block in blocks) > most:
            raise LeaseError(f"expected {most:g} presentations at most; others have planned meanwhile, plan fewer", ())
        first = (sql.execute(select(func.max(BLOCK.c.number))).scalar() or 0) + 1
        round_ = open_round(sql)
        newest: dict[int, int] = {}
        for number, block in enumerate(blocks, start=first):
            about = {"round": round_, "soa": block.soa, "target": block.target, "station": station}
            sql.execute(insert(BLOCK).values(number=number, **about))
            shown = enumerate(block.images)
            rows = [{"block": number, "position": position, "image": image} for position, image in shown]
            sql.execute(insert(PRESENTATION), rows)
            newest |= dict.fromkeys(block.images, number)
        lease(sql, newest, station if overlap else "", station)

    @reading
    def blocks(
        self, sql: Connection, round_number: int | None = None, *, station: str | None = None
    ) -> list[tuple[Block, int]]:
        """List the planned blocks, of one round or of all, of one station or of all, with how much of each is answered.

        Of a released block only what was answered counts: it is complete then.
        """
        which = true() if round_number is None else BLOCK.c.round == round_number
        if station is not None:
            which &= BLOCK.c.station == station
        return [(block, answered) for block, answered, _ in _blocks(sql, which)]

    @reading
    def blocks_of(self, sql: Connection, station: str) -> list[tuple[Block, int]]:
        """List the blocks that a station has to go on with: its own, not released, not answered in full; in order."""
        its = (BLOCK.c.station == station) & ~BLOCK.c.released & has_unanswered(BLOCK.c.number)
        return [(block, answered) for block, answered, _ in _blocks(sql, its)]

    @reading
    def planned(self, sql: Connection) -> int:
        """Count the presentations of all rounds that were answered or are going to be."""
        return _planned(sql)

    @repeatable
    def answer(self, sql: Connection, block: int, position: int, response: Response, station: str = "local") -> None:
        """Commit the response to one presentation.

        The same response to it once more is no error: the first may have come through without our knowing. A response
        to a released block is kept as a late look, in a block of its own of the open round.

        Raises
        ------
        StudyError
            If that presentation was answered otherwise or never planned: nothing is counted twice.
        """
        values = {**asdict(response), "station": station}
        values |= {"evidence": float(response.evidence), "onset": float(response.onset)}
        values["score"] = None if np.isnan(response.score) else float(response.score)
        planned = sql.execute(
            select(PRESENTATION.c.id, PRESENTATION.c.image, BLOCK)
            .join(BLOCK, BLOCK.c.number == PRESENTATION.c.block)
            .where(PRESENTATION.c.block == block, PRESENTATION.c.position == position)
        ).one_or_none()
        if planned is None:
            raise StudyError(f"no presentation {position} was planned in block {block}")
        given = sql.execute(
            select(RESPONSE)
            .join(PRESENTATION, PRESENTATION.c.id == RESPONSE.c.presentation)
            .where(or_(PRESENTATION.c.id == planned.id, PRESENTATION.c.instead == planned.id))
        ).one_or_none()
        if given is not None:
            if all(given._mapping[name] == value for name, value in values.items()):
                return
            raise StudyError(f"presentation {position} of block {block} was answered already")
        presentation = _late(sql, planned, station) if planned.released else planned.id
        sql.execute(insert(RESPONSE).values(presentation=presentation, at=self._database.now(sql), **values))
        sql.execute(delete(LEASE).where(LEASE.c.block == block, ~has_unanswered(LEASE.c.block)))

    @reading
    def looks(self, sql: Connection) -> Looks:
        """Read every response, in the order of the plan."""
        columns = (
            PRESENTATION.c.image, RESPONSE.c.score, RESPONSE.c.evidence, RESPONSE.c.rejected, RESPONSE.c.source,
            BLOCK.c.round, BLOCK.c.number, PRESENTATION.c.position, BLOCK.c.target, RESPONSE.c.person,
            RESPONSE.c.station, RESPONSE.c.session, RESPONSE.c.at,
        )  # fmt: skip
        rows = sql.execute(
            select(*columns)
            .join(RESPONSE, RESPONSE.c.presentation == PRESENTATION.c.id)
            .join(BLOCK, BLOCK.c.number == PRESENTATION.c.block)
            .order_by(PRESENTATION.c.block, PRESENTATION.c.position)
        ).all()
        read: list[Any] = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
        image, score, evidence, rejected, source, round_, block, position, target, person, station, session, at = read
        return Looks(
            np.array(image, dtype=np.int64),
            _or_nan(score),
            np.array(evidence, dtype=float),
            list(rejected),
            list(source),
            np.array(round_, dtype=np.int64),
            np.array(block, dtype=np.int64),
            np.array(position, dtype=np.int64),
            list(target),
            list(person),
            list(station),
            list(session),
            _or_nan(at),
        )

    @reading
    def responses_of(self, sql: Connection, person: str) -> list[dict[str, Any]]:
        """List a person's responses, each with the image that it answers, in the order of the plan."""
        query = (
            select(
                IMAGE.c.path, BLOCK.c.target, BLOCK.c.round, PRESENTATION.c.block, PRESENTATION.c.position,
                RESPONSE.c.onset, RESPONSE.c.score, RESPONSE.c.evidence, RESPONSE.c.rejected, RESPONSE.c.source,
                RESPONSE.c.session,
            )
            .join(PRESENTATION, PRESENTATION.c.id == RESPONSE.c.presentation)
            .join(BLOCK, BLOCK.c.number == PRESENTATION.c.block)
            .join(IMAGE, IMAGE.c.id == PRESENTATION.c.image)
            .where(RESPONSE.c.person == person)
            .order_by(PRESENTATION.c.block, PRESENTATION.c.position)
        )  # fmt: skip
        return [dict(row) for row in sql.execute(query).mappings()]


def _planned(sql: Connection) -> int:
    query = (
        select(func.count())
        .select_from(PRESENTATION)
        .join(BLOCK, BLOCK.c.number == PRESENTATION.c.block)
        .outerjoin(RESPONSE, RESPONSE.c.presentation == PRESENTATION.c.id)
        .where(or_(~BLOCK.c.released, RESPONSE.c.presentation.is_not(None)))
    )
    return int(sql.execute(query).scalar_one())


def _blocks(sql: Connection, which: Any) -> list[tuple[Block, int, bool]]:
    query = (
        select(
            BLOCK.c.number, BLOCK.c.round, BLOCK.c.soa, BLOCK.c.target, BLOCK.c.released, PRESENTATION.c.image,
            RESPONSE.c.presentation,
        )
        .join(PRESENTATION, PRESENTATION.c.block == BLOCK.c.number)
        .outerjoin(RESPONSE, RESPONSE.c.presentation == PRESENTATION.c.id)
        .where(which, or_(~BLOCK.c.released, RESPONSE.c.presentation.is_not(None)))
        .order_by(BLOCK.c.number, PRESENTATION.c.position)
    )  # fmt: skip
    images: dict[tuple[int, int, float, str, bool], list[int]] = {}
    answered: dict[int, int] = {}
    for number, round_, soa, target, released, image, response in sql.execute(query):
        images.setdefault((number, round_, soa, target, released), []).append(image)
        answered[number] = answered.get(number, 0) + (response is not None)
    return [
        (Block(round_, number, tuple(shown), soa, target), answered[number], released)
        for (number, round_, soa, target, released), shown in images.items()
    ]


def _late(sql: Connection, planned: Row[Any], station: str) -> int:
    """Make a presentation that stands for one of a released block, in the open round; give its id."""
    number = open_round(sql)
    first = PRESENTATION.alias()
    of_this = select(first.c.id).where(first.c.block == planned.number)
    late = sql.execute(
        select(BLOCK.c.number, func.max(PRESENTATION.c.position).label("last"))
        .join(PRESENTATION, PRESENTATION.c.block == BLOCK.c.number)
        .where(BLOCK.c.round == number, PRESENTATION.c.instead.in_(of_this))
        .group_by(BLOCK.c.number)
    ).one_or_none()
    if late is None:
        block, position = sql.execute(select(func.max(BLOCK.c.number))).scalar_one() + 1, 0
        about = {"round": number, "soa": planned.soa, "target": planned.target, "station": station}
        sql.execute(insert(BLOCK).values(number=block, released=True, **about))
    else:
        block, position = late.number, late.last + 1
    row = {"block": block, "position": position, "image": planned.image, "instead": planned.id}
    return int(sql.execute(insert(PRESENTATION).values(**row).returning(PRESENTATION.c.id)).scalar_one())


def _or_nan(values: Sequence[float | None]) -> Any:
    return np.array([np.nan if value is None else value for value in values], dtype=float)
