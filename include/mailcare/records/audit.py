"""Write down who changed what."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.orm import Session

from mailcare.records.people import AuditEntry


def note_change(
    session: Session,
    *,
    by: str,
    at: datetime,
    action: str,
    subject: str,
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
) -> None:
    """Add an audit entry in the transaction of the change itself; values are plain JSON."""
    session.add(
        AuditEntry(
            at=at,
            by=by,
            action=action,
            subject=subject,
            before=dict(before) if before is not None else None,
            after=dict(after) if after is not None else None,
        )
    )
