"""A station: one screen and one headset of several that share a study, there for as long as its heart beats."""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

from brainloop.errors import StudyError
from brainloop.store import Store

__all__ = ["at_station", "default_station"]

BEATS = 4
"""Heartbeats within the time that a lease lasts: three may be lost."""


@contextmanager
def at_station(store: Store, name: str, person: str = "") -> Iterator[float]:
    """Be a station of a shared study, and say so again and again; what it was about to look at is free afterwards.

    Parameters
    ----------
    store : Store
        That stations share.
    name : str
        Of the station.
    person : str
        Who sits there, where that is known.

    Yields
    ------
    float
        This machine's clock less the store's, s.

    Raises
    ------
    StudyError
        If another process is that station.
    """
    ahead = store.enter(name, person)
    over = Event()

    def beat() -> None:
        while not over.wait(store.lease_s / BEATS):
            with suppress(StudyError):  # a store that is gone is met, and waited for, by whoever has an answer for it
                store.renew(name)

    heart = Thread(target=beat, name=f"heart of {name}", daemon=True)
    heart.start()
    try:
        yield ahead
    finally:
        over.set()
        heart.join()
        with suppress(StudyError):  # its leases run out then
            store.leave(name)


def default_station(store: Store) -> str:
    """Name this machine's station: its host name, where stations share the study, otherwise ``local``."""
    return (
        re.sub(r"[^A-Za-z0-9-]+", "-", socket.gethostname()).strip("-")[:40] or "local" if store.is_shared else "local"
    )
