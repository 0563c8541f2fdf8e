"""Judge an inspection's replies and close it, in the caller's transaction."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailcare import VERSION
from mailcare.errors import MailcareError
from mailcare.inspection.check import Answer, Ask
from mailcare.inspection.judging import judge_answers
from mailcare.inspection.outcome import by_urgency
from mailcare.inspection.planning import Plan
from mailcare.inspection.storing import finding_row
from mailcare.records import inspections
from mailcare.records.changes import add_once, move
from mailcare.records.inspections import ServiceState
from mailcare.records.ledger import note_used

Rows = Sequence[dict[str, Any]]


def judged(plan: Plan, answers: Mapping[Ask, Answer], *, subject: str) -> Rows:
    """Return the findings' rows, the most urgent first; `MailcareError` where nobody answered."""
    if not answers:
        raise MailcareError("没有采集到任何回复，不作判断", subject=subject)
    return [finding_row(result) for result in by_urgency(judge_answers(plan, answers))]


def add_judgement(session: Session, inspection: int, rows: Rows, *, at: datetime) -> int:
    """Return the judgement that holds these findings, kept where it is new."""
    fingerprint = hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()
    values = {
        "inspection_id": inspection,
        "fingerprint": fingerprint,
        "judged_at": at,
        "product_version": VERSION,
    }
    judgement = add_once(session, inspections.Judgement, values)
    if judgement is None:
        return _judgement(session, inspection, fingerprint)
    session.add_all(
        inspections.Finding(judgement_id=judgement, ordinal=ordinal, **row)
        for ordinal, row in enumerate(rows)
    )
    return judgement


def _judgement(session: Session, inspection: int, fingerprint: str) -> int:
    return session.scalars(
        select(inspections.Judgement.id).where(
            inspections.Judgement.inspection_id == inspection,
            inspections.Judgement.fingerprint == fingerprint,
        )
    ).one()


def close(session: Session, judgement: int, *, at: datetime) -> int:
    """Make a judgement the one that papers show, close the inspection and return its id."""
    inspection = session.get_one(
        inspections.Inspection, session.get_one(inspections.Judgement, judgement).inspection_id
    )
    inspection.current_judgement_id = judgement
    finished_at = inspection.finished_at or at
    inspection.finished_at = finished_at
    move(
        session,
        inspections.Service,
        inspection.service_id,
        from_state=ServiceState.RUNNING,
        to_state=ServiceState.DONE,
        at=finished_at,
    )
    note_used(session, inspection.service_id)
    return inspection.id
