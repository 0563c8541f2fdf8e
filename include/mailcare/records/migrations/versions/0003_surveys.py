"""Surveys of customers' satisfaction, the calls made for them, and the answers."""

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

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

CASES = ("visit", "inspection", "fault", "remote_support")
STATES = ("asked", "reminded", "answered", "refused", "expired")
OUTCOMES = ("answered", "no_answer", "refused", "call_again")
QUESTIONS = ("satisfaction", "attitude", "skill", "effect")


def upgrade() -> None:
    create(
        "surveys",
        *reference("surveys", "customer_id", "customers"),
        column("system_id", sa.Integer(), nullable=True),
        *word("surveys", "case_kind", "surveycase", CASES),
        column("case_id", sa.Integer()),
        column("case_version", sa.Integer()),
        *(text(name) for name in ("subject", "description", "outcome")),
        moment("started_at"),
        moment("finished_at"),
        text("contact"),
        text("phone"),
        column("handled_by", sa.JSON()),
        moment("asked_at"),
        column("reminders", sa.Integer()),
        *word("surveys", "state", "surveystate", STATES),
        moment("state_changed_at"),
        sa.ForeignKeyConstraint(["system_id"], ["systems.id"], name="fk_surveys_system_id_systems"),
        unique("surveys", "case_kind", "case_id", "case_version"),
        check("surveys", "two_reminders_at_most", "reminders BETWEEN 0 AND 2"),
    )
    for name in ("customer_id", "system_id", "asked_at", "state"):
        index("surveys", name)
    create(
        "survey_calls",
        *reference("survey_calls", "survey_id", "surveys"),
        column("attempt", sa.Integer()),
        text("by"),
        moment("called_at"),
        *word("survey_calls", "outcome", "calloutcome", OUTCOMES),
        moment("call_again_at", nullable=True),
        text("best_hours"),
        text("note"),
        unique("survey_calls", "survey_id", "attempt"),
    )
    _create_answers()


def downgrade() -> None:
    for table in ("survey_answers", "survey_calls", "surveys"):
        op.drop_table(table)


def _create_answers() -> None:
    create(
        "survey_answers",
        *reference("survey_answers", "survey_id", "surveys"),
        *word("survey_answers", "way", "answerway", ("sheet", "call")),
        *(column(name, sa.Integer(), nullable=True) for name in QUESTIONS),
        text("comments"),
        text("answered_by"),
        moment("answered_at"),
        text("recorded_by"),
        moment("recorded_at"),
        column("evidence_file_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["evidence_file_id"],
            ["evidence_files.id"],
            name="fk_survey_answers_evidence_file_id_evidence_files",
        ),
        unique("survey_answers", "survey_id"),
        *(
            check("survey_answers", f"{name}_of_the_form", f"{name} BETWEEN 0 AND 5")
            for name in QUESTIONS
        ),
        check("survey_answers", "sheet_with_scan", "way = 'call' OR evidence_file_id IS NOT NULL"),
    )
