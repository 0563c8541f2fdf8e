"""A report that came back after it was sent is an event of its fault."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

BEFORE = (
    "declared", "accepted", "first_contact", "paused", "resumed", "level_changed", "handled",
    "reopened", "report_sent", "signed", "cancelled", "merged",
)  # fmt: skip
AFTER = (*BEFORE[:9], "report_returned", *BEFORE[9:])


def upgrade() -> None:
    _hold_to(AFTER)


def downgrade() -> None:
    _hold_to(BEFORE)


def _hold_to(words: tuple[str, ...]) -> None:
    name = op.f("ck_fault_events_faulteventtype")
    listed = ", ".join(f"'{one}'" for one in words)
    with op.batch_alter_table("fault_events") as events:
        events.drop_constraint(name, type_="check")
        events.create_check_constraint(name, f"type IN ({listed})")
