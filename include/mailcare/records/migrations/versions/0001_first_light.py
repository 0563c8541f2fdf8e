"""Customers, systems, authorisations; services and inspections; papers and deliveries."""

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

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

DELIVERY_STATES = ("pending", "sending", "sent", "refused", "uncertain")
TABLES_CHILDREN_FIRST = (
    "delivery_events",
    "deliveries",
    "paper_files",
    "papers",
    "findings",
    "judgements",
    "replies",
    "connections",
    "inspections",
    "services",
    "authorisations",
    "systems",
    "contacts",
    "customers",
)


def upgrade() -> None:
    _create_customers()
    _create_systems()
    _create_authorisations()
    _create_services()
    _create_inspections()
    _create_connections()
    _create_replies()
    _create_judgements()
    _create_findings()
    _create_papers()
    _create_deliveries()


def downgrade() -> None:
    with op.batch_alter_table("inspections") as inspections:
        inspections.drop_constraint(
            "fk_inspections_current_judgement_id_judgements", type_="foreignkey"
        )
    for table in TABLES_CHILDREN_FIRST:
        op.drop_table(table)


def _create_customers() -> None:
    create("customers", text("name"), unique("customers", "name"))
    create(
        "contacts",
        *reference("contacts", "customer_id", "customers"),
        text("name"),
        text("role"),
        text("email", nullable=True),
        text("phone", nullable=True),
        column("gets_papers", sa.Boolean()),
    )
    index("contacts", "customer_id")


def _create_systems() -> None:
    create(
        "systems",
        *reference("systems", "customer_id", "customers"),
        text("site"),
        text("title"),
        text("profile"),
        column("definition", sa.JSON()),
        moment("updated_at", server_default=sa.func.current_timestamp()),
        unique("systems", "site"),
    )
    index("systems", "customer_id")


def _create_authorisations() -> None:
    create(
        "authorisations",
        *reference("authorisations", "system_id", "systems"),
        text("fingerprint"),
        text("given_by"),
        moment("given_at"),
        text("how"),
        text("purpose"),
        column("nodes", sa.JSON()),
        moment("valid_from"),
        moment("valid_to"),
        text("evidence"),
        text("recorded_by"),
        moment("recorded_at", server_default=sa.func.current_timestamp()),
        moment("revoked_at", nullable=True),
        text("revoked_by", nullable=True),
        unique("authorisations", "fingerprint"),
        check("authorisations", "ends_after_start", "valid_to > valid_from"),
        check(
            "authorisations",
            "revoked_by_somebody",
            "(revoked_at IS NULL) = (revoked_by IS NULL)",
        ),
    )
    index("authorisations", "system_id")


def _create_services() -> None:
    create(
        "services",
        *reference("services", "system_id", "systems"),
        *word("services", "kind", "servicekind", ("remote_inspection",)),
        *word("services", "purpose", "servicepurpose", ("annual", "follow_up")),
        text("key"),
        column("due_on", sa.Date(), nullable=True),
        *word("services", "state", "servicestate", ("planned", "running", "done")),
        moment("state_changed_at"),
        unique("services", "key"),
    )
    index("services", "system_id")
    index("services", "state", "due_on")


def _create_inspections() -> None:
    create(
        "inspections",
        *reference("inspections", "service_id", "services"),
        moment("started_at"),
        moment("finished_at", nullable=True),
        column("definition", sa.JSON()),
        column("scope", sa.JSON()),
        text("bundle", nullable=True),
        column("current_judgement_id", sa.Integer(), nullable=True),
        unique("inspections", "service_id"),
    )


def _create_connections() -> None:
    create(
        "connections",
        *reference("connections", "inspection_id", "inspections"),
        *reference("connections", "authorisation_id", "authorisations"),
        text("node"),
        text("address"),
        text("login"),
        moment("connected_at"),
    )
    index("connections", "inspection_id")
    index("connections", "authorisation_id")


def _create_replies() -> None:
    create(
        "replies",
        *reference("replies", "inspection_id", "inspections"),
        text("ask_key"),
        column("attempt", sa.Integer()),
        text("node"),
        text("channel"),
        column("words", sa.JSON()),
        column("timeout_s", sa.Double()),
        column("sample", sa.Integer()),
        column("text", sa.LargeBinary(), nullable=True),
        column("exit_code", sa.Integer(), nullable=True),
        text("reason", nullable=True),
        column("permanent", sa.Boolean(), nullable=True),
        moment("taken_at"),
        text("source"),
        unique("replies", "inspection_id", "ask_key", "attempt"),
        check(
            "replies",
            "text_or_reason",
            "(text IS NULL) <> (reason IS NULL)"
            " AND (text IS NULL) = (exit_code IS NULL)"
            " AND (reason IS NULL) = (permanent IS NULL)",
        ),
    )


def _create_judgements() -> None:
    create(
        "judgements",
        *reference("judgements", "inspection_id", "inspections"),
        text("fingerprint"),
        moment("judged_at"),
        text("product_version"),
        unique("judgements", "inspection_id", "fingerprint"),
    )
    # Inspections and judgements name each other: the second reference comes when both are there.
    with op.batch_alter_table("inspections") as inspections:
        inspections.create_foreign_key(
            "fk_inspections_current_judgement_id_judgements",
            "judgements",
            ["current_judgement_id"],
            ["id"],
        )


def _create_findings() -> None:
    states = ("measured", "unmeasured", "not_applicable", "manual")
    severities = ("ok", "notice", "warning", "critical")
    create(
        "findings",
        *reference("findings", "judgement_id", "judgements"),
        column("ordinal", sa.Integer()),
        text("check_name"),
        text("area"),
        text("node"),
        column("port", sa.Integer()),
        text("part"),
        *word("findings", "state", "findingstate", states),
        *word("findings", "severity", "findingseverity", severities, nullable=True),
        text("summary"),
        text("advice"),
        text("reason", nullable=True),
        column("evidence", sa.JSON()),
        column("metrics", sa.JSON()),
        text("caused_by", nullable=True),
        unique("findings", "judgement_id", "ordinal"),
        check("findings", "severity_if_measured", "(state = 'measured') = (severity IS NOT NULL)"),
        check("findings", "reason_if_not_measured", "(state = 'measured') = (reason IS NULL)"),
    )


def _create_papers() -> None:
    create(
        "papers",
        *reference("papers", "system_id", "systems"),
        text("number"),
        column("version", sa.Integer()),
        text("template"),
        text("template_version"),
        column("content", sa.JSON()),
        text("fingerprint"),
        unique("papers", "number", "version"),
        unique("papers", "number", "fingerprint"),
        check("papers", "version_from_one", "version >= 1"),
    )
    index("papers", "system_id")
    create(
        "paper_files",
        *reference("paper_files", "paper_id", "papers"),
        *word("paper_files", "kind", "filekind", ("pdf", "html", "xlsx")),
        text("sha256"),
        column("size_bytes", sa.Integer()),
        column("body", sa.LargeBinary()),
        unique("paper_files", "paper_id", "kind"),
    )


def _create_deliveries() -> None:
    create(
        "deliveries",
        *reference("deliveries", "paper_id", "papers"),
        text("key"),
        *word("deliveries", "channel", "deliverychannel", ("smtp",)),
        text("recipient"),
        text("message_id"),
        *word("deliveries", "state", "deliverystate", DELIVERY_STATES),
        moment("state_changed_at"),
        column("attempts", sa.Integer()),
        text("last_reply", nullable=True),
        unique("deliveries", "key"),
        unique("deliveries", "message_id"),
    )
    index("deliveries", "paper_id")
    index("deliveries", "state", "state_changed_at")
    create(
        "delivery_events",
        *reference("delivery_events", "delivery_id", "deliveries"),
        moment("at"),
        *word("delivery_events", "state", "deliverystate", DELIVERY_STATES),
        text("detail"),
    )
    index("delivery_events", "delivery_id")
