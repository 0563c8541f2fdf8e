"""On-site visits: appointments, their history and links, what was written down on site."""

import sqlalchemy as sa
from alembic import op

from mailcare.records.migrations.tables import (
    check,
    column,
    create,
    index,
    moment,
    reference,
    text,
    unique,
    word,
)

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

STATES = (
    *("open", "proposed", "countered", "confirmed", "started"),
    *("completed", "cancelled", "no_show"),
)
ACTS = ("propose", "counter", "confirm", "move", "cancel", "miss", "start", "complete")
TABLES_CHILDREN_FIRST = (
    "visit_evidence",
    "visit_trainings",
    "visit_entries",
    "visit_link_refusals",
    "visit_links",
    "visit_events",
    "visits",
)


def upgrade() -> None:
    _create_appointments()
    _create_links()
    _create_entries()


def downgrade() -> None:
    for table in TABLES_CHILDREN_FIRST:
        op.drop_table(table)


def _create_appointments() -> None:
    create(
        "visits",
        *reference("visits", "service_id", "services"),
        text("number"),
        text("engineer"),
        text("engineer_name"),
        text("engineer_email"),
        text("place"),
        column("starts_on", sa.Date(), nullable=True),
        column("sequence", sa.Integer()),
        *word("visits", "state", "visitstate", STATES),
        moment("state_changed_at"),
        unique("visits", "service_id"),
        unique("visits", "number"),
    )
    index("visits", "starts_on")
    index("visits", "state")
    create(
        "visit_events",
        *reference("visit_events", "visit_id", "visits"),
        column("ordinal", sa.Integer()),
        *word("visit_events", "act", "visitact", ACTS),
        *word("visit_events", "party", "visitparty", ("customer", "vendor")),
        *word("visit_events", "way", "visitway", ("link", "phone", "console")),
        column("starts", sa.JSON()),
        text("split_agreed_by"),
        text("note"),
        text("said_by"),
        text("recorded_by"),
        moment("at"),
        unique("visit_events", "visit_id", "ordinal"),
    )


def _create_links() -> None:
    create(
        "visit_links",
        *reference("visit_links", "event_id", "visit_events"),
        text("token_sha256"),
        text("recipient"),
        moment("expires_at"),
        moment("used_at", nullable=True),
        unique("visit_links", "token_sha256"),
    )
    index("visit_links", "event_id")
    create(
        "visit_link_refusals",
        moment("at"),
        text("reason"),
        text("address"),
        column("visit_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["visit_id"], ["visits.id"], name="fk_visit_link_refusals_visit_id_visits"
        ),
    )
    index("visit_link_refusals", "at")
    index("visit_link_refusals", "address")


def _create_entries() -> None:
    create(
        "visit_entries",
        *reference("visit_entries", "visit_id", "visits"),
        text("field"),
        text("text"),
        text("recorded_by"),
        moment("recorded_at"),
    )
    index("visit_entries", "visit_id")
    create(
        "visit_trainings",
        *reference("visit_trainings", "visit_id", "visits"),
        text("topic"),
        column("taught_on", sa.Date()),
        column("hours", sa.Numeric(4, 1)),
        text("content"),
        column("attendees", sa.JSON()),
        text("recorded_by"),
        moment("recorded_at"),
        check("visit_trainings", "some_time", "hours > 0"),
    )
    index("visit_trainings", "visit_id")
    create(
        "visit_evidence",
        *reference("visit_evidence", "visit_id", "visits"),
        *reference("visit_evidence", "evidence_file_id", "evidence_files"),
        text("about"),
        text("caption"),
        text("recorded_by"),
        moment("recorded_at"),
        unique("visit_evidence", "visit_id", "evidence_file_id", "about"),
    )
