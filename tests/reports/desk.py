"""A handled fault at a desk with an engineer and two managers: what reports start from."""

from datetime import UTC, datetime

import time_machine
from sqlalchemy import select

from mailcare.contracts.forms import read_form
from mailcare.intake.steps import receive
from mailcare.records.deliveries import Delivery
from mailcare.records.received import MailState, ReceivedMail
from mailcare.records.session import reading, transaction
from mailcare.reports import steps
from mailcare.reports.forms import ReportForm
from mailcare.staff.steps import Role, grant_role
from tests.contracts import desk
from tests.faults.desk import declared, happened
from tests.faults.story import at

CONTACT = {"name": "王示例", "email": "wang@shili-bank.example", "gets_papers": True}
WRITTEN = {
    "method": "清理 /var/mail 并重启服务",
    "degree": "已彻底解决",
    "lessons": "增加容量告警",
    "occurred_at": "2026-03-02T08:40",
}
HANDLED = (
    "2026-03-02 09:05 accepted",
    "2026-03-02 09:06 contact phone",
    "2026-03-02 11:00 handled fix",
)
WHEN = at("2026-03-02 12:00")


def open_desk(*contacts: dict) -> None:
    desk.add_system(desk.add_customer(contacts=list(contacts or (CONTACT,))))
    desk.add_contract()
    grant_role("zhou", Role.ENGINEER, by="test")
    for login in ("boss", "zhou"):  # zhou may review as well, but not what zhou wrote
        grant_role(login, Role.MANAGER, by="test")


def handled(*more: str) -> int:
    """Return a fault that was handled."""
    fault = declared("P1", "2026-03-02 09:00")
    happened(fault, *HANDLED, *more)
    return fault


def form(**changes: str) -> ReportForm:
    return read_form(ReportForm, WRITTEN | changes)


def submitted(fault: int, **changes: str) -> int:
    """Return a report that waits for its review."""
    report = steps.open_report(fault, by="zhou", at=WHEN)
    seen = steps.report_detail(report).version
    steps.submit_report(report, form(**changes), seen=seen, by="zhou", at=WHEN)
    return report


def approve(report: int, *, by: str = "boss") -> bool:
    seen = version(report)
    return steps.approve_report(report, seen=seen, by=by, via="console", at=datetime.now(UTC))


def version(report: int) -> int:
    return steps.report_detail(report).version


def state(report: int) -> str:
    return str(steps.report_detail(report).row.state)


def letters(report: int) -> list[Delivery]:
    of_report = select(Delivery).where(
        Delivery.key.startswith(f"report/{report}/"), Delivery.paper_id.is_not(None)
    )
    with reading() as session:
        return list(session.scalars(of_report.order_by(Delivery.id)))


def mark_sent(report: int, when: datetime, *, to: str = "") -> None:
    """Let every letter of a report, or one recipient's, be taken by the server."""
    from mailcare.delivery import progress
    from mailcare.records.deliveries import DeliveryState

    for one in (row for row in letters(report) if to in ("", row.recipient)):
        with transaction() as session:
            progress.change(
                session, one.id, DeliveryState.PENDING, DeliveryState.SENDING, detail="", at=when
            )
        with transaction() as session:
            progress.settle(session, one.id, DeliveryState.SENT, detail="250 Ok", at=when)


def bounced(letter: Delivery, when: datetime, *, number: int = 1) -> None:
    """Receive the delivery report that says that a letter was not delivered."""
    raw = (
        "Content-Type: multipart/report; boundary=x\r\n"
        f"Message-ID: <{number}.{letter.id}@mx>\r\n\r\n"
        "--x\r\nContent-Type: message/delivery-status\r\n\r\nAction: failed\r\n\r\n"
        f"--x\r\nContent-Type: message/rfc822\r\n\r\nMessage-ID: {letter.message_id}\r\n\r\n--x--"
    )
    row = ReceivedMail(
        key=f"{number}.{letter.id}", sender="", subject="Undelivered", text="", received_at=when,
        size_bytes=len(raw), is_cut=False, raw=raw.encode(), state=MailState.RECEIVED,
        state_changed_at=when,
    )  # fmt: skip
    with transaction() as session:
        session.add(row)
    with time_machine.travel(when, tick=False):
        receive()
