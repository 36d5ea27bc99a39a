"""Several stations: who is there, what each looks at, what the trainer publishes; rounds that are begun before over."""

from alembic import op
from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Text,
    column,
    false,
    func,
    insert,
    select,
    table,
)

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the tables and columns, and begin the rounds that were answered in full and not over."""
    op.create_table(
        "station",
        Column("name", String, primary_key=True),
        Column("person", String, nullable=False),
        Column("until", Float, nullable=False),
        Column("seen", Float, nullable=False),
        Column("clock_offset", Float),
    )
    op.create_table(
        "lease",
        Column("image", Integer, ForeignKey("image.id"), primary_key=True, autoincrement=False),
        Column("holder", String, primary_key=True),
        Column("block", Integer, ForeignKey("block.number"), nullable=False),
    )
    op.create_table("model", Column("name", String, primary_key=True), Column("data", LargeBinary, nullable=False))
    op.create_table("written", Column("token", String, primary_key=True), Column("at", Float, nullable=False))
    op.add_column("block", Column("station", String, nullable=False, server_default="local"))
    op.add_column("block", Column("released", Boolean, nullable=False, server_default=false()))
    op.add_column("presentation", Column("instead", Integer))
    op.create_index("presentation_instead", "presentation", ["instead"], unique=True)
    op.add_column("response", Column("at", Float))
    with op.batch_alter_table("round") as batch:
        batch.alter_column("measures", existing_type=Text, nullable=True)
    _begin_rounds()


def _begin_rounds() -> None:
    """Begin what an erasure or a kill had left: from now on a round that is begun has a row."""
    sql = op.get_bind()
    blocks, rounds = table("block", column("number"), column("round")), table("round", column("number"))
    shown, given = table("presentation", column("id"), column("block")), table("response", column("presentation"))
    over = sql.execute(select(func.max(rounds.c.number))).scalar() or 0
    counts = (
        select(blocks.c.round, func.count(shown.c.id), func.count(given.c.presentation))
        .join(shown, shown.c.block == blocks.c.number)
        .outerjoin(given, given.c.presentation == shown.c.id)
        .where(blocks.c.round > over)
        .group_by(blocks.c.round)
        .order_by(blocks.c.round)
    )
    for number, planned, answered in sql.execute(counts).all():
        if answered < planned:
            break
        sql.execute(insert(rounds).values(number=number))
