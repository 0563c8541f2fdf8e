"""Customers, systems, authorisations; services and inspections; papers and deliveries."""

from typing import Any

import sqlalchemy as sa
from alembic import op

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
    _create("customers", _text("name"), _unique("customers", "name"))
    _create(
        "contacts",
        *_reference("contacts", "customer_id", "customers"),
        _text("name"),
        _text("role"),
        _text("email", nullable=True),
        _text("phone", nullable=True),
        _column("gets_papers", sa.Boolean()),
    )
    _index("contacts", "customer_id")


def _create_systems() -> None:
    _create(
        "systems",
        *_reference("systems", "customer_id", "customers"),
        _text("site"),
        _text("title"),
        _text("profile"),
        _column("definition", sa.JSON()),
        _moment("updated_at", server_default=sa.func.current_timestamp()),
        _unique("systems", "site"),
    )
    _index("systems", "customer_id")


def _create_authorisations() -> None:
    _create(
        "authorisations",
        *_reference("authorisations", "system_id", "systems"),
        _text("fingerprint"),
        _text("given_by"),
        _moment("given_at"),
        _text("how"),
        _text("purpose"),
        _column("nodes", sa.JSON()),
        _moment("valid_from"),
        _moment("valid_to"),
        _text("evidence"),
        _text("recorded_by"),
        _moment("recorded_at", server_default=sa.func.current_timestamp()),
        _moment("revoked_at", nullable=True),
        _text("revoked_by", nullable=True),
        _unique("authorisations", "fingerprint"),
        _check("authorisations", "ends_after_start", "valid_to > valid_from"),
        _check(
            "authorisations",
            "revoked_by_somebody",
            "(revoked_at IS NULL) = (revoked_by IS NULL)",
        ),
    )
    _index("authorisations", "system_id")


def _create_services() -> None:
    _create(
        "services",
        *_reference("services", "system_id", "systems"),
        *_word("services", "kind", "servicekind", ("remote_inspection",)),
        *_word("services", "purpose", "servicepurpose", ("annual", "follow_up")),
        _text("key"),
        _column("due_on", sa.Date(), nullable=True),
        *_word("services", "state", "servicestate", ("planned", "running", "done")),
        _moment("state_changed_at"),
        _unique("services", "key"),
    )
    _index("services", "system_id")
    _index("services", "state", "due_on")


def _create_inspections() -> None:
    _create(
        "inspections",
        *_reference("inspections", "service_id", "services"),
        _moment("started_at"),
        _moment("finished_at", nullable=True),
        _column("definition", sa.JSON()),
        _column("scope", sa.JSON()),
        _text("bundle", nullable=True),
        _column("current_judgement_id", sa.Integer(), nullable=True),
        _unique("inspections", "service_id"),
    )


def _create_connections() -> None:
    _create(
        "connections",
        *_reference("connections", "inspection_id", "inspections"),
        *_reference("connections", "authorisation_id", "authorisations"),
        _text("node"),
        _text("address"),
        _text("login"),
        _moment("connected_at"),
    )
    _index("connections", "inspection_id")
    _index("connections", "authorisation_id")


def _create_replies() -> None:
    _create(
        "replies",
        *_reference("replies", "inspection_id", "inspections"),
        _text("ask_key"),
        _column("attempt", sa.Integer()),
        _text("node"),
        _text("channel"),
        _column("words", sa.JSON()),
        _column("timeout_s", sa.Double()),
        _column("sample", sa.Integer()),
        _column("text", sa.LargeBinary(), nullable=True),
        _column("exit_code", sa.Integer(), nullable=True),
        _text("reason", nullable=True),
        _column("permanent", sa.Boolean(), nullable=True),
        _moment("taken_at"),
        _text("source"),
        _unique("replies", "inspection_id", "ask_key", "attempt"),
        _check(
            "replies",
            "text_or_reason",
            "(text IS NULL) <> (reason IS NULL)"
            " AND (text IS NULL) = (exit_code IS NULL)"
            " AND (reason IS NULL) = (permanent IS NULL)",
        ),
    )


def _create_judgements() -> None:
    _create(
        "judgements",
        *_reference("judgements", "inspection_id", "inspections"),
        _text("fingerprint"),
        _moment("judged_at"),
        _text("product_version"),
        _unique("judgements", "inspection_id", "fingerprint"),
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
    _create(
        "findings",
        *_reference("findings", "judgement_id", "judgements"),
        _column("ordinal", sa.Integer()),
        _text("check_name"),
        _text("area"),
        _text("node"),
        _column("port", sa.Integer()),
        _text("part"),
        *_word("findings", "state", "findingstate", states),
        *_word("findings", "severity", "findingseverity", severities, nullable=True),
        _text("summary"),
        _text("advice"),
        _text("reason", nullable=True),
        _column("evidence", sa.JSON()),
        _column("metrics", sa.JSON()),
        _text("caused_by", nullable=True),
        _unique("findings", "judgement_id", "ordinal"),
        _check("findings", "severity_if_measured", "(state = 'measured') = (severity IS NOT NULL)"),
        _check("findings", "reason_if_not_measured", "(state = 'measured') = (reason IS NULL)"),
    )


def _create_papers() -> None:
    _create(
        "papers",
        *_reference("papers", "system_id", "systems"),
        _text("number"),
        _column("version", sa.Integer()),
        _text("template"),
        _text("template_version"),
        _column("content", sa.JSON()),
        _text("fingerprint"),
        _unique("papers", "number", "version"),
        _unique("papers", "number", "fingerprint"),
        _check("papers", "version_from_one", "version >= 1"),
    )
    _index("papers", "system_id")
    _create(
        "paper_files",
        *_reference("paper_files", "paper_id", "papers"),
        *_word("paper_files", "kind", "filekind", ("pdf", "html", "xlsx")),
        _text("sha256"),
        _column("size_bytes", sa.Integer()),
        _column("body", sa.LargeBinary()),
        _unique("paper_files", "paper_id", "kind"),
    )


def _create_deliveries() -> None:
    _create(
        "deliveries",
        *_reference("deliveries", "paper_id", "papers"),
        _text("key"),
        *_word("deliveries", "channel", "deliverychannel", ("smtp",)),
        _text("recipient"),
        _text("message_id"),
        *_word("deliveries", "state", "deliverystate", DELIVERY_STATES),
        _moment("state_changed_at"),
        _column("attempts", sa.Integer()),
        _text("last_reply", nullable=True),
        _unique("deliveries", "key"),
        _unique("deliveries", "message_id"),
    )
    _index("deliveries", "paper_id")
    _index("deliveries", "state", "state_changed_at")
    _create(
        "delivery_events",
        *_reference("delivery_events", "delivery_id", "deliveries"),
        _moment("at"),
        *_word("delivery_events", "state", "deliverystate", DELIVERY_STATES),
        _text("detail"),
    )
    _index("delivery_events", "delivery_id")


def _create(table: str, *items: sa.schema.SchemaItem) -> None:
    op.create_table(
        table,
        sa.Column("id", sa.Integer(), nullable=False),
        _moment("created_at", server_default=sa.func.current_timestamp()),
        *items,
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
    )


def _index(table: str, *columns: str) -> None:
    op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns))


def _column(
    name: str, type_: sa.types.TypeEngine[Any], *, nullable: bool = False
) -> sa.Column[Any]:
    return sa.Column(name, type_, nullable=nullable)


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _moment(
    name: str, *, nullable: bool = False, server_default: sa.ColumnElement[Any] | None = None
) -> sa.Column[Any]:
    return sa.Column(
        name, sa.DateTime(timezone=True), nullable=nullable, server_default=server_default
    )


def _word(
    table: str, name: str, kind: str, words: tuple[str, ...], *, nullable: bool = False
) -> tuple[sa.Column[str], sa.CheckConstraint]:
    listed = ", ".join(f"'{word}'" for word in words)
    return (
        sa.Column(name, sa.String(32), nullable=nullable),
        _check(table, kind, f"{name} IN ({listed})"),
    )


def _reference(
    table: str, column: str, parent: str
) -> tuple[sa.Column[int], sa.ForeignKeyConstraint]:
    return (
        sa.Column(column, sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint([column], [f"{parent}.id"], name=f"fk_{table}_{column}_{parent}"),
    )


def _unique(table: str, *columns: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(*columns, name=f"uq_{table}_{'_'.join(columns)}")


def _check(table: str, name: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(f"ck_{table}_{name}"))
