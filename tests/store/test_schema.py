import sqlite3
import subprocess
import sys
from importlib.resources import files

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from brainloop.errors import StudyError
from brainloop.presentation.block import Block
from brainloop.store import Round, Store
from brainloop.store.database import Database
from brainloop.store.tables import META, SCHEMA, SCHEMAS

from .conftest import change, pool, response, rows

OLD_ROWS = """
insert into fact values ('settings', '{"seed": 3}');
insert into image values (0, 'h0', 'a/0.png', null, 'pool', null);
insert into image values (1, 'h1', 'a/1.png', null, 'pool', null);
insert into block values (1, 1, 0.2, 'rose');
insert into block values (2, 2, 0.2, 'rose');
insert into block values (3, 3, 0.2, 'rose');
insert into presentation values (1, 1, 0, 0);
insert into presentation values (2, 2, 0, 1);
insert into presentation values (3, 3, 0, 1);
insert into response values (1, 1.0, 0.25, null, 0.0, 'recording#1', 'ada', 'one', 'local');
insert into response values (2, null, 0.0, 'gap', 0.0, 'recording#2', 'ada', 'one', 'local');
insert into correction values (1, 'rose', true, 'ada', '2026-01-01', 2);
insert into round values (1, '{"number": 1, "looks": 1, "rejected": 0, "images": 1, "viewing_s": 1, "machine_s": 1,
 "unsure": 0.5, "auc": null, "auc_low": null, "auc_high": null, "converged": false}');
"""


def bring_to(where, version):
    """Make the tables of an earlier version, by its migrations."""
    from alembic import command

    database = Database(where)

    def work(sql):
        config = Config()
        config.set_main_option("script_location", "brainloop.store:migrations")
        config.attributes["connection"] = sql
        command.upgrade(config, version)

    database.transact(work, "repeat")
    database.close()


@pytest.fixture
def old(new_place):
    """A place with a study of the first schema, as brainloop wrote it before versions were kept."""
    where = new_place()
    bring_to(where, "0001")
    database = Database(where)

    def fill(sql):
        for statement in OLD_ROWS.split(";\n")[:-1]:
            sql.exec_driver_sql(statement)
        sql.exec_driver_sql("drop table alembic_version")

    database.transact(fill, "repeat")
    database.close()
    return where


def differences(store):
    with store._database.engine.connect() as sql:
        context = MigrationContext.configure(sql, opts={"compare_type": True, "compare_server_default": True})
        return compare_metadata(context, META)


def shape(store):
    """Say of each table its columns, keys and indexes."""
    with store._database.engine.connect() as sql:
        found = inspect(sql)
        return {
            name: (
                [(one["name"], str(one["type"]), one["nullable"]) for one in found.get_columns(name)],
                found.get_pk_constraint(name)["constrained_columns"],
                sorted(tuple(one["constrained_columns"]) for one in found.get_foreign_keys(name)),
                sorted(tuple(one["column_names"]) for one in found.get_unique_constraints(name)),
                sorted((one["name"], one["unique"]) for one in found.get_indexes(name)),
            )
            for name in META.tables
        }


def test_the_versions_are_those_of_the_migrations():
    config = Config()
    config.set_main_option("script_location", "brainloop.store:migrations")
    script = ScriptDirectory.from_config(config)
    assert tuple(step.revision for step in script.walk_revisions())[::-1] == SCHEMAS
    assert (files("brainloop.store") / "migrations" / "env.py").is_file()


def test_new_tables_and_migrated_ones_are_the_same(new_store, new_place, opened):
    new, migrated = new_store(), new_place()
    bring_to(migrated, "head")
    other = opened(migrated)
    assert differences(new) == differences(other) == []
    assert shape(new) == shape(other)
    assert rows(new, "select * from alembic_version") == rows(other, "select * from alembic_version") == [(SCHEMA,)]


def test_an_older_study_is_not_opened_but_brought_up_to_date(old, opened):
    store = opened(old)
    with pytest.raises(StudyError, match=r"schema 0002 at .*, found 0001.*brainloop upgrade STUDY"):
        store.fact("settings")
    store.upgrade()
    assert store.fact("settings") == {"seed": 3}
    assert differences(store) == []
    looks = store.looks()
    assert looks.evidence.tolist() == [0.25, 0.0]
    assert looks.rejected == [None, "gap"]
    assert str(looks.at.tolist()) == "[nan, nan]"
    assert store.corrections() == {1: ("rose", True)}
    # Round 2 was answered and not trained yet; round 3 was planned.
    assert ([one.number for one in store.rounds()], store.begun(), store.open_round()) == ([1], [2], 3)
    assert store.blocks_of("local") == [(Block(3, 3, (1,), 0.2, "rose"), 0)]
    store.answer(3, 0, response())
    assert store.begin_round() == 3
    opened(old).upgrade()  # there is nothing left to do
    assert opened(old).looks().image.size == 3


def test_a_migration_that_fails_leaves_everything_as_it_was(old, opened):
    before = Store(old)
    change(before, "create table model (name varchar)")  # in the way of one of ours
    tables = sorted(inspect(before._database.engine).get_table_names())
    with pytest.raises(StudyError):
        before.upgrade()
    assert sorted(inspect(before._database.engine).get_table_names()) == tables
    assert [one["name"] for one in inspect(before._database.engine).get_columns("block")][-1] == "target"
    change(before, "drop table model")
    before.upgrade()
    assert before.looks().image.size == 2
    before.close()


def test_a_newer_schema_asks_for_a_newer_brainloop(new_place, fill, opened):
    where = new_place()
    change(fill(where), "update alembic_version set version_num = '0099'")
    with pytest.raises(StudyError, match=r"found 0099: a newer brainloop has written it; update brainloop"):
        opened(where)


def test_a_database_of_another_program_is_left_alone(new_place, opened):
    where = new_place()
    database = Database(where)
    database.transact(lambda sql: sql.exec_driver_sql("create table invoices (id integer)") and None, "repeat")
    database.close()
    with pytest.raises(StudyError, match="holds other tables: invoices"):
        opened(where)


def test_a_study_is_made_once_in_a_database(store):
    with pytest.raises(StudyError, match="holds a study already"):
        store.create(pool(), [], {})
    assert store.images() == pool()


def test_a_file_of_before_is_opened_read_and_upgraded_by_the_library_alone(tmp_path, opened):
    """The tables as SQLAlchemy wrote them before there were migrations."""
    with sqlite3.connect(tmp_path / "store.sqlite") as raw:
        raw.executescript(BEFORE + OLD_ROWS)
    store = opened(tmp_path / "store.sqlite")
    store.upgrade()
    assert differences(store) == []
    assert store.rounds() == [Round(1, 1, 0, 1, 1, 1, 0.5, None, None, None, False)]


def test_alembic_is_loaded_only_to_upgrade(tmp_path):
    script = (
        "import sys; from brainloop.store import Store; Store(sys.argv[1]).fact('x'); Store(sys.argv[1]).fact('x'); "
        "print('alembic' in sys.modules, 'psycopg' in sys.modules)"
    )
    told = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "s")], capture_output=True, text=True, check=True
    )
    assert told.stdout.split() == ["False", "False"]


BEFORE = """
CREATE TABLE fact (name VARCHAR NOT NULL, value TEXT NOT NULL, PRIMARY KEY (name));
CREATE TABLE image (id INTEGER NOT NULL, hash VARCHAR NOT NULL, path VARCHAR NOT NULL, label VARCHAR,
 part VARCHAR NOT NULL, annotation VARCHAR, PRIMARY KEY (id), UNIQUE (hash),
 CHECK (part in ('pool', 'test', 'calibration', 'aside', 'unusable')));
CREATE TABLE skipped (path VARCHAR NOT NULL, reason VARCHAR NOT NULL, PRIMARY KEY (path));
CREATE TABLE block (number INTEGER NOT NULL, round INTEGER NOT NULL, soa FLOAT NOT NULL, target VARCHAR NOT NULL,
 PRIMARY KEY (number));
CREATE TABLE round (number INTEGER NOT NULL, measures TEXT NOT NULL, PRIMARY KEY (number));
CREATE TABLE presentation (id INTEGER NOT NULL, block INTEGER NOT NULL, position INTEGER NOT NULL,
 image INTEGER NOT NULL, PRIMARY KEY (id), UNIQUE (block, position), FOREIGN KEY(block) REFERENCES block (number),
 FOREIGN KEY(image) REFERENCES image (id));
CREATE TABLE correction (image INTEGER NOT NULL, target VARCHAR NOT NULL, is_target BOOLEAN NOT NULL,
 person VARCHAR NOT NULL, at VARCHAR NOT NULL, round INTEGER NOT NULL, PRIMARY KEY (image),
 FOREIGN KEY(image) REFERENCES image (id));
CREATE TABLE response (presentation INTEGER NOT NULL, score FLOAT, evidence FLOAT NOT NULL, rejected VARCHAR,
 onset FLOAT NOT NULL, source VARCHAR NOT NULL, person VARCHAR NOT NULL, session VARCHAR NOT NULL,
 station VARCHAR NOT NULL, PRIMARY KEY (presentation), FOREIGN KEY(presentation) REFERENCES presentation (id));
"""
