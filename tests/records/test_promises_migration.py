"""Copies that were recorded before their promises had rows of their own get them."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from mailcare.backup.promises import write_promises
from mailcare.records.backups import (
    BackupEvidence,
    BackupLevel,
    BackupPromise,
    BackupVerdict,
    Verification,
)
from mailcare.records.schema import downgrade, upgrade
from mailcare.records.session import engine_for, reading, transaction
from mailcare.systems.backups import BackupCopy

BEFORE, PROMISES = "0016", "0017"
POLICY = {"L0": 1, "L1": 1, "L2": 1, "L3": 31, "L4": None, "L5": 90, "shards": 7}
BACKUPS: list[dict[str, Any]] = [
    {"name": "nightly", "kind": "tree", "policy": POLICY},
    {"name": "accounts", "kind": "sql", "policy": POLICY | {"L4": 7}},
]
CUSTOMER = "INSERT INTO customers (id, name) VALUES (1, '示例银行')"
SYSTEM = (
    "INSERT INTO systems (id, customer_id, site, title, profile, definition)"
    " VALUES (:id, 1, :site, '总行', 'generic', :definition)"
)


FIRST, SECOND = (datetime(2026, 11, day, 2, tzinfo=UTC) for day in (1, 2))


def test_what_recorded_sites_promise_becomes_rows(empty_database_url: str) -> None:
    upgrade(empty_database_url, BEFORE)
    engine = engine_for(empty_database_url)
    with transaction(engine) as session:
        session.execute(text(CUSTOMER))
        for number, definition in enumerate(({"backups": BACKUPS}, {"backups": []}, {}), start=1):
            row = {"id": number, "site": f"s{number}", "definition": json.dumps(definition)}
            session.execute(text(SYSTEM), row)
    upgrade(empty_database_url, PROMISES)
    with reading(engine) as session:
        rows = session.scalars(select(BackupPromise).order_by(BackupPromise.id)).all()
    assert {one.system_id for one in rows} == {1}
    assert [(one.copy_name, one.level, one.days) for one in rows] == [
        ("nightly", "L0", 1),
        ("nightly", "L1", 1),
        ("nightly", "L2", 1),
        ("nightly", "L3", 31),
        ("nightly", "L5", 90),
        ("accounts", "L0", 1),
        ("accounts", "L1", 1),
        ("accounts", "L4", 7),
    ]
    assert {(one.verdict, one.ran_at, one.overdue_at) for one in rows} == {(None, None, None)}
    downgrade(empty_database_url, BEFORE)
    upgrade(empty_database_url, PROMISES)
    engine.dispose()


def test_what_was_found_already_is_how_a_promise_stands(database_url: str) -> None:
    engine = engine_for(database_url)
    with transaction(engine) as session:
        session.execute(text(CUSTOMER))
        row = {"id": 1, "site": "s", "definition": json.dumps({"backups": BACKUPS[:1]})}
        session.execute(text(SYSTEM), row)
        for number, at in enumerate((FIRST, SECOND), start=1):
            session.add(
                Verification(
                    id=number, system_id=1, key=str(number), through="", copies=[],
                    definition={}, started_at=at,
                )
            )  # fmt: skip
            session.flush()
            session.add(_evidence(number, at))
    stand = {}
    with transaction(engine) as session:
        write_promises(session, 1, [BackupCopy.model_validate(BACKUPS[0] | {"path": "/srv"})])
        stand["written"] = _state(session)
    downgrade(database_url, BEFORE)
    upgrade(database_url)
    with reading(engine) as session:
        stand["migrated"] = _state(session)
    engine.dispose()
    assert stand["migrated"] == stand["written"] == {
        "L0": ("PASS", "", SECOND, SECOND, SECOND + timedelta(days=1)),
        "L1": ("FAIL", "bad", SECOND, SECOND, SECOND + timedelta(days=1)),
        "L2": ("NOT_RUN", "why", SECOND, FIRST, FIRST + timedelta(days=1)),
        "L3": ("NOT_RUN", "why", SECOND, None, FIRST + timedelta(days=31)),
        "L5": (None, "", None, None, FIRST + timedelta(days=90)),
    }  # fmt: skip


def _state(session: Session) -> dict[str, tuple[object, ...]]:
    rows = session.scalars(select(BackupPromise).order_by(BackupPromise.level))
    return {
        one.level: (one.verdict, one.reason, one.judged_at, one.ran_at, one.overdue_at)
        for one in rows
    }


def _evidence(number: int, at: datetime) -> BackupEvidence:
    first = (("L0", "g", "PASS", ""), ("L2", "g", "PASS", ""))
    second = (
        ("L0", "g", "PASS", ""),
        ("L1", "f", "FAIL", "bad"),
        ("L1", "g", "PASS", ""),
        ("L2", "", "NOT_RUN", "why"),
        ("L3", "", "NOT_RUN", "why"),
    )
    return BackupEvidence(
        verification_id=number, system_id=1, copy_name="nightly", sequence=number,
        previous=None if number == 1 else "1", statement='{"findings": []}',
        sha256=str(number), signature="", public_key="", verdict=BackupVerdict.PASS, finished_at=at,
        levels=[
            BackupLevel(
                system_id=1, copy_name="nightly", level=level, generation=generation,
                verdict=BackupVerdict(verdict), reason=reason, judged_at=at,
                expected=1, examined=int(verdict != "NOT_RUN"), ok=0, bad=0, unreadable=0,
                changed=0,
            )
            for level, generation, verdict, reason in (first, second)[number - 1]
        ],
    )  # fmt: skip
