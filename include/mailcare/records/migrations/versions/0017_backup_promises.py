"""The levels of the copies that site files promise, as rows; those recorded already included."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from alembic import op

from mailcare.records.migrations.tables import (
    column,
    create,
    moment,
    reference,
    text,
    unique,
    word,
)

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

TABLE = "backup_promises"
VERDICTS = ("PASS", "FAIL", "DEGRADED", "NOT_RUN")
WORST_FIRST = ("FAIL", "DEGRADED", "NOT_RUN", "PASS")
USUAL = {"L0": 1, "L1": 1, "L2": 1, "L3": 31, "L4": 7, "L5": 31}
OF_MAIL = {"L2", "L3", "L5"}  # which a dump of the accounts is not verified by
SYSTEMS = sa.table("systems", sa.column("id", sa.Integer), sa.column("definition", sa.JSON))
MOMENT = sa.DateTime(timezone=True)
EVIDENCE = sa.table(
    "backup_evidence",
    sa.column("system_id"),
    sa.column("copy_name"),
    sa.column("sequence"),
    sa.column("finished_at", MOMENT),
)
LEVELS = sa.table(
    "backup_levels",
    *(sa.column(name) for name in ("evidence_id", "system_id", "copy_name", "level", "examined")),
    *(sa.column(name) for name in ("verdict", "reason")),
    sa.column("judged_at", MOMENT),
)


def upgrade() -> None:
    create(
        TABLE,
        *reference(TABLE, "system_id", "systems"),
        text("copy_name"),
        text("level"),
        column("days", sa.Integer()),
        *word(TABLE, "verdict", "backupverdict", VERDICTS, nullable=True),
        text("reason"),
        *(moment(name, nullable=True) for name in ("judged_at", "ran_at", "overdue_at")),
        unique(TABLE, "system_id", "copy_name", "level"),
    )
    promises = sa.Table(TABLE, sa.MetaData(), autoload_with=op.get_bind())
    for system, definition in op.get_bind().execute(sa.select(SYSTEMS)).all():
        for copy in definition.get("backups", ()):
            for promised in _promised(system, copy):
                op.execute(promises.insert().values(promised | _stands(promised)))


def _promised(system: int, copy: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    is_of_mail = copy["kind"] not in ("sql", "ldif")
    for level, usual in USUAL.items():
        days = copy.get("policy", {}).get(level, usual)
        if days is not None and (is_of_mail or level not in OF_MAIL):
            yield {"system_id": system, "copy_name": copy["name"], "level": level, "days": days}


def _stands(promised: Mapping[str, Any]) -> dict[str, Any]:
    last, ran = _last(promised), _last(promised, LEVELS.c.examined > 0)
    known_at = op.get_bind().scalar(
        sa.select(EVIDENCE.c.finished_at).where(
            EVIDENCE.c.system_id == promised["system_id"],
            EVIDENCE.c.copy_name == promised["copy_name"],
            EVIDENCE.c.sequence == 1,
        )
    )
    waits_since = ran.judged_at if ran else known_at
    said = last._asdict() if last else {"reason": ""}
    return said | {
        "ran_at": ran.judged_at if ran else None,
        "overdue_at": waits_since + timedelta(days=promised["days"]) if waits_since else None,
    }


def _last(promised: Mapping[str, Any], *wanted: sa.ColumnElement[bool]) -> Any:  # noqa: ANN401
    of_it = (LEVELS.c[name] == promised[name] for name in ("system_id", "copy_name", "level"))
    worst = sa.case(*((LEVELS.c.verdict == one, rank) for rank, one in enumerate(WORST_FIRST)))
    return (
        op.get_bind()
        .execute(
            sa.select(LEVELS.c.verdict, LEVELS.c.reason, LEVELS.c.judged_at)
            .where(*of_it, *wanted)
            .order_by(LEVELS.c.evidence_id.desc(), worst)
            .limit(1)
        )
        .first()
    )


def downgrade() -> None:
    op.drop_table(TABLE)
