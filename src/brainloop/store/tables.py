"""The tables of a store, the same on SQLite and on PostgreSQL; `migrations` brings older ones to this."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

__all__ = [
    "BLOCK",
    "CORRECTION",
    "FACT",
    "IMAGE",
    "LEASE",
    "META",
    "MODEL",
    "PRESENTATION",
    "RESPONSE",
    "ROUND",
    "SCHEMA",
    "SCHEMAS",
    "SKIPPED",
    "STATION",
    "WRITTEN",
]

SCHEMAS = ("0001", "0002")
"""The versions of the schema, in order; each is a file of `migrations`."""

SCHEMA = SCHEMAS[-1]
"""The version that is written here."""

META = MetaData()

FACT = Table("fact", META, Column("name", String, primary_key=True), Column("value", Text, nullable=False))

IMAGE = Table(
    "image",
    META,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("hash", String, nullable=False, unique=True),
    Column("path", String, nullable=False),
    Column("label", String),
    Column("part", String, nullable=False),
    Column("annotation", String),
    CheckConstraint("part in ('pool', 'test', 'calibration', 'aside', 'unusable')"),
)

SKIPPED = Table("skipped", META, Column("path", String, primary_key=True), Column("reason", String, nullable=False))

STATION = Table(
    "station",
    META,
    Column("name", String, primary_key=True),
    Column("person", String, nullable=False),
    Column("until", Float, nullable=False),
    Column("seen", Float, nullable=False),
    Column("clock_offset", Float),
)

BLOCK = Table(
    "block",
    META,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("round", Integer, nullable=False),
    Column("soa", Float, nullable=False),
    Column("target", String, nullable=False),
    Column("station", String, nullable=False, server_default="local"),
    Column("released", Boolean, nullable=False, server_default=false()),
)

# A late look has a presentation of its own, which stands for the one that was planned; it can do so once.
PRESENTATION = Table(
    "presentation",
    META,
    Column("id", Integer, primary_key=True),
    Column("block", ForeignKey("block.number"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("image", ForeignKey("image.id"), nullable=False),
    Column("instead", Integer),
    UniqueConstraint("block", "position"),
    Index("presentation_instead", "instead", unique=True),
)

# The primary key is what makes a double lease impossible: the holder is '' unless an overlap was asked for.
LEASE = Table(
    "lease",
    META,
    Column("image", ForeignKey("image.id"), primary_key=True, autoincrement=False),
    Column("holder", String, primary_key=True),
    Column("block", ForeignKey("block.number"), nullable=False),
)

RESPONSE = Table(
    "response",
    META,
    Column("presentation", ForeignKey("presentation.id"), primary_key=True, autoincrement=False),
    Column("score", Float),
    Column("evidence", Float, nullable=False),
    Column("rejected", String),
    Column("onset", Float, nullable=False),
    Column("source", String, nullable=False),
    Column("person", String, nullable=False),
    Column("session", String, nullable=False),
    Column("station", String, nullable=False),
    Column("at", Float),
)

CORRECTION = Table(
    "correction",
    META,
    Column("image", ForeignKey("image.id"), primary_key=True, autoincrement=False),
    Column("target", String, nullable=False),
    Column("is_target", Boolean, nullable=False),
    Column("person", String, nullable=False),
    Column("at", String, nullable=False),
    Column("round", Integer, nullable=False),
)

ROUND = Table("round", META, Column("number", Integer, primary_key=True, autoincrement=False), Column("measures", Text))

MODEL = Table("model", META, Column("name", String, primary_key=True), Column("data", LargeBinary, nullable=False))

# What was committed, by a token of its own: how a lost acknowledgement is told from a lost transaction.
WRITTEN = Table("written", META, Column("token", String, primary_key=True), Column("at", Float, nullable=False))
