"""Reports on faults, and what was done about each."""

import sqlalchemy as sa
from alembic import op

from mailcare.records.migrations.tables import (
    column,
    create,
    index,
    moment,
    reference,
    text,
    unique,
    word,
)

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

STATES = (
    "draft",
    "in_review",
    "returned",
    "approved",
    "issued",
    "sent",
    "signed",
    "superseded",
)


def upgrade() -> None:
    create(
        "fault_reports",
        *reference("fault_reports", "fault_id", "faults"),
        column("epoch", sa.Integer()),
        *word("fault_reports", "state", "reportstate", STATES),
        moment("state_changed_at"),
        column("version", sa.Integer()),
        moment("occurred_at", nullable=True),
        text("method"),
        text("degree"),
        text("lessons"),
        text("opinions"),
        text("author"),
        column("submissions", sa.Integer()),
        column("runs_begun", sa.Integer()),
        column("paper_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["paper_id"], ["papers.id"], name="fk_fault_reports_paper_id_papers"
        ),
        unique("fault_reports", "fault_id", "epoch"),
    )
    index("fault_reports", "state")
    create(
        "fault_report_events",
        *reference("fault_report_events", "report_id", "fault_reports"),
        moment("at"),
        text("by"),
        *word("fault_report_events", "state", "reportstate", STATES),
        text("via"),
        text("remark"),
    )
    index("fault_report_events", "report_id")


def downgrade() -> None:
    op.drop_table("fault_report_events")
    op.drop_table("fault_reports")
