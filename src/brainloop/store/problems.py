"""What goes wrong between a store and its database, in words; and what is worth another try."""

from sqlalchemy.exc import DBAPIError

from brainloop.errors import BrainloopError, StudyError, UnreachableError

__all__ = ["explain", "is_passing"]

PASSING = ("08", "57P01", "57P02", "57P03", "53300", "40001", "40P01", "25P03")
"""SQLSTATEs, or their classes, that pass by themselves: a connection lost, a server that stops or starts, too many
clients, a deadlock (PostgreSQL 15, appendix A)."""

STARTING = (
    "starting up", "not yet accepting connections", "shutting down", "recovery mode", "too many clients",
    "remaining connection slots",
)  # fmt: skip

REFUSALS = (
    "authentication failed", "no password supplied", "does not exist", "pg_hba.conf", "permission denied",
    "not permitted to log in", "invalid", "unsupported frontend protocol", "definition of service",
)  # fmt: skip
"""What a server says that will say the same the next time; libpq gives no SQLSTATE before it is connected."""


def is_passing(error: DBAPIError, *, met: bool) -> bool:
    """Say whether the same may succeed a little later.

    Parameters
    ----------
    error : DBAPIError
        What came.
    met : bool
        Whether the database was reached before: if not, only a server that is starting is waited for.
    """
    state, said = _state(error), str(error.orig)
    if state:
        return state.startswith(PASSING) and (met or state == "57P03")
    if any(word in said for word in STARTING):
        return True
    if type(error.orig).__name__ != "OperationalError" and not error.connection_invalidated:
        return False
    return met and not any(word in said for word in REFUSALS)


def explain(error: DBAPIError, name: str, *, shared: bool) -> BrainloopError:
    """Say what a driver's error means, and what to do.

    Parameters
    ----------
    error : DBAPIError
        What came.
    name : str
        Of the store, as its messages call it.
    shared : bool
        Whether it is on a server.
    """
    state, said = _state(error), " ".join(str(error.orig).split())
    if state.startswith("23") or (not shared and "constraint failed" in said):
        return StudyError(f"{name} refuses what does not fit what it holds: {said}")
    if state.startswith("53") or "is full" in said or "No space left" in said:
        return StudyError(
            f"expected room for more in {name}: {said}. What was answered before is kept: make room, and go on"
        )
    if not shared:
        if "locked" in said or "busy" in said:
            return StudyError(f"another program holds {name}: {said}; close it and try again")
        return StudyError(f"expected a sound brainloop store at {name}: {said}; put back a copy of the file")
    return _explain_server(state, said, name)


def _explain_server(state: str, said: str, name: str) -> BrainloopError:
    database = name.rpartition("/")[2].partition("?")[0]
    if state == "42501" or "permission denied" in said:
        return StudyError(
            f"expected the right to read and write in {name}: {said}; ask who runs the server to make you the owner of "
            f"the database: ALTER DATABASE {database} OWNER TO you"
        )
    if state in ("42P01", "42703", "3F000"):
        return StudyError(
            f"expected brainloop's tables in {name}: {said}; they were altered, or the database was made anew. Put "
            "back a dump of it"
        )
    if "password" in said or "authentication" in said:
        return StudyError(
            f"the server refused the name or the password for {name}: {said}; put the right one into ~/.pgpass, a "
            "service file or PGPASSWORD, and name the user in the URL: postgresql://user@host/database"
        )
    if "does not exist" in said and "database" in said:
        return StudyError(f"{name} is not there: {said}; make the database with: createdb {database}")
    if "does not exist" in said or "pg_hba.conf" in said or "not permitted" in said:
        return StudyError(
            f"the server lets nobody of that name into {name}: {said}; check the user in the URL, and the server's "
            "pg_hba.conf"
        )
    if state and not state.startswith(PASSING):
        return StudyError(f"{name} could not do what it was asked for ({state}): {said}")
    return UnreachableError(
        f"{name} cannot be reached: {said}. Nothing that was answered is lost: check that the server runs, its name, "
        "its port and the network, and go on"
    )


def _state(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""
