"""Every SQL statement: what was planned, what was answered, and what each round came to.

SQLite in WAL mode with ``synchronous=FULL``: when `Store.answer` returns, the response is on disk. Every method is one
transaction, so that a kill at any instant leaves either all of it or none.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import (
    URL,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    delete,
    event,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DatabaseError, IntegrityError

from brainloop._types import FloatArray, IntArray
from brainloop.errors import StudyError
from brainloop.presentation.block import Block, Response

__all__ = ["Looks", "PoolImage", "Round", "Store"]

META = MetaData()

FACT = Table("fact", META, Column("name", String, primary_key=True), Column("value", Text, nullable=False))

IMAGE = Table(
    "image",
    META,
    Column("id", Integer, primary_key=True),
    Column("hash", String, nullable=False, unique=True),
    Column("path", String, nullable=False),
    Column("label", String),
    Column("part", String, nullable=False),
    Column("annotation", String),
    CheckConstraint("part in ('pool', 'test', 'calibration', 'aside', 'unusable')"),
)

SKIPPED = Table("skipped", META, Column("path", String, primary_key=True), Column("reason", String, nullable=False))

BLOCK = Table(
    "block",
    META,
    Column("number", Integer, primary_key=True),
    Column("round", Integer, nullable=False),
    Column("soa", Float, nullable=False),
    Column("target", String, nullable=False),
)

PRESENTATION = Table(
    "presentation",
    META,
    Column("id", Integer, primary_key=True),
    Column("block", ForeignKey("block.number"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("image", ForeignKey("image.id"), nullable=False),
    UniqueConstraint("block", "position"),
)

RESPONSE = Table(
    "response",
    META,
    Column("presentation", ForeignKey("presentation.id"), primary_key=True),
    Column("score", Float),
    Column("evidence", Float, nullable=False),
    Column("rejected", String),
    Column("onset", Float, nullable=False),
    Column("source", String, nullable=False),
    Column("person", String, nullable=False),
    Column("session", String, nullable=False),
    Column("station", String, nullable=False),
)

CORRECTION = Table(
    "correction",
    META,
    Column("image", ForeignKey("image.id"), primary_key=True),
    Column("target", String, nullable=False),
    Column("is_target", Boolean, nullable=False),
    Column("person", String, nullable=False),
    Column("at", String, nullable=False),
    Column("round", Integer, nullable=False),
)

ROUND = Table("round", META, Column("number", Integer, primary_key=True), Column("measures", Text, nullable=False))


@dataclass(frozen=True)
class PoolImage:
    """An image of a study.

    Parameters
    ----------
    id : int
        Its place in the store.
    hash : str
        Of its content: what makes it this image.
    path : str
        Below the study's folder of images.
    label : str or None
        Its class folder.
    part : str
        ``pool``, ``test`` (never shown), ``calibration`` (shown there alone), ``aside`` (thinned out) or ``unusable``
        (could not be decoded).
    annotation : str or None
        Its class by the annotations that an audit doubts.
    """

    id: int
    hash: str
    path: str
    label: str | None
    part: str
    annotation: str | None = None


@dataclass(frozen=True)
class Round:
    """What a round came to; counts and seconds are sums over the study so far.

    Parameters
    ----------
    number : int
        From 1.
    looks, rejected, images : int
        Presentations that were answered, those of them whose epoch was rejected, and images seen at least once.
    viewing_s, machine_s : float
        Time that the person looked (looks x SOA and the pauses between blocks) and that the machine took to label,
        train, score and query, s; after an erasure, that it took to train again.
    unsure : float
        Share of the pool with a confidence below the threshold.
    auc, auc_low, auc_high : float or None
        Area under the ROC curve on the test part and its 95 % bootstrap interval; None where truth is unknown. Of
        several classes it is the mean over them, each against the rest, without an interval.
    converged : bool
        Whether the talk's criterion was met.
    accuracy, accuracy_low, accuracy_high : float or None
        Of several classes, the share of the test part that is told rightly, and its 95 % interval (Wilson 1927).
    """

    number: int
    looks: int
    rejected: int
    images: int
    viewing_s: float
    machine_s: float
    unsure: float
    auc: float | None
    auc_low: float | None
    auc_high: float | None
    converged: bool
    accuracy: float | None = None
    accuracy_low: float | None = None
    accuracy_high: float | None = None


@dataclass(frozen=True)
class Looks:
    """Every answered presentation in the order of its plan; arrays of shape (n_looks,)."""

    image: IntArray
    score: FloatArray
    evidence: FloatArray
    rejected: list[str | None]
    source: list[str]
    round: IntArray
    block: IntArray
    position: IntArray
    target: list[str]


class Store:
    """The store of one study.

    Parameters
    ----------
    path : Path
        The SQLite file; made where there is none.

    Raises
    ------
    StudyError
        If the file is not a store.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._engine = create_engine(URL.create("sqlite", database=str(path)))

        @event.listens_for(self._engine, "connect")
        def durable(connection: Any, _record: Any) -> None:
            for pragma in (
                "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000", "secure_delete=ON",
            ):  # fmt: skip
                connection.execute(f"PRAGMA {pragma}")

        with self._begin() as sql:
            META.create_all(sql)

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
        """Begin a transaction, which ends whole or not at all."""
        try:
            with self._engine.begin() as sql:
                yield sql
        except IntegrityError as error:
            raise StudyError(f"{self._path} refuses what does not fit what it holds: {error.orig}") from error
        except DatabaseError as error:
            raise StudyError(
                f"expected a sound brainloop store at {self._path}: {error.orig}; put back a copy of the file"
            ) from error

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()

    def create(self, images: Sequence[PoolImage], skipped: Sequence[tuple[str, str]], facts: dict[str, Any]) -> None:
        """Fill a new store: its images, the (path, reason) of those that were skipped, and facts to keep as JSON."""
        with self._begin() as sql:
            sql.execute(insert(IMAGE), [vars(image) for image in images])
            if skipped:
                sql.execute(insert(SKIPPED), [{"path": path, "reason": reason} for path, reason in skipped])
            for name, value in facts.items():
                sql.execute(insert(FACT).values(name=name, value=json.dumps(value)))

    def fact(self, name: str) -> Any:
        """Read a fact; None where there is none."""
        with self._begin() as sql:
            value = sql.execute(select(FACT.c.value).where(FACT.c.name == name)).scalar()
        return None if value is None else json.loads(value)

    def note(self, name: str, value: Any) -> None:
        """Write a fact, in place of the one of that name."""
        with self._begin() as sql:
            sql.execute(FACT.delete().where(FACT.c.name == name))
            sql.execute(insert(FACT).values(name=name, value=json.dumps(value)))

    def images(self) -> list[PoolImage]:
        """List the images in the order of their ids."""
        with self._begin() as sql:
            return [PoolImage(*row) for row in sql.execute(select(IMAGE).order_by(IMAGE.c.id))]

    def skipped(self) -> list[tuple[str, str]]:
        """List (path, reason) of every file that was skipped."""
        with self._begin() as sql:
            return [(row.path, row.reason) for row in sql.execute(select(SKIPPED).order_by(SKIPPED.c.path))]

    def skip(self, reasons: dict[str, str]) -> None:
        """Mark images, by path, as unusable with their reason."""
        with self._begin() as sql:
            for path, reason in reasons.items():
                sql.execute(update(IMAGE).where(IMAGE.c.path == path).values(part="unusable"))
                sql.execute(SKIPPED.delete().where(SKIPPED.c.path == path))
                sql.execute(insert(SKIPPED).values(path=path, reason=reason))

    def plan(self, blocks: Sequence[Block]) -> None:
        """Write a round's blocks, whole, before the first is shown.

        `Block.images` are image ids here. Blocks are numbered on from the last that was planned.
        """
        with self._begin() as sql:
            last = sql.execute(select(func.max(BLOCK.c.number))).scalar() or 0
            for number, block in enumerate(blocks, start=last + 1):
                sql.execute(insert(BLOCK).values(number=number, round=block.round, soa=block.soa, target=block.target))
                rows = [
                    {"block": number, "position": position, "image": image}
                    for position, image in enumerate(block.images)
                ]
                sql.execute(insert(PRESENTATION), rows)

    def blocks(self, round_number: int | None = None) -> list[tuple[Block, int]]:
        """List the planned blocks, of one round or of all, each with the number of its presentations answered."""
        query = (
            select(
                BLOCK.c.number, BLOCK.c.round, BLOCK.c.soa, BLOCK.c.target, PRESENTATION.c.image,
                RESPONSE.c.presentation,
            )
            .join(PRESENTATION, PRESENTATION.c.block == BLOCK.c.number)
            .outerjoin(RESPONSE, RESPONSE.c.presentation == PRESENTATION.c.id)
            .order_by(BLOCK.c.number, PRESENTATION.c.position)
        )  # fmt: skip
        if round_number is not None:
            query = query.where(BLOCK.c.round == round_number)
        images: dict[tuple[int, int, float, str], list[int]] = {}
        answered: dict[int, int] = {}
        with self._begin() as sql:
            for number, round_, soa, target, image, response in sql.execute(query):
                images.setdefault((number, round_, soa, target), []).append(image)
                answered[number] = answered.get(number, 0) + (response is not None)
        return [
            (Block(round_, number, tuple(shown), soa, target), answered[number])
            for (number, round_, soa, target), shown in images.items()
        ]

    def answer(self, block: int, position: int, response: Response, station: str = "local") -> None:
        """Commit the response to one presentation.

        Raises
        ------
        StudyError
            If that presentation was answered already or never planned: nothing is counted twice.
        """
        values = {name: getattr(response, name) for name in (f.name for f in fields(Response))}
        values["score"] = None if np.isnan(response.score) else response.score
        where = (PRESENTATION.c.block == block) & (PRESENTATION.c.position == position)
        with self._begin() as sql:
            presentation = sql.execute(select(PRESENTATION.c.id).where(where)).scalar()
            if presentation is None:
                raise StudyError(f"no presentation {position} was planned in block {block}")
            if sql.execute(select(func.count()).where(RESPONSE.c.presentation == presentation)).scalar():
                raise StudyError(f"presentation {position} of block {block} was answered already")
            sql.execute(insert(RESPONSE).values(presentation=presentation, station=station, **values))

    def looks(self) -> Looks:
        """Read every response, in the order of the plan."""
        query = (
            select(
                PRESENTATION.c.image, RESPONSE.c.score, RESPONSE.c.evidence, RESPONSE.c.rejected,
                RESPONSE.c.source, BLOCK.c.round, BLOCK.c.number, PRESENTATION.c.position,
                BLOCK.c.target,
            )
            .join(RESPONSE, RESPONSE.c.presentation == PRESENTATION.c.id)
            .join(BLOCK, BLOCK.c.number == PRESENTATION.c.block)
            .order_by(PRESENTATION.c.block, PRESENTATION.c.position)
        )  # fmt: skip
        with self._begin() as sql:
            rows = sql.execute(query).all()
        image, score, evidence, rejected, source, round_, block, position, target = (
            zip(*rows, strict=True) if rows else [()] * 9
        )
        return Looks(
            np.array(image, dtype=np.int64),
            np.array([np.nan if value is None else value for value in score], dtype=float),
            np.array(evidence, dtype=float),
            list(rejected),
            list(source),
            np.array(round_, dtype=np.int64),
            np.array(block, dtype=np.int64),
            np.array(position, dtype=np.int64),
            list(target),
        )

    def add(self, images: Sequence[PoolImage], skipped: Sequence[tuple[str, str]] = ()) -> None:
        """Add images that came after the study was made, and the (path, reason) of files that cannot be used."""
        with self._begin() as sql:
            if images:
                sql.execute(insert(IMAGE), [vars(image) for image in images])
            for path, reason in skipped:
                sql.execute(SKIPPED.delete().where(SKIPPED.c.path == path))
                sql.execute(insert(SKIPPED).values(path=path, reason=reason))

    def correct(self, image: int, target: str, is_target: bool | None, person: str = "") -> None:
        """Keep a person's word on an image, in place of an earlier one; None takes it back.

        It belongs to the round that is not over yet: that round's training is the first to hear it.

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
        with self._begin() as sql:
            part = sql.execute(select(IMAGE.c.part).where(IMAGE.c.id == image)).scalar()
            if part != "pool":
                where = "there is none of that id" if part is None else f"it is in the {part} part"
                raise StudyError(
                    f"expected an image of the pool to correct, got image {image}: {where}, which nothing is learned "
                    "from; correct one of the pool"
                )
            sql.execute(delete(CORRECTION).where(CORRECTION.c.image == image))
            if is_target is not None:
                over = sql.execute(select(func.max(ROUND.c.number))).scalar() or 0
                said = {"target": target, "is_target": is_target, "person": person, "at": _now(), "round": over + 1}
                sql.execute(insert(CORRECTION).values(image=image, **said))

    def corrections(self, last_round: int | None = None) -> dict[int, tuple[str, bool]]:
        """Read what persons said of images, by image id: what of, and whether it is that; up to a round, or all."""
        query = select(CORRECTION.c.image, CORRECTION.c.target, CORRECTION.c.is_target).order_by(CORRECTION.c.image)
        if last_round is not None:
            query = query.where(CORRECTION.c.round <= last_round)
        with self._begin() as sql:
            return {row.image: (row.target, row.is_target) for row in sql.execute(query)}

    def people(self) -> dict[str, tuple[int, int]]:
        """Count each person's responses and corrections; corrections of nobody in particular are left out."""
        found: dict[str, tuple[int, int]] = {}
        with self._begin() as sql:
            for person, n in sql.execute(select(RESPONSE.c.person, func.count()).group_by(RESPONSE.c.person)):
                found[person] = (n, 0)
            for person, n in sql.execute(select(CORRECTION.c.person, func.count()).group_by(CORRECTION.c.person)):
                found[person] = (found.get(person, (0, 0))[0], n)
        return {person: found[person] for person in sorted(found) if person}

    def responses_of(self, person: str) -> list[dict[str, Any]]:
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
        with self._begin() as sql:
            return [dict(row) for row in sql.execute(query).mappings()]

    def corrections_of(self, person: str) -> list[dict[str, Any]]:
        """List a person's corrections, each with the image that it is of."""
        query = (
            select(IMAGE.c.path, CORRECTION.c.target, CORRECTION.c.is_target, CORRECTION.c.at)
            .join(CORRECTION, CORRECTION.c.image == IMAGE.c.id)
            .where(CORRECTION.c.person == person)
            .order_by(IMAGE.c.path)
        )
        with self._begin() as sql:
            return [dict(row) for row in sql.execute(query).mappings()]

    def forget_person(self, person: str) -> dict[str, int]:
        """Delete a person's responses and corrections, out of the file too, as if they had never been.

        What was planned in blocks that the person saw and nobody has answered goes as well; rounds without a look left
        go, and later ones move up. Rounds that were trained on what went are not over any more:
        `brainloop.loop.retrain` ends them again.

        Returns
        -------
        dict of str to int
            How many ``responses`` and ``corrections`` went.

        Raises
        ------
        StudyError
            If another program is reading the store, so that the file cannot be written anew.
        """
        theirs = RESPONSE.c.person == person
        said = CORRECTION.c.person == person
        with self._begin() as sql:
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
            # A block is answered from its first presentation to its last: one with a hole could not be gone on with.
            unanswered = PRESENTATION.c.id.not_in(select(RESPONSE.c.presentation))
            for block in blocks:
                sql.execute(delete(PRESENTATION).where(PRESENTATION.c.block == block.number, unanswered))
            sql.execute(delete(BLOCK).where(BLOCK.c.number.not_in(select(PRESENTATION.c.block))))
            if touched:
                sql.execute(delete(ROUND).where(ROUND.c.number >= min(touched)))
                _renumber_rounds(sql)
        self._rewrite()
        return gone

    def _rewrite(self) -> None:
        """Write the file anew, so that neither free pages nor the log hold what was deleted."""
        busy = True
        try:
            with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as sql:
                sql.exec_driver_sql("VACUUM")
                busy = bool(sql.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0])
        except DatabaseError as error:
            reason = str(error.orig)
        else:
            reason = "another program reads it"
        if busy:
            raise StudyError(
                f"{self._path} could not be written anew: {reason}. What was to be erased may still be found in it: "
                "close what uses the study, and erase again"
            )

    def close_round(self, measures: Round) -> None:
        """Write what a round came to; it is over with this."""
        row = dict(zip((f.name for f in fields(Round)), astuple(measures), strict=True))
        with self._begin() as sql:
            sql.execute(insert(ROUND).values(number=measures.number, measures=json.dumps(row)))

    def rounds(self) -> list[Round]:
        """List the rounds that are over."""
        with self._begin() as sql:
            rows = sql.execute(select(ROUND.c.measures).order_by(ROUND.c.number)).scalars()
            return [Round(**json.loads(row)) for row in rows]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _renumber_rounds(sql: Connection) -> None:
    """Close the holes between the numbers of the rounds that have a block; corrections keep their place."""
    left = sql.execute(select(BLOCK.c.round).distinct().order_by(BLOCK.c.round)).scalars().all()
    for number, old in enumerate(left, start=1):
        sql.execute(update(BLOCK).where(BLOCK.c.round == old).values(round=number))
    said = sql.execute(select(CORRECTION.c.round).distinct().order_by(CORRECTION.c.round)).scalars().all()
    for old in said:
        number = 1 + sum(one < old for one in left)
        sql.execute(update(CORRECTION).where(CORRECTION.c.round == old).values(round=number))
