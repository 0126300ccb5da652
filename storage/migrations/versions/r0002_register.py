"""The register with its chain, the cases it adds up to, the network."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_REFUSES = "the register only grows"


def upgrade() -> None:
    op.create_table(
        "register",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("alert", sa.Text, nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("prev_hash", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
    )
    op.create_index("register_alert", "register", ["alert", "seq"])
    op.create_index("register_at", "register", ["at"])
    op.create_index("register_hash", "register", ["hash"])
    if op.get_bind().dialect.name == "postgresql":
        _refuse_on_postgres()
    else:
        _refuse_on_sqlite()
    op.create_table(
        "cases",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("clinic", sa.Text, nullable=False),
        sa.Column("stream", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("priority", sa.Text, nullable=False),
        sa.Column("condition", sa.Text, nullable=False),
        sa.Column("responsibility", sa.Text, nullable=False),
        sa.Column("clinical", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("opened_at", sa.Double, nullable=False),
        sa.Column("changed_at", sa.Double, nullable=False),
        sa.Column("closed_at", sa.Double),
        sa.Column("seq", sa.BigInteger, nullable=False),
    )
    op.create_index("cases_opened", "cases", ["opened_at"])
    op.create_index("cases_clinic", "cases", ["clinic", "opened_at"])
    op.create_table(
        "network",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )


def _refuse_on_sqlite() -> None:
    for what in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER register_no_{what.lower()} BEFORE {what} ON register "
            f"BEGIN SELECT RAISE(ABORT, '{_REFUSES}'); END"
        )


def _refuse_on_postgres() -> None:
    op.execute(
        "CREATE OR REPLACE FUNCTION leadwire_register_refuses() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{_REFUSES}'; END $$"
    )
    op.execute(
        "CREATE TRIGGER register_refuses BEFORE UPDATE OR DELETE ON register "
        "FOR EACH ROW EXECUTE FUNCTION leadwire_register_refuses()"
    )
    op.execute(
        "CREATE TRIGGER register_refuses_truncate BEFORE TRUNCATE ON register "
        "FOR EACH STATEMENT EXECUTE FUNCTION leadwire_register_refuses()"
    )
