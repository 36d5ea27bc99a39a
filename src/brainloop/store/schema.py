"""Which version of the tables a database holds, and how it gets the newest."""

from typing import Any

from sqlalchemy import inspect, text
from sqlalchemy.engine import Connection

from brainloop.errors import StudyError
from brainloop.store.tables import META, SCHEMA, SCHEMAS

__all__ = ["found_schema", "lacking", "make_tables", "upgrade"]

FIRST = {"fact", "image", "skipped", "block", "presentation", "response", "round"}
"""Tables that every store has had."""


def found_schema(sql: Connection, name: str) -> str | None:
    """Tell the version of the schema by plain SQL; None in an empty database.

    Raises
    ------
    StudyError
        If the database holds other tables, or a newer schema.
    """
    there = set(inspect(sql).get_table_names())
    if not there:
        return None
    if not there >= FIRST:
        other = ", ".join(sorted(there - FIRST)[:3] or sorted(there)[:3])
        raise StudyError(
            f"expected a database for one study alone at {name}; it holds other tables: {other}. Name another, or make "
            "one with: createdb NAME"
        )
    if "alembic_version" not in there:
        return SCHEMAS[0]  # from before versions were kept
    version = str(sql.execute(text("select version_num from alembic_version")).scalar())
    if version not in SCHEMAS:
        raise StudyError(
            f"expected a store of schema {SCHEMA} or older at {name}, found {version}: a newer brainloop has written "
            "it; update brainloop here"
        )
    return version


def lacking(version: str | None, name: str) -> str | None:
    """Say what hinders the use of a store of that schema, and what to do; None if nothing does."""
    if version is None:
        return (
            f"expected a study in {name}, found an empty database; make one with: "
            f"brainloop new STUDY IMAGES --store {name}"
        )
    if version != SCHEMA:
        return (
            f"expected a store of schema {SCHEMA} at {name}, found {version}, which an older brainloop wrote; bring it "
            "up to date with: brainloop upgrade STUDY"
        )
    return None


def make_tables(sql: Connection) -> None:
    """Make the newest tables in an empty database."""
    META.create_all(sql)
    sql.execute(text("create table alembic_version (version_num varchar(32) not null primary key)"))
    sql.execute(text("insert into alembic_version values (:version)"), {"version": SCHEMA})


def upgrade(sql: Connection, version: str) -> None:
    """Bring the tables to the newest schema, within the transaction that `sql` is in."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "brainloop.store:migrations")
    attributes: dict[str, Any] = config.attributes
    attributes["connection"] = sql
    if not inspect(sql).has_table("alembic_version"):
        command.stamp(config, version)
    command.upgrade(config, "head")
