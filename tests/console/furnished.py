"""A console with something on every page: what the sweeps over all its pages look at."""

from datetime import UTC, date, datetime
from pathlib import Path

from fastapi import FastAPI
from fastapi.testclient import TestClient

from mailcare.clock import utc_now
from mailcare.contracts.forms import read_form
from mailcare.contracts.steps import plan_due
from mailcare.delivery.outbox import Draft, post
from mailcare.faults.steps import BreachReasonForm, add_breach_reason, sweep
from mailcare.inspection import steps as inspection
from mailcare.records.deliveries import DeliveryChannel
from mailcare.records.received import MailState, ReceivedMail
from mailcare.records.session import transaction
from tests.console.servers import SITE_NAME
from tests.faults.desk import declared, happened
from tests.surveys import desk as surveys
from tests.visits import desk as visits

NOW = "2026-11-30T10:00:00+08:00"  # a Monday; the holidays of 2027 are not published
VALUES = {
    **dict.fromkeys(("service", "fault", "customer", "system", "authorisation", "paper"), "1"),
    **dict.fromkeys(("delivery", "survey", "member", "robot", "mail", "report", "day"), "1"),
    **dict.fromkeys(("duty", "review", "evidence", "file", "returned"), "1"),
    "number": "XC-2026-00003",
    "kind": "pdf",
    "copy": "nightly",
}
MEMBER = {
    "name": "张示例",
    "login": "engineer",
    "email": "zhang@vendor.example",
    "rung": "engineer",
    "works_from": "09:00",
    "works_until": "18:00",
    "is_active": "1",
}
ROBOT = {"name": "值班群", "vendor": "wecom", "variable": "MAILCARE_ROBOT", "is_active": "1"}


def furnish(client: TestClient) -> None:
    """Fill every list, as a manager would over the year; call it at `NOW`."""
    for day in (date(2026, 4, 1), date(2026, 11, 30)):
        plan_due(today=day)
    _faults()
    [visit] = visits.open_visits()
    _sent(client, f"/visits/{visit}/assign", visits.STAFF | {"engineer": "engineer"})
    _sent(client, f"/visits/{visit}/propose", {"starts": ["2026-12-07", "", ""]})
    surveys.ask(surveys.ended(1), at=utc_now())
    _mails()
    _sent(client, "/duty/robots/new", ROBOT)
    _sent(client, "/duty/members/new", MEMBER)
    _sent(
        client,
        "/duty",
        {"member": "张示例", "since": "2026-11-30", "until": "2026-12-06", "turn": "1"},
    )
    table = (Path(__file__).parent / "year-2027.yaml").read_bytes()
    assert client.post("/calendar", files={"file": ("2027.yaml", table)}).status_code == 303
    _sent(client, "/authorisations/1/revoke", {})
    inspection.open_inspection("waits", site=SITE_NAME)


def _sent(client: TestClient, path: str, data: dict) -> None:
    answer = client.post(path, data=data)
    assert answer.status_code == 303, (path, answer.text)


def _faults() -> None:
    first = declared("P1", "2026-11-26 09:00")
    happened(first, "2026-11-26 09:05 accepted", "2026-11-26 09:10 contact phone",
             "2026-11-26 12:00 handled fix")  # fmt: skip
    second = declared("P3", "2026-11-27 09:00")
    happened(second, "2026-11-27 09:05 accepted", "2026-11-27 10:00 paused")
    broken = declared("P2", "2026-11-30 08:00")
    sweep(at=utc_now())
    why = {"clock": "response", "epoch": 1, "cause": "staffing", "text": "值班人员同时处理两起"}
    add_breach_reason(broken, read_form(BreachReasonForm, why), by="li", at=utc_now())


def _mails() -> None:
    raw = b"From: admin@shili-bank.example\r\n\r\n"
    draft = Draft(key="k", channel=DeliveryChannel.SMTP, recipient="wang@shili-bank.example",
                  subject="上门时间确认", body="已确认。", customer=1)  # fmt: skip
    with transaction() as session:
        post(session, draft, at=utc_now())
        session.add(
            ReceivedMail(
                key="k", sender="admin@shili-bank.example", subject="系统宕机", text="急",
                received_at=datetime(2026, 11, 30, 1, tzinfo=UTC), size_bytes=len(raw),
                is_cut=False, raw=raw, customer_id=1, state=MailState.WAITING,
                state_changed_at=utc_now(),
            )
        )  # fmt: skip


def pages(app: FastAPI) -> list[str]:
    """Return the address of every page: of each route that is looked at, no file's."""
    from tests.console.test_access import routes

    files = ("/file", "/evidence", "/source", "/scan", "/photos", "/preview", "/returned", ".xlsx")
    paths = [
        one.path.format_map(VALUES)
        for one in routes(app)
        if "GET" in one.methods and not any(word in one.path for word in files)
    ]
    contract = "?number=HT-2026-001"
    extra = ["/authorisations/new?system=1", "/faults/3"]
    left_out = {"/papers/1/pdf", "/backups/1/nightly", "/reviews/1", "/visits/XC-2026-00003/look"}
    found = [one + contract if one.startswith("/contract") and one != "/contracts" else one
             for one in paths if one not in left_out]  # fmt: skip
    assert len(found) > 50
    return [*found, *extra]
