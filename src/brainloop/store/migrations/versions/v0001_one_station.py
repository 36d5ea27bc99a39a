"""One station: images, blocks, responses, corrections and rounds, as before several could share a store."""

from alembic import op
from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Integer,
    String,
    Text,
    UniqueConstraint,
)

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table("fact", Column("name", String, primary_key=True), Column("value", Text, nullable=False))
    op.create_table(
        "image",
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("hash", String, nullable=False, unique=True),
        Column("path", String, nullable=False),
        Column("label", String),
        Column("part", String, nullable=False),
        Column("annotation", String),
        CheckConstraint("part in ('pool', 'test', 'calibration', 'aside', 'unusable')"),
    )
    op.create_table("skipped", Column("path", String, primary_key=True), Column("reason", String, nullable=False))
    op.create_table(
        "block",
        Column("number", Integer, primary_key=True, autoincrement=False),
        Column("round", Integer, nullable=False),
        Column("soa", Float, nullable=False),
        Column("target", String, nullable=False),
    )
    op.create_table(
        "presentation",
        Column("id", Integer, primary_key=True),
        Column("block", Integer, ForeignKey("block.number"), nullable=False),
        Column("position", Integer, nullable=False),
        Column("image", Integer, ForeignKey("image.id"), nullable=False),
        UniqueConstraint("block", "position"),
    )
    op.create_table(
        "response",
        Column("presentation", Integer, ForeignKey("presentation.id"), primary_key=True, autoincrement=False),
        Column("score", Float),
        Column("evidence", Float, nullable=False),
        Column("rejected", String),
        Column("onset", Float, nullable=False),
        Column("source", String, nullable=False),
        Column("person", String, nullable=False),
        Column("session", String, nullable=False),
        Column("station", String, nullable=False),
    )
    op.create_table(
        "correction",
        Column("image", Integer, ForeignKey("image.id"), primary_key=True, autoincrement=False),
        Column("target", String, nullable=False),
        Column("is_target", Boolean, nullable=False),
        Column("person", String, nullable=False),
        Column("at", String, nullable=False),
        Column("round", Integer, nullable=False),
    )
    op.create_table(
        "round",
        Column("number", Integer, primary_key=True, autoincrement=False),
        Column("measures", Text, nullable=False),
    )
