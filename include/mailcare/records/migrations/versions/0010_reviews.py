"""The yearly reviews that were asked for."""

import sqlalchemy as sa
from alembic import op

from mailcare.records.migrations.tables import check, column, create, index, moment, text, unique

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create(
        "reviews",
        text("key"),
        column("contract_id", sa.Integer(), nullable=True),
        column("contract_year", sa.Integer(), nullable=True),
        column("first_on", sa.Date()),
        column("last_on", sa.Date()),
        text("opened_by"),
        moment("opened_at"),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name="fk_reviews_contract_id_contracts"
        ),
        unique("reviews", "key"),
        check(
            "reviews",
            "contract_with_its_year",
            "(contract_id IS NULL) = (contract_year IS NULL)",
        ),
    )
    index("reviews", "contract_id")


def downgrade() -> None:
    op.drop_table("reviews")
