"""Which of the customer's people may authorise remote login."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    right = sa.Column("may_authorise", sa.Boolean(), server_default=sa.false(), nullable=False)
    with op.batch_alter_table("contacts") as contacts:
        contacts.add_column(right)


def downgrade() -> None:
    with op.batch_alter_table("contacts") as contacts:
        contacts.drop_column("may_authorise")
