"""Papers about a customer or the whole desk; signed files and what customers sent back."""

import sqlalchemy as sa
from alembic import op

from mailcare.records.migrations.tables import (
    column,
    create,
    moment,
    reference,
    text,
    unique,
)

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

KINDS = ("pdf", "html", "xlsx")


def upgrade() -> None:
    with op.batch_alter_table("papers") as papers:
        papers.alter_column("system_id", existing_type=sa.Integer(), nullable=True)
        papers.add_column(column("customer_id", sa.Integer(), nullable=True))
        papers.create_index("ix_papers_customer_id", ["customer_id"])
        papers.create_foreign_key(
            "fk_papers_customer_id_customers", "customers", ["customer_id"], ["id"]
        )
    op.execute(
        "UPDATE papers SET customer_id ="
        " (SELECT systems.customer_id FROM systems WHERE systems.id = papers.system_id)"
    )
    _hold_files_to((*KINDS, "signed"))
    create(
        "signed_returns",
        *reference("signed_returns", "paper_id", "papers"),
        *reference("signed_returns", "evidence_file_id", "evidence_files"),
        text("signer"),
        column("signed_on", sa.Date()),
        text("recorded_by"),
        moment("recorded_at"),
        unique("signed_returns", "paper_id", "evidence_file_id"),
    )


def downgrade() -> None:
    op.drop_table("signed_returns")
    op.execute("DELETE FROM paper_files WHERE kind = 'signed'")
    _hold_files_to(KINDS)
    with op.batch_alter_table("papers") as papers:
        papers.drop_constraint("fk_papers_customer_id_customers", type_="foreignkey")
        papers.drop_index("ix_papers_customer_id")
        papers.drop_column("customer_id")
        papers.alter_column("system_id", existing_type=sa.Integer(), nullable=False)


def _hold_files_to(kinds: tuple[str, ...]) -> None:
    name = op.f("ck_paper_files_filekind")
    with op.batch_alter_table("paper_files") as files:
        files.drop_constraint(name, type_="check")
        listed = ", ".join(f"'{one}'" for one in kinds)
        files.create_check_constraint(name, f"kind IN ({listed})")
