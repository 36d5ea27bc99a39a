"""Every SQL statement: what was planned, what was answered, what each round came to, and who is there.

One study has one store, a file (SQLite) for one station or a database (PostgreSQL) for any number of them. `tables`
says what is kept; `database` what a transaction is; `pool`, `blocks`, `rounds`, `stations` and `erasure` are what a
`Store` can do.
"""

from brainloop.store.records import Looks, PoolImage, Round, StationRecord
from brainloop.store.stations import LEASE_S
from brainloop.store.store import Store

__all__ = ["LEASE_S", "Looks", "PoolImage", "Round", "StationRecord", "Store"]
