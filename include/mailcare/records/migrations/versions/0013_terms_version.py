"""Which version of the service plan's promises a contract version and a fault have."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

TABLES = ("contract_versions", "faults")


def upgrade() -> None:
    for table in TABLES:
        with op.batch_alter_table(table) as changed:
            # Until now every promise was that of the first version.
            column = sa.Column("terms_version", sa.Integer(), server_default="1", nullable=False)
            changed.add_column(column)
        with op.batch_alter_table(table) as changed:
            changed.alter_column("terms_version", server_default=None)


def downgrade() -> None:
    for table in TABLES:
        with op.batch_alter_table(table) as changed:
            changed.drop_column("terms_version")
