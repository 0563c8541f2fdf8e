"""Why a promise was broken, as people record it."""

import sqlalchemy as sa
from alembic import op

from mailcare.records.migrations.tables import (
    column,
    create,
    index,
    moment,
    reference,
    text,
    word,
)

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

TABLE = "fault_breach_reasons"
CLOCKS = ("response", "resolution", "report")
CAUSES = (
    "customer", "third_party", "spare_part", "complex", "staffing", "recorded_late", "other",
)  # fmt: skip


def upgrade() -> None:
    create(
        TABLE,
        *reference(TABLE, "fault_id", "faults"),
        *word(TABLE, "clock", "clockkind", CLOCKS),
        column("epoch", sa.Integer()),
        *word(TABLE, "cause", "breachcause", CAUSES),
        text("text"),
        text("recorded_by"),
        moment("recorded_at"),
    )
    index(TABLE, "fault_id")


def downgrade() -> None:
    op.drop_table(TABLE)
