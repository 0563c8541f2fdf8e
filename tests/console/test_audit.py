"""Whoever changes something on the console is written down, with what they changed."""

import re
from html import unescape

import time_machine
from sqlalchemy import String, func, select

from mailcare.console.entered import new_key
from mailcare.records.base import AppendOnly, Base
from mailcare.records.session import reading
from tests.console.furnished import NOW, furnish
from tests.console.servers import SITE
from tests.console.test_access import routes
from tests.console.test_pages import CONSENT, CONTRACT, CUSTOMER

DATABASES = ["sqlite"]
WHO = "boss"
KEY = new_key()
WRITES_NOTHING = {
    "/import": "a preview",
    "/systems/import": "a preview",
    "/papers/verify": "looks at a file and keeps nothing",
    "/language": "a cookie",
    "/surveys/{survey}/sheet": "prints the empty form",
    "/visits/{number}/sheet": "prints the empty sheet",
}
# What is written down with who and when in a history of its own; the tests of the area see to it.
OWN_HISTORY = {
    "fault_events": ("/faults/{fault}/authorisation", "/reports/{report}/handed"),
    "fault_inspections": ("/faults/{fault}/inspection",),
    "fault_breach_reasons": ("/faults/{fault}/reason",),
    "fault_report_events": ("/reports/{report}/save", "/reports/{report}/decide"),
    "visit_events": tuple(
        f"/visits/{{number}}/{one}"
        for one in ("accept", "move", "cancel", "miss", "start", "complete")
    ),
    "visit_entries": ("/visits/{number}/words", "/visits/{number}/look"),
    "visit_trainings": ("/visits/{number}/training",),
    "visit_evidence": ("/visits/{number}/photo", "/visits/{number}/replies"),
    "survey_answers": ("/surveys/{survey}/answer", "/surveys/{survey}/correct"),
    "reviews": ("/reviews/new",),
    "audit_entries": (
        "/papers/{paper}/sign",
        "/papers/{paper}/returned",
        "/outbox/{delivery}/arrived",
        "/outbox/{delivery}/again",
        "/services/{service}/restart",
        "/mails/{mail}/note",
        "/mails/{mail}/dismiss",
        "/reviews/{review}/render",
        "/reviews/{review}/deliver",
    ),
}


def traces() -> int:
    """Return how many rows that nobody can change name the person."""
    models = {one.local_table for one in map(_mapper, AppendOnly.__subclasses__())}
    assert len(models) > 20
    with reading() as session:
        return sum(
            session.scalar(select(func.count()).select_from(table).where(column == WHO)) or 0
            for table in models
            for column in table.columns
            if isinstance(column.type, String)
        )


def _mapper(model):
    return model.__mapper__


class Watched:
    """A client that holds every change against what is written down of it."""

    def __init__(self, app, client) -> None:
        self.client, self.seen = client, set()
        self.routes = [(one.path, one.path_regex) for one in routes(app) if "POST" in one.methods]

    def get(self, path: str) -> str:
        return self.client.get(path).text

    def post(self, path: str, **sent):
        before = traces()
        answer = self.client.post(path, **sent)
        assert answer.status_code == 303, (path, answer.text)
        assert traces() > before, path
        asked = path.partition("?")[0]
        self.seen |= {one for one, regex in self.routes if regex.fullmatch(asked)}
        return answer


def hidden(page: str, name: str) -> str:
    return re.search(rf'name="{name}" value="([^"]*)"', page)[1]


def change_all(app, client) -> set[str]:
    desk = Watched(app, client)
    furnish(desk)
    customers(desk)
    contracts(desk)
    systems(desk)
    desk.post("/authorisations/new", data=CONSENT)
    people(desk)
    cases(desk)
    return desk.seen


def customers(desk: Watched) -> None:
    desk.post("/customers/new", data=CUSTOMER)
    changed = {"name": "改名", "version": hidden(desk.get("/customers/3/change"), "version")}
    desk.post("/customers/3/change", data=CUSTOMER | changed)
    version = hidden(desk.get("/customers/3/change"), "version")
    desk.post("/customers/3/delete", data={"version": version})


def contracts(desk: Watched) -> None:
    visit = {"site": "shili-bank-lab", "due_on": "2026-12-21", "approved": "1"}
    desk.post("/contract/visit?number=HT-2026-001", data=visit)
    desk.post("/customers/1/contract", data=CONTRACT | {"number": "HT-2028"})
    version = hidden(desk.get("/contract/change?number=HT-2028"), "version")
    changed = CONTRACT | {"note": "改", "version": version}
    desk.post("/contract/change?number=HT-2028", data=changed)
    file = "contracts:\n  - {number: HT-2028, note: 再改}\n".encode()
    page = desk.client.post("/import", files={"file": ("a.yaml", file)}).text
    shown = {one: hidden(page, one) for one in ("name", "token", "content")}
    desk.post("/import/apply", data=shown)


def systems(desk: Watched) -> None:
    text = SITE.read_text("utf-8").replace("总行邮件系统", "改名系统")
    page = desk.client.post("/systems/import", files={"text": (None, text)}).text
    shown = unescape(re.search(r"<textarea[^>]*>\n(.*?)</textarea>", page, re.S)[1])
    sent = {"text": (None, shown), "token": (None, hidden(page, "token"))}
    desk.post("/systems/import/apply", files=sent)


def people(desk: Watched) -> None:
    for what in ("grant", "withdraw"):
        desk.post(f"/staff/{what}", data={"login": "new", "role": "engineer"})
    desk.post("/duty/1/remove")
    member = {"name": "张示例", "login": "engineer", "email": "z@vendor.example", "rung": "manager",
              "works_from": "09:00", "works_until": "18:00", "is_active": "1"}  # fmt: skip
    version = hidden(desk.get("/duty/members/1"), "version")
    desk.post("/duty/members/1", data=member | {"version": version})
    robot = {"name": "值班群", "vendor": "feishu", "variable": "MAILCARE_ROBOT"}
    version = hidden(desk.get("/duty/robots/1"), "version")
    desk.post("/duty/robots/1", data=robot | {"version": version})


def cases(desk: Watched) -> None:
    fault = {"key": KEY, "site": "shili-bank-lab", "level": "P2", "description": "缓慢",
             "contact": "王示例", "contact_details": "分机 1000"}  # fmt: skip
    desk.post("/faults/new", data=fault)
    seen = hidden(desk.get("/faults/4"), "seen")
    desk.post("/faults/4/event", data={"type": "accepted", "seen": seen})
    desk.post("/faults/4/note", data={"key": KEY, "text": "已联系"})
    desk.post("/faults/1/report")
    desk.post("/mails/1/declare", data=fault | {"customer": "示例银行"})
    desk.post("/surveys/1/call", data={"attempt": "1", "outcome": "no_answer"})
    answer = {"choice": "confirm", "start": "2026-12-07", "chosen": "2026-12-07"}
    desk.post("/visits/XC-2026-00003/answer", data=answer | {"said_by": "王示例"})


def test_every_change_is_written_down_with_who_made_it(app, login):
    with time_machine.travel(NOW, tick=False):
        seen = change_all(app, login(WHO))
        told = login("colleague").post("/calendar/confirm", data={"year": "2027"})
        assert told.status_code == 303
    elsewhere = {path for paths in OWN_HISTORY.values() for path in paths}
    assert set(OWN_HISTORY) <= set(Base.metadata.tables)
    assert len(seen) > 25
    assert not seen & (WRITES_NOTHING.keys() | elsewhere)
    posts = {one.path for one in routes(app) if "POST" in one.methods}
    assert posts == seen | WRITES_NOTHING.keys() | elsewhere | {"/calendar/confirm"}
