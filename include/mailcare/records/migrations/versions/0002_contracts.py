"""Contracts, year tables, business roles, audit; services that keep a contract's promises."""

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

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

KINDS = ("remote_inspection",)
MORE_KINDS = (*KINDS, "visit", "backup_verification", "review")
STATES = ("planned", "running", "done")
TABLES_CHILDREN_FIRST = (
    "notices",
    "entitlements",
    "covered_systems",
    "contract_versions",
    "contracts",
    "year_tables",
    "staff_roles",
    "evidence_files",
    "audit_entries",
)


def upgrade() -> None:
    _create_people()
    _create_year_tables()
    _create_contracts()
    _create_ledger()
    with op.batch_alter_table("customers") as customers:
        customers.add_column(sa.Column("version", sa.Integer(), server_default="1", nullable=False))
    with op.batch_alter_table("authorisations") as authorisations:
        authorisations.add_column(column("evidence_file_id", sa.Integer(), nullable=True))
        authorisations.create_foreign_key(
            "fk_authorisations_evidence_file_id_evidence_files",
            "evidence_files",
            ["evidence_file_id"],
            ["id"],
        )
    _hold_services_to(MORE_KINDS, (*STATES, "withdrawn"))
    with op.batch_alter_table("services") as services:
        services.add_column(
            sa.Column("is_provisional", sa.Boolean(), server_default=sa.false(), nullable=False)
        )
        services.add_column(column("contract_id", sa.Integer(), nullable=True))
        services.add_column(column("contract_year", sa.Integer(), nullable=True))
        services.create_index("ix_services_contract_id", ["contract_id"])
        services.create_foreign_key(
            "fk_services_contract_id_contracts", "contracts", ["contract_id"], ["id"]
        )


def downgrade() -> None:
    with op.batch_alter_table("services") as services:
        services.drop_constraint("fk_services_contract_id_contracts", type_="foreignkey")
        services.drop_index("ix_services_contract_id")
        for name in ("contract_year", "contract_id", "is_provisional"):
            services.drop_column(name)
    _hold_services_to(KINDS, STATES)
    with op.batch_alter_table("authorisations") as authorisations:
        authorisations.drop_constraint(
            "fk_authorisations_evidence_file_id_evidence_files", type_="foreignkey"
        )
        authorisations.drop_column("evidence_file_id")
    with op.batch_alter_table("customers") as customers:
        customers.drop_column("version")
    for table in TABLES_CHILDREN_FIRST:
        op.drop_table(table)


def _hold_services_to(kinds: tuple[str, ...], states: tuple[str, ...]) -> None:
    with op.batch_alter_table("services") as services:
        for name, kind, words in (
            ("kind", "servicekind", kinds),
            ("state", "servicestate", states),
        ):
            services.drop_constraint(op.f(f"ck_services_{kind}"), type_="check")
            listed = ", ".join(f"'{one}'" for one in words)
            services.create_check_constraint(op.f(f"ck_services_{kind}"), f"{name} IN ({listed})")


def _create_people() -> None:
    create(
        "audit_entries",
        moment("at"),
        text("by"),
        text("action"),
        text("subject"),
        column("before", sa.JSON(), nullable=True),
        column("after", sa.JSON(), nullable=True),
    )
    index("audit_entries", "at")
    index("audit_entries", "subject")
    create(
        "evidence_files",
        text("sha256"),
        text("name"),
        text("media_type"),
        column("size_bytes", sa.Integer()),
        column("body", sa.LargeBinary()),
        text("handed_in_by"),
        unique("evidence_files", "sha256"),
    )
    roles = ("engineer", "customer_service", "manager", "auditor")
    create(
        "staff_roles",
        text("login"),
        *word("staff_roles", "role", "role", roles),
        text("given_by"),
        unique("staff_roles", "login", "role"),
    )


def _create_year_tables() -> None:
    create(
        "year_tables",
        column("year", sa.Integer()),
        text("notice"),
        column("off", sa.JSON()),
        column("work", sa.JSON()),
        text("fingerprint"),
        *word("year_tables", "state", "tablestate", ("proposed", "confirmed", "replaced")),
        moment("state_changed_at"),
        text("loaded_by"),
        moment("loaded_at"),
        text("confirmed_by", nullable=True),
        moment("confirmed_at", nullable=True),
        check("year_tables", "second_person", "confirmed_by <> loaded_by"),
        check("year_tables", "confirmed_whole", "(confirmed_by IS NULL) = (confirmed_at IS NULL)"),
        check("year_tables", "confirmed_by_one", "state = 'proposed' OR confirmed_by IS NOT NULL"),
    )
    op.create_index(
        "ix_year_tables_one_in_force",
        "year_tables",
        ["year"],
        unique=True,
        sqlite_where=sa.text("state = 'confirmed'"),
        postgresql_where=sa.text("state = 'confirmed'"),
    )


def _create_contracts() -> None:
    create(
        "contracts",
        *reference("contracts", "customer_id", "customers"),
        text("number"),
        column("version", sa.Integer()),
        unique("contracts", "number"),
    )
    index("contracts", "customer_id")
    create(
        "contract_versions",
        *reference("contract_versions", "contract_id", "contracts"),
        column("version", sa.Integer()),
        column("starts_on", sa.Date()),
        column("ends_on", sa.Date()),
        column("remote_service", sa.Boolean()),
        column("visits_per_year", sa.Integer()),
        column("remote_cny", sa.Numeric(12, 2)),
        column("visit_cny", sa.Numeric(12, 2)),
        text("note"),
        text("recorded_by"),
        unique("contract_versions", "contract_id", "version"),
        check("contract_versions", "ends_after_start", "ends_on >= starts_on"),
        check("contract_versions", "visits_that_are_sold", "visits_per_year BETWEEN 0 AND 2"),
    )
    create(
        "covered_systems",
        *reference("covered_systems", "contract_version_id", "contract_versions"),
        *reference("covered_systems", "system_id", "systems"),
        unique("covered_systems", "contract_version_id", "system_id"),
    )
    index("covered_systems", "system_id")


def _create_ledger() -> None:
    reasons = ("bought", "planned", "used", "given_back")
    create(
        "entitlements",
        *reference("entitlements", "contract_id", "contracts"),
        column("contract_year", sa.Integer()),
        text("promise"),
        *word("entitlements", "reason", "entitlementreason", reasons),
        column("count", sa.Integer()),
        text("key"),
        text("note"),
        text("recorded_by"),
        unique("entitlements", "key"),
        check(
            "entitlements", "something_counted", "count > 0 OR (count = 0 AND reason = 'bought')"
        ),
    )
    index("entitlements", "contract_id")
    create(
        "notices",
        text("key"),
        text("kind"),
        column("contract_id", sa.Integer(), nullable=True),
        text("text"),
        column("raised_on", sa.Date()),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name="fk_notices_contract_id_contracts"
        ),
        unique("notices", "key"),
    )
    index("notices", "kind")
    index("notices", "contract_id")
