"""The support mailbox: mails that came in, and how far it was read."""

import sqlalchemy as sa
from alembic import op

from mailcare.records.migrations.tables import (
    check,
    column,
    create,
    index,
    moment,
    optional_reference,
    text,
    unique,
    word,
)

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

STATES = ("received", "waiting", "automatic", "noted", "declared", "dismissed")


def upgrade() -> None:
    create(
        "received_mails",
        text("key"),
        text("message_id", nullable=True),
        text("sender"),
        text("subject"),
        text("text"),
        moment("received_at"),
        column("size_bytes", sa.Integer()),
        column("is_cut", sa.Boolean()),
        column("raw", sa.LargeBinary()),
        *optional_reference("received_mails", "customer_id", "customers"),
        *optional_reference("received_mails", "fault_id", "faults"),
        *word("received_mails", "state", "mailstate", STATES),
        moment("state_changed_at"),
        text("decided_by", nullable=True),
        text("reason", nullable=True),
        unique("received_mails", "key"),
        check(
            "received_mails",
            "of_a_fault",
            "state NOT IN ('noted', 'declared') OR fault_id IS NOT NULL",
        ),
    )
    index("received_mails", "message_id")
    index("received_mails", "customer_id")
    index("received_mails", "fault_id")
    index("received_mails", "state", "received_at")
    create(
        "mailbox_positions",
        text("mailbox"),
        column("uid_validity", sa.BigInteger()),
        column("last_uid", sa.BigInteger()),
        unique("mailbox_positions", "mailbox", "uid_validity"),
    )


def downgrade() -> None:
    op.drop_table("mailbox_positions")
    op.drop_table("received_mails")
