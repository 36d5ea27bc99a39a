"""Every store test runs on SQLite and on PostgreSQL."""

import pytest

from brainloop.presentation.block import Response
from brainloop.store import PoolImage, Store


@pytest.fixture(params=["sqlite", "postgresql"])
def new_place(request, tmp_path_factory):
    """Gives, each time it is called, where a new store may be made: a file's path or a database's URL."""
    if request.param == "postgresql":
        return request.getfixturevalue("new_database")
    return lambda: tmp_path_factory.mktemp("place") / "store.sqlite"


@pytest.fixture
def opened():
    """Opens stores, and closes them when the test is over."""
    stores = []

    def open_(where, **named):
        stores.append(Store(where, **named))
        return stores[-1]

    yield open_
    for store in stores:
        store.close()


@pytest.fixture
def fill(opened):
    """Makes stores with six images, where one says."""

    def make(where, images=None, **named):
        store = opened(where, **named)
        store.create(pool() if images is None else images, [("b/x.png", "zero bytes")], {"settings": {"seed": 3}})
        return store

    return make


@pytest.fixture
def new_store(new_place, fill):
    """Makes stores with six images, each in a place of its own."""
    return lambda images=None, **named: fill(new_place(), images, **named)


@pytest.fixture
def store(new_store):
    return new_store()


def pool(n=6):
    return [PoolImage(k, f"hash{k}", f"a/{k}.png", "a" if k % 2 else None, "pool") for k in range(n)]


def response(evidence=0.5, rejected=None, score=1.0, person="sub-01"):
    return Response(score, evidence, rejected, 0.2, "recording#7", person, "ses-01")


def rows(store, query):
    """Read by plain SQL what no method of a store gives."""
    with store._database.engine.connect() as sql:
        return [tuple(row) for row in sql.exec_driver_sql(query)]


def change(store, statement):
    """Write by plain SQL what no method of a store does."""
    with store._database.engine.connect().execution_options(brainloop_writes=True) as sql, sql.begin():
        sql.exec_driver_sql(statement)


def lapse(store, station):
    """Let a station's leases run out, as if its process had died a while ago."""
    change(store, f"update station set until = 0 where name = '{station}'")
