"""Faults: events, notes and files, clocks, breaches, escalations, the last sweep."""

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

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

LEVELS = ("P1", "P2", "P3", "P4")
CLOCKS = ("response", "resolution", "report")
TABLES_CHILDREN_FIRST = (
    "sweeps",
    "escalations",
    "fault_due_changes",
    "fault_breaches",
    "fault_clocks",
    "fault_inspections",
    "fault_files",
    "fault_notes",
    "fault_events",
    "faults",
)


def upgrade() -> None:
    _create_faults()
    _create_events()
    _create_notes()
    _create_clocks()
    _create_breaches()
    _create_ladder()


def downgrade() -> None:
    for table in TABLES_CHILDREN_FIRST:
        op.drop_table(table)


def _create_faults() -> None:
    ways = ("phone", "email", "chat", "onsite", "program")
    states = (
        "declared", "accepted", "paused", "handled", "reported", "signed", "cancelled", "merged",
    )  # fmt: skip
    create(
        "faults",
        text("number"),
        text("key"),
        *reference("faults", "customer_id", "customers"),
        *optional_reference("faults", "system_id", "systems"),
        *optional_reference("faults", "contract_version_id", "contract_versions"),
        *optional_reference("faults", "follows_id", "faults"),
        text("place"),
        text("contact"),
        text("contact_details"),
        text("description"),
        *word("faults", "declared_via", "faultvia", ways),
        moment("declared_at"),
        *word("faults", "level", "level", LEVELS),
        *word("faults", "state", "faultstate", states),
        column("event_count", sa.Integer()),
        unique("faults", "number"),
        unique("faults", "key"),
    )
    index("faults", "customer_id")
    index("faults", "system_id")
    index("faults", "declared_at")
    index("faults", "state", "level")


def _create_events() -> None:
    types = (
        "declared", "accepted", "first_contact", "paused", "resumed", "level_changed", "handled",
        "reopened", "report_sent", "signed", "cancelled", "merged",
    )  # fmt: skip
    create(
        "fault_events",
        *reference("fault_events", "fault_id", "faults"),
        column("ordinal", sa.Integer()),
        text("key", nullable=True),
        *word("fault_events", "type", "faulteventtype", types),
        moment("at"),
        column("payload", sa.JSON()),
        *optional_reference("fault_events", "authorisation_id", "authorisations"),
        text("recorded_by"),
        moment("recorded_at"),
        unique("fault_events", "fault_id", "ordinal"),
        unique("fault_events", "key"),
    )


def _create_notes() -> None:
    create(
        "fault_notes",
        *reference("fault_notes", "fault_id", "faults"),
        text("key"),
        text("text"),
        moment("at"),
        text("recorded_by"),
        moment("recorded_at"),
        unique("fault_notes", "key"),
    )
    index("fault_notes", "fault_id")
    create(
        "fault_files",
        *reference("fault_files", "fault_id", "faults"),
        *optional_reference("fault_files", "event_id", "fault_events"),
        *optional_reference("fault_files", "note_id", "fault_notes"),
        *reference("fault_files", "evidence_file_id", "evidence_files"),
        text("name"),
        check("fault_files", "of_event_or_note", "(event_id IS NULL) <> (note_id IS NULL)"),
    )
    index("fault_files", "fault_id")
    create(
        "fault_inspections",
        *reference("fault_inspections", "fault_id", "faults"),
        text("run"),
        text("asked_by"),
        moment("asked_at"),
        unique("fault_inspections", "run"),
    )
    index("fault_inspections", "fault_id")


def _create_clocks() -> None:
    states = ("running", "held", "met", "late", "superseded", "cancelled")
    create(
        "fault_clocks",
        *_epoch("fault_clocks"),
        *word("fault_clocks", "level", "level", LEVELS),
        moment("started_at"),
        moment("due_at", nullable=True),
        moment("earliest_due_at", nullable=True),
        column("is_soft", sa.Boolean()),
        column("is_provisional", sa.Boolean()),
        moment("stopped_at", nullable=True),
        moment("breached_at", nullable=True),
        *word("fault_clocks", "state", "clockstate", states),
        moment("next_warning_at", nullable=True),
        text("calendar_key"),
        unique("fault_clocks", "fault_id", "clock", "epoch"),
    )
    index("fault_clocks", "state", "due_at")
    index("fault_clocks", "clock", "state", "calendar_key")
    index("fault_clocks", "next_warning_at")


def _create_breaches() -> None:
    create(
        "fault_breaches",
        *_epoch("fault_breaches"),
        *word("fault_breaches", "level", "level", LEVELS),
        column("is_soft", sa.Boolean()),
        moment("breached_at"),
        moment("found_at"),
        unique("fault_breaches", "fault_id", "clock", "epoch"),
    )
    index("fault_breaches", "breached_at")
    create(
        "fault_due_changes",
        *_epoch("fault_due_changes"),
        moment("due_before_at"),
        moment("due_after_at"),
        moment("found_at"),
    )
    index("fault_due_changes", "fault_id")


def _create_ladder() -> None:
    create(
        "escalations",
        *_epoch("escalations"),
        column("step", sa.Integer()),
        text("rung"),
        *word("escalations", "outcome", "escalationoutcome", ("told", "skipped")),
        moment("reached_at"),
        moment("found_at"),
        unique("escalations", "fault_id", "clock", "step", "epoch"),
    )
    create(
        "sweeps",
        moment("swept_at"),
        column("told", sa.Integer()),
        column("broken", sa.Integer()),
        check("sweeps", "one_row", "id = 1"),
    )


def _epoch(table: str) -> tuple[sa.schema.SchemaItem, ...]:
    return (
        *reference(table, "fault_id", "faults"),
        *word(table, "clock", "clockkind", CLOCKS),
        column("epoch", sa.Integer()),
    )
