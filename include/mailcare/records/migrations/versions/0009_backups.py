"""Verifications of backups: runs, signed evidence, verdicts by level, connections."""

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

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

VERDICTS = ("PASS", "FAIL", "DEGRADED", "NOT_RUN")
COUNTS = ("expected", "examined", "ok", "bad", "unreadable", "changed")
TABLES_CHILDREN_FIRST = ("backup_connections", "backup_levels", "backup_evidence", "verifications")


def upgrade() -> None:
    create(
        "verifications",
        *reference("verifications", "system_id", "systems"),
        column("service_id", sa.Integer(), nullable=True),
        text("key"),
        text("through"),
        column("copies", sa.JSON()),
        sa.Column("is_routine", sa.Boolean(), server_default=sa.false(), nullable=False),
        column("definition", sa.JSON()),
        moment("started_at"),
        moment("finished_at", nullable=True),
        sa.ForeignKeyConstraint(
            ["service_id"], ["services.id"], name="fk_verifications_service_id_services"
        ),
        unique("verifications", "service_id"),
        unique("verifications", "key"),
    )
    index("verifications", "system_id")
    _create_evidence()
    create(
        "backup_connections",
        *reference("backup_connections", "verification_id", "verifications"),
        *reference("backup_connections", "authorisation_id", "authorisations"),
        *(text(name) for name in ("node", "address", "login")),
        moment("connected_at"),
    )
    index("backup_connections", "verification_id")
    index("backup_connections", "authorisation_id")


def downgrade() -> None:
    for table in TABLES_CHILDREN_FIRST:
        op.drop_table(table)


def _create_evidence() -> None:
    create(
        "backup_evidence",
        *reference("backup_evidence", "verification_id", "verifications"),
        *reference("backup_evidence", "system_id", "systems"),
        text("copy_name"),
        column("sequence", sa.Integer()),
        text("previous", nullable=True),
        column("statement", sa.LargeBinary()),
        *(text(name) for name in ("sha256", "signature", "public_key")),
        *word("backup_evidence", "verdict", "backupverdict", VERDICTS),
        moment("finished_at"),
        unique("backup_evidence", "system_id", "copy_name", "sequence"),
        unique("backup_evidence", "verification_id", "copy_name"),
        unique("backup_evidence", "sha256"),
        check("backup_evidence", "sequence_from_one", "sequence >= 1"),
        check("backup_evidence", "chained", "(sequence = 1) = (previous IS NULL)"),
    )
    create(
        "backup_levels",
        *reference("backup_levels", "evidence_id", "backup_evidence"),
        *reference("backup_levels", "system_id", "systems"),
        *(text(name) for name in ("copy_name", "level", "generation")),
        *word("backup_levels", "verdict", "backupverdict", VERDICTS),
        text("reason"),
        *(column(name, sa.Integer()) for name in COUNTS),
        moment("judged_at"),
        unique("backup_levels", "evidence_id", "level", "generation"),
    )
    index("backup_levels", "system_id", "copy_name", "level")
