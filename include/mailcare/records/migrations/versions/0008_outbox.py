"""The outbox: letters with their text, enclosures and next attempt; own staff, robots, alerts."""

import sqlalchemy as sa
from alembic import op

from mailcare.records.migrations.tables import (
    check,
    column,
    create,
    index,
    moment,
    optional_reference,
    reference,
    text,
    unique,
    word,
)

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

CHANNELS = ("smtp",)
VENDORS = ("dingtalk", "feishu", "wecom")
STATES = ("pending", "sending", "sent", "refused", "uncertain")
MORE_STATES = (*STATES, "dead", "expired", "settled")
RUNGS = ("engineer", "manager", "director", "customer_service")
REFERENCES = {
    "customer_id": "customers",
    "fault_id": "faults",
    "alert_id": "alerts",
    "member_id": "staff_members",
}
INDEXES = (
    ("customer_id",),
    ("fault_id",),
    ("alert_id",),
    ("state", "next_attempt_at"),
    ("channel", "recipient"),
)
NEW_TABLES_CHILDREN_FIRST = (
    "enclosures",
    "job_runs",
    "alerts",
    "duties",
    "staff_members",
    "robots",
)
# A letter written down before had its text made anew each time it went.
BODY = "您好！\n\n报告已完成，随信附上 PDF 文件，请查收。如有疑问，请直接回复本邮件。\n"


def upgrade() -> None:
    _create_staff()
    _create_alerts()
    _widen_deliveries()
    _hold_deliveries_to((*CHANNELS, *VENDORS), MORE_STATES)
    _hold_events_to(MORE_STATES)
    with op.batch_alter_table("delivery_events") as events:
        events.add_column(text("by", nullable=True))
    _create_enclosures()
    create("job_runs", text("job"), moment("ended_at"), text("outcome"), unique("job_runs", "job"))


def downgrade() -> None:
    op.execute(
        "DELETE FROM delivery_events WHERE state IN ('dead', 'expired', 'settled') OR delivery_id"
        " IN (SELECT id FROM deliveries WHERE paper_id IS NULL)"
    )
    op.execute("DELETE FROM enclosures")
    op.execute("DELETE FROM deliveries WHERE paper_id IS NULL")
    op.execute("UPDATE deliveries SET state = 'refused' WHERE state IN ('dead', 'expired')")
    op.execute("UPDATE deliveries SET state = 'sent' WHERE state = 'settled'")
    with op.batch_alter_table("delivery_events") as events:
        events.drop_column("by")
    _hold_events_to(STATES)
    _hold_deliveries_to(CHANNELS, STATES)
    _narrow_deliveries()
    for table in NEW_TABLES_CHILDREN_FIRST:
        op.drop_table(table)


def _widen_deliveries() -> None:
    with op.batch_alter_table("deliveries") as deliveries:
        deliveries.alter_column("paper_id", existing_type=sa.Integer(), nullable=True)
        deliveries.alter_column("message_id", existing_type=sa.Text(), nullable=True)
        for name in REFERENCES:
            deliveries.add_column(column(name, sa.Integer(), nullable=True))
        deliveries.add_column(text("subject", nullable=True))
        deliveries.add_column(text("body", nullable=True))
        for name in ("not_before_at", "next_attempt_at", "expires_at"):
            deliveries.add_column(moment(name, nullable=True))
    _fill_letters_in()
    with op.batch_alter_table("deliveries") as deliveries:
        for name, kind in (
            ("subject", sa.Text()),
            ("body", sa.Text()),
            ("next_attempt_at", sa.DateTime(timezone=True)),
        ):
            deliveries.alter_column(name, existing_type=kind, nullable=False)
        for name, parent in REFERENCES.items():
            deliveries.create_foreign_key(f"fk_deliveries_{name}_{parent}", parent, [name], ["id"])
        deliveries.create_check_constraint(
            op.f("ck_deliveries_message_id_where_mailed"),
            "(channel = 'smtp') = (message_id IS NOT NULL)",
        )
    for columns in INDEXES:
        index("deliveries", *columns)


def _narrow_deliveries() -> None:
    for columns in INDEXES:
        op.drop_index(f"ix_deliveries_{'_'.join(columns)}", "deliveries")
    with op.batch_alter_table("deliveries") as deliveries:
        deliveries.drop_constraint(op.f("ck_deliveries_message_id_where_mailed"), type_="check")
        for name, parent in REFERENCES.items():
            deliveries.drop_constraint(f"fk_deliveries_{name}_{parent}", type_="foreignkey")
    with op.batch_alter_table("deliveries") as deliveries:
        for name in (
            *REFERENCES,
            "subject",
            "body",
            "not_before_at",
            "next_attempt_at",
            "expires_at",
        ):
            deliveries.drop_column(name)
        deliveries.alter_column("paper_id", existing_type=sa.Integer(), nullable=False)
        deliveries.alter_column("message_id", existing_type=sa.Text(), nullable=False)


def _fill_letters_in() -> None:
    numbers = "(SELECT papers.number FROM papers WHERE papers.id = deliveries.paper_id)"
    customers = (
        "(SELECT systems.customer_id FROM systems JOIN papers ON papers.system_id = systems.id"
        " WHERE papers.id = deliveries.paper_id)"
    )
    op.execute(
        sa.text(
            f"UPDATE deliveries SET subject = '【巡检报告】' || {numbers}, body = :body,"  # noqa: S608 - fixed words
            f" customer_id = {customers}, next_attempt_at = created_at"
        ).bindparams(body=BODY)
    )


def _hold_deliveries_to(channels: tuple[str, ...], states: tuple[str, ...]) -> None:
    with op.batch_alter_table("deliveries") as deliveries:
        for name, kind, words in (
            ("channel", "deliverychannel", channels),
            ("state", "deliverystate", states),
        ):
            deliveries.drop_constraint(op.f(f"ck_deliveries_{kind}"), type_="check")
            deliveries.create_check_constraint(
                op.f(f"ck_deliveries_{kind}"), f"{name} IN ({_listed(words)})"
            )


def _hold_events_to(states: tuple[str, ...]) -> None:
    with op.batch_alter_table("delivery_events") as events:
        events.drop_constraint(op.f("ck_delivery_events_deliverystate"), type_="check")
        events.create_check_constraint(
            op.f("ck_delivery_events_deliverystate"), f"state IN ({_listed(states)})"
        )


def _listed(words: tuple[str, ...]) -> str:
    return ", ".join(f"'{one}'" for one in words)


def _create_staff() -> None:
    create(
        "robots",
        text("name"),
        *word("robots", "vendor", "robotvendor", VENDORS),
        text("variable", nullable=True),
        text("connection", nullable=True),
        column("is_active", sa.Boolean()),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        unique("robots", "name"),
        check("robots", "one_source", "(variable IS NULL) <> (connection IS NULL)"),
    )
    create(
        "staff_members",
        text("name"),
        text("login", nullable=True),
        *word("staff_members", "rung", "rung", RUNGS),
        text("email"),
        *optional_reference("staff_members", "robot_id", "robots"),
        column("works_from", sa.Time()),
        column("works_until", sa.Time()),
        column("is_active", sa.Boolean()),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        unique("staff_members", "name"),
        unique("staff_members", "login"),
        check("staff_members", "ends_after_start", "works_until > works_from"),
    )
    create(
        "duties",
        column("duty_on", sa.Date()),
        *reference("duties", "member_id", "staff_members"),
        column("place", sa.Integer()),
        text("entered_by"),
        unique("duties", "duty_on", "member_id"),
        check("duties", "place_from_one", "place >= 1"),
    )
    index("duties", "member_id")


def _create_alerts() -> None:
    create(
        "alerts",
        text("key"),
        *word("alerts", "rung", "rung", RUNGS),
        text("subject"),
        text("text"),
        column("is_urgent", sa.Boolean()),
        moment("at"),
        *optional_reference("alerts", "fault_id", "faults"),
        *optional_reference("alerts", "customer_id", "customers"),
        unique("alerts", "key"),
    )
    index("alerts", "at")
    index("alerts", "fault_id")


def _create_enclosures() -> None:
    create(
        "enclosures",
        *reference("enclosures", "delivery_id", "deliveries"),
        text("name"),
        *optional_reference("enclosures", "paper_file_id", "paper_files"),
        *optional_reference("enclosures", "evidence_file_id", "evidence_files"),
        unique("enclosures", "delivery_id", "name"),
        check("enclosures", "one_file", "(paper_file_id IS NULL) <> (evidence_file_id IS NULL)"),
    )
    index("enclosures", "delivery_id")
    op.execute(
        "INSERT INTO enclosures (delivery_id, name, paper_file_id) SELECT deliveries.id,"
        " '巡检报告-' || papers.number || '-v' || papers.version || '.pdf', paper_files.id"
        " FROM deliveries JOIN papers ON papers.id = deliveries.paper_id"
        " JOIN paper_files ON paper_files.paper_id = papers.id AND paper_files.kind = 'pdf'"
    )
