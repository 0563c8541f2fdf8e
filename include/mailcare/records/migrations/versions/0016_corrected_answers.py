"""Answers of customers that were corrected: each version is kept, with the reason."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

ONE, EACH = "uq_survey_answers_survey_id", "uq_survey_answers_survey_id_version"


def upgrade() -> None:
    with op.batch_alter_table("survey_answers") as answers:
        answers.add_column(sa.Column("version", sa.Integer(), nullable=False, server_default="1"))
        answers.add_column(sa.Column("reason", sa.Text(), nullable=False, server_default=""))
        answers.drop_constraint(ONE, type_="unique")
        answers.create_unique_constraint(EACH, ["survey_id", "version"])
    with op.batch_alter_table("survey_answers") as answers:
        answers.alter_column("version", existing_type=sa.Integer(), server_default=None)
        answers.alter_column("reason", existing_type=sa.Text(), server_default=None)


def downgrade() -> None:
    op.execute(
        "DELETE FROM survey_answers WHERE EXISTS (SELECT 1 FROM survey_answers AS later"
        " WHERE later.survey_id = survey_answers.survey_id"
        " AND later.version > survey_answers.version)"
    )
    with op.batch_alter_table("survey_answers") as answers:
        answers.drop_constraint(EACH, type_="unique")
        answers.create_unique_constraint(ONE, ["survey_id"])
        answers.drop_column("reason")
        answers.drop_column("version")
