"""Write down that a service has used up what its contract entitles to."""

from sqlalchemy.orm import Session

from mailcare.records.changes import add_once
from mailcare.records.contracts import Entitlement, EntitlementReason
from mailcare.records.inspections import Service, ServiceKind

COUNTED = (ServiceKind.REMOTE_INSPECTION, ServiceKind.VISIT)  # what is sold by the number


def note_used(session: Session, service_id: int, *, by: str = "mailcare") -> None:
    """Add the ledger's line for a service that is done, once; a follow-up uses up nothing."""
    service = session.get_one(Service, service_id)
    if service.contract_id is None or service.kind not in COUNTED:
        return
    add_once(
        session,
        Entitlement,
        {
            "contract_id": service.contract_id,
            "contract_year": service.contract_year,
            "promise": str(service.kind),
            "reason": EntitlementReason.USED,
            "count": 1,
            "key": f"{service.key}/used",
            "note": "",
            "recorded_by": by,
        },
    )
