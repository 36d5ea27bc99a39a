"""Leases: who is looking at which image, by the store's clock.

A lease holds for as long as its station does (`station.until`). One that has lapsed ends when another station plans:
its block is released then, so that nobody waits for it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.engine import Connection, Row

from brainloop.store.rounds import has_unanswered
from brainloop.store.tables import BLOCK, LEASE, STATION

__all__ = ["be_there", "free_lapsed", "lease", "leases", "others", "release"]


def be_there(sql: Connection, station: str, now: float, lease_s: float, **about: Any) -> None:
    """Let a station be there until `lease_s` from now, and note what is said about it."""
    row = {"until": now + lease_s, "seen": now, **about}
    if not sql.execute(update(STATION).where(STATION.c.name == station).values(**row)).rowcount:
        sql.execute(insert(STATION).values(**{"name": station, "person": "", **row}))


def leases(sql: Connection) -> Sequence[Row[Any]]:
    """List leases: `image`, `holder`, `station`, and its `until`."""
    query = (
        select(LEASE.c.image, LEASE.c.holder, BLOCK.c.station, STATION.c.until)
        .join(BLOCK, BLOCK.c.number == LEASE.c.block)
        .join(STATION, STATION.c.name == BLOCK.c.station)
        .order_by(LEASE.c.image)
    )
    found: Sequence[Any] = sql.execute(query).all()
    return found


def others(leased: Iterable[Row[Any]], station: str) -> Iterator[Row[Any]]:
    """Give the leases of other stations."""
    return (one for one in leased if one.station != station)


def lease(sql: Connection, blocks: Mapping[int, int], holder: str, station: str) -> None:
    """Lease images to a station, each until the block given for it is answered in full."""
    if not blocks:
        return
    own = select(BLOCK.c.number).where(BLOCK.c.station == station)
    earlier = delete(LEASE).where(LEASE.c.image == bindparam("its"), LEASE.c.holder == holder, LEASE.c.block.in_(own))
    sql.execute(earlier, [{"its": image} for image in blocks])
    sql.execute(
        insert(LEASE), [{"image": image, "holder": holder, "block": block} for image, block in sorted(blocks.items())]
    )


def free_lapsed(sql: Connection, station: str, now: float) -> None:
    """Release the blocks of all stations but this one that are not there any more."""
    lapsed = select(STATION.c.name).where(STATION.c.until <= now, STATION.c.name != station)
    release(sql, sql.execute(lapsed).scalars().all())


def release(sql: Connection, stations: Iterable[str]) -> None:
    """Release stations' blocks that are not answered in full: what is unanswered does not count, leases end."""
    for station in stations:
        its = BLOCK.c.station == station
        sql.execute(update(BLOCK).where(its, ~BLOCK.c.released, has_unanswered(BLOCK.c.number)).values(released=True))
        sql.execute(delete(LEASE).where(LEASE.c.block.in_(select(BLOCK.c.number).where(its, BLOCK.c.released))))
