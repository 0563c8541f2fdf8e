"""Rows that the tests of the records start from."""

from datetime import UTC, date, datetime, timedelta

from sqlalchemy.orm import Session

from mailcare.records.customers import Authorisation, Contact, Customer, System
from mailcare.records.inspections import (
    Inspection,
    Reply,
    Service,
    ServiceKind,
    ServicePurpose,
    ServiceState,
)

NOW = datetime(2026, 3, 2, 1, 30, tzinfo=UTC)


def add_system(session: Session, *, site: str = "shili-bank") -> int:
    contact = Contact(name="王工", role="管理员", email="wang@shili-bank.example", gets_papers=True)
    customer = Customer(name=f"示例银行 {site}", contacts=[contact])
    session.add(customer)
    session.flush()
    definition: dict[str, object] = {"schema": 1, "customer": {"name": "示例银行"}}
    system = System(
        customer_id=customer.id,
        site=site,
        title="企业邮件系统",
        profile="generic",
        definition=definition,
    )
    session.add(system)
    session.flush()
    return system.id


def add_authorisation(session: Session, *, valid_to: datetime = NOW + timedelta(days=7)) -> int:
    row = Authorisation(
        system_id=add_system(session),
        fingerprint="f1",
        given_by="王工",
        given_at=NOW,
        how="email",
        purpose="年度巡检",
        nodes=["mx1", "bak1"],
        valid_from=NOW,
        valid_to=valid_to,
        evidence="邮件 2026-03-01",
        recorded_by="lee",
    )
    session.add(row)
    session.flush()
    return row.id


def add_service(session: Session) -> int:
    row = Service(
        system_id=add_system(session),
        kind=ServiceKind.REMOTE_INSPECTION,
        purpose=ServicePurpose.ANNUAL,
        key="2026/shili-bank",
        due_on=date(2026, 3, 31),
        state=ServiceState.PLANNED,
        state_changed_at=NOW,
    )
    session.add(row)
    session.flush()
    return row.id


def add_inspection(session: Session) -> int:
    row = Inspection(
        service_id=add_service(session), started_at=NOW, definition={"schema": 1}, scope=[]
    )
    session.add(row)
    session.flush()
    return row.id


def reply(inspection_id: int, **changes: object) -> Reply:
    values: dict[str, object] = {
        "inspection_id": inspection_id,
        "ask_key": "k1",
        "attempt": 1,
        "node": "mx1",
        "channel": "ssh",
        "words": ["df", "-P"],
        "timeout_s": 10.0,
        "sample": 1,
        "text": "ok\n",
        "exit_code": 0,
        "taken_at": NOW,
        "source": "ssh://mx1",
    }
    return Reply(**(values | changes))
