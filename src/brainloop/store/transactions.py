"""Methods of a store that are one transaction each."""

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy.engine import Connection

from brainloop.errors import StudyError
from brainloop.store.database import Database, Mode

__all__ = ["Part", "reading", "repeatable", "writing"]

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound="Part")


class Part:
    """A part of what a store can do.

    Attributes
    ----------
    _database : Database
        Below it.
    _lacking : str or None
        Why nothing can be read yet: an empty database, or an older schema.
    _lease_s : float
        How long a lease holds without being renewed, s.
    """

    _database: Database
    _lacking: str | None
    _lease_s: float

    def _transact(self, work: Callable[[Connection], R], mode: Mode) -> R:
        if self._lacking:
            raise StudyError(self._lacking)
        return self._database.transact(work, mode)


def _transaction(mode: Mode) -> Callable[[Callable[Concatenate[S, Connection, P], R]], Callable[Concatenate[S, P], R]]:
    def decorate(method: Callable[Concatenate[S, Connection, P], R]) -> Callable[Concatenate[S, P], R]:
        def call(self: S, /, *args: P.args, **named: P.kwargs) -> R:
            return self._transact(lambda sql: method(self, sql, *args, **named), mode)

        # What the transaction hands in is nothing that a caller gives.
        given: Any = wraps(method)(call)
        taken = signature(method)
        given.__signature__ = taken.replace(parameters=[one for one in taken.parameters.values() if one.name != "sql"])
        return call

    return decorate


def reading(method: Callable[Concatenate[S, Connection, P], R]) -> Callable[Concatenate[S, P], R]:
    """Make a method one transaction that reads; its parameter `sql` is the transaction's."""
    return _transaction("read")(method)


def writing(method: Callable[Concatenate[S, Connection, P], R]) -> Callable[Concatenate[S, P], R]:
    """Make a method one transaction that writes once, however often a broken connection has it tried."""
    return _transaction("write")(method)


def repeatable(method: Callable[Concatenate[S, Connection, P], R]) -> Callable[Concatenate[S, P], R]:
    """Make a method one transaction that writes what is the same when it is written twice."""
    return _transaction("repeat")(method)
