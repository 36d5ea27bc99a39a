"""A study's images, facts and published models, and what persons said of images."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.engine import Connection

from brainloop.errors import StudyError
from brainloop.store.records import PoolImage
from brainloop.store.rounds import open_round
from brainloop.store.tables import CORRECTION, FACT, IMAGE, MODEL, RESPONSE, SKIPPED
from brainloop.store.transactions import Part, reading, repeatable, writing

__all__ = ["Pool"]


class Pool(Part):
    """What a store knows of images, and facts."""

    @reading
    def fact(self, sql: Connection, name: str) -> Any:
        """Read a fact; None where there is none."""
        value = sql.execute(select(FACT.c.value).where(FACT.c.name == name)).scalar()
        return None if value is None else json.loads(value)

    @repeatable
    def note(self, sql: Connection, name: str, value: Any) -> None:
        """Write a fact, in place of the one of that name."""
        sql.execute(delete(FACT).where(FACT.c.name == name))
        sql.execute(insert(FACT).values(name=name, value=json.dumps(value)))

    @reading
    def images(self, sql: Connection) -> list[PoolImage]:
        """List the images in the order of their ids."""
        return [PoolImage(*row) for row in sql.execute(select(IMAGE).order_by(IMAGE.c.id))]

    @reading
    def skipped(self, sql: Connection) -> list[tuple[str, str]]:
        """List (path, reason) of every file that was skipped."""
        return sorted((row.path, row.reason) for row in sql.execute(select(SKIPPED)))

    @repeatable
    def skip(self, sql: Connection, reasons: dict[str, str]) -> None:
        """Mark images, by path, as unusable with their reason."""
        for path, reason in reasons.items():
            sql.execute(update(IMAGE).where(IMAGE.c.path == path).values(part="unusable"))
            _skip(sql, path, reason)

    @writing
    def add(self, sql: Connection, images: Sequence[PoolImage], skipped: Sequence[tuple[str, str]] = ()) -> None:
        """Add images that came after the study was made, and the (path, reason) of files that cannot be used."""
        if images:
            sql.execute(insert(IMAGE), [vars(image) for image in images])
        for path, reason in skipped:
            _skip(sql, path, reason)

    @repeatable
    def correct(self, sql: Connection, image: int, target: str, is_target: bool | None, person: str = "") -> None:
        """Keep a person's word on an image, in place of an earlier one; None takes it back.

        It belongs to the open round: that round's training is the first to hear it.

        Parameters
        ----------
        image : int
            Id of an image of the pool.
        target : str
            What it is said to be or not to be.
        is_target : bool or None
            Whether it is.
        person : str
            Who says so.

        Raises
        ------
        StudyError
            If the image is not of the pool: what is said of another would teach nothing.
        """
        part = sql.execute(select(IMAGE.c.part).where(IMAGE.c.id == image)).scalar()
        if part != "pool":
            where = "there is none of that id" if part is None else f"it is in the {part} part"
            raise StudyError(
                f"expected an image of the pool to correct, got image {image}: {where}, which nothing is learned "
                "from; correct one of the pool"
            )
        sql.execute(delete(CORRECTION).where(CORRECTION.c.image == image))
        if is_target is not None:
            at = datetime.now(UTC).isoformat(timespec="seconds")
            said = {
                "target": target,
                "is_target": bool(is_target),
                "person": person,
                "at": at,
                "round": open_round(sql),
            }
            sql.execute(insert(CORRECTION).values(image=image, **said))

    @reading
    def corrections(self, sql: Connection, last_round: int | None = None) -> dict[int, tuple[str, bool]]:
        """Read what persons said of images, by image id: what of, and whether it is that; up to a round, or all."""
        query = select(CORRECTION.c.image, CORRECTION.c.target, CORRECTION.c.is_target).order_by(CORRECTION.c.image)
        if last_round is not None:
            query = query.where(CORRECTION.c.round <= last_round)
        return {row.image: (row.target, row.is_target) for row in sql.execute(query)}

    @reading
    def people(self, sql: Connection) -> dict[str, tuple[int, int]]:
        """Count each person's responses and corrections; corrections of nobody in particular are left out."""
        found: dict[str, tuple[int, int]] = {}
        for person, n in sql.execute(select(RESPONSE.c.person, func.count()).group_by(RESPONSE.c.person)):
            found[person] = (n, 0)
        for person, n in sql.execute(select(CORRECTION.c.person, func.count()).group_by(CORRECTION.c.person)):
            found[person] = (found.get(person, (0, 0))[0], n)
        return {person: found[person] for person in sorted(found) if person}

    @repeatable
    def move(self, sql: Connection, images: Sequence[int], part: str) -> None:
        """Move images, by id, to another part of the study."""
        if images:
            place = update(IMAGE).where(IMAGE.c.id == bindparam("its")).values(part=part)
            sql.execute(place, [{"its": image} for image in images])

    @repeatable
    def publish(self, sql: Connection, name: str, data: bytes) -> None:
        """Put a model where every station finds it; one of that name that is there already stays."""
        if not sql.execute(select(func.count()).where(MODEL.c.name == name)).scalar():
            sql.execute(insert(MODEL).values(name=name, data=data))

    @reading
    def published(self, sql: Connection, name: str) -> bytes | None:
        """Read a published model; None where there is none."""
        data = sql.execute(select(MODEL.c.data).where(MODEL.c.name == name)).scalar()
        return None if data is None else bytes(data)

    @reading
    def published_names(self, sql: Connection) -> list[str]:
        """List the names of the published models."""
        return sorted(sql.execute(select(MODEL.c.name)).scalars())


def _skip(sql: Connection, path: str, reason: str) -> None:
    sql.execute(delete(SKIPPED).where(SKIPPED.c.path == path))
    sql.execute(insert(SKIPPED).values(path=path, reason=reason))
