"""Visits on the console, from the first offer to the completed third day, and the words of it."""

import re
from datetime import date

import pytest
import time_machine

from mailcare.contracts.steps import plan_due
from mailcare.records.visits import VisitState
from mailcare.visits import steps
from tests.console.refusing import LARGE, LONG, TEXT, recorded, refuse_each
from tests.visits import desk
from tests.visits.onsite_desk import PNG, output

DATABASES = ["sqlite"]
FIRST = "2026-05-11"
STAFF = {
    "engineer": "engineer",
    "engineer_name": "林示例",
    "engineer_email": "lin@vendor.example",
    "place": "示例路 1 号",
}


@pytest.fixture
def clock():
    with time_machine.travel("2026-04-01T09:00:00+08:00", tick=False) as traveller:
        yield traveller


@pytest.fixture
def number(login, clock) -> str:
    plan_due(today=date(2026, 4, 1))
    return desk.open_visits()[0]


TAUGHT = {
    "topic": "screens", "taught_on": FIRST, "hours": "2", "content": "界面", "attendees": "王示例",
}  # fmt: skip
SENSORS = {"check": "hardware.sensors", "node": "mx1", "verdict": "ok", "says": "灯全绿"}
CPU = SENSORS | {"check": "hardware.cpu"}
END = {"speaker": "customer", "said_by": "王示例", "note": "停电"}
# What is entered before a day is proposed, before the customer answers, and on site: the form, what
# it holds, its file, and the field beside which the page tells what is wrong.
OPEN = (
    ("assign", STAFF | {"place": LONG}, None, "place"),
    ("assign", STAFF | {"engineer_name": "林\n示例"}, None, "engineer_name"),
    ("assign", STAFF | {"engineer_email": "lin"}, None, "engineer_email"),
    ("assign", STAFF | {"engineer": "enginer"}, None, "engineer"),
    ("assign", STAFF | {"engineer": ""}, None, "engineer"),
    ("propose", {"starts": ["", ""]}, None, "starts"),
    ("propose", {"starts": ["soon"]}, None, "starts"),
    ("propose", {"starts": ["0001-01-01"]}, None, "starts"),
    ("propose", {"starts": [FIRST, FIRST]}, None, "starts"),
    ("propose", {"starts": [FIRST], "note": LONG}, None, "note"),
)
PROPOSED = (
    ("answer", {"said_by": "王示例"}, None, "start"),
    ("answer", {"chosen": "2026-06-01", "said_by": "王示例"}, None, "start"),
    ("answer", {"chosen": "other", "start": "2026-05-10", "said_by": "王示例"}, None, "start"),
    ("answer", {"chosen": FIRST}, None, "said_by"),
    ("answer", {"chosen": FIRST, "said_by": "王示例", "note": "a\0b"}, None, "note"),
)
ON_SITE = (
    ("training", TAUGHT | {"hours": "-1"}, None, "hours"),
    ("training", TAUGHT | {"hours": "NaN"}, None, "hours"),
    ("training", TAUGHT | {"taught_on": "2026-05-08"}, None, "taught_on"),
    ("training", TAUGHT | {"taught_on": "2026-05-12"}, None, "taught_on"),
    ("training", TAUGHT | {"content": LONG}, None, "content"),
    ("training", TAUGHT | {"attendees": "、，"}, None, "attendees"),
    ("training", TAUGHT | {"attendees": "王示例、" * 61}, None, "attendees"),
    ("look", SENSORS | {"numbers.temperature_c": "-300"}, None, "numbers.temperature_c"),
    ("look", CPU | {"numbers.used_pct": "101"}, None, "numbers.used_pct"),
    ("look", SENSORS | {"says": LONG}, None, "says"),
    ("look", SENSORS | {"verdict": "critical"}, None, "advice"),
    ("look", SENSORS, TEXT, "file"),
    ("photo", {}, TEXT, "file"),
    ("photo", {}, LARGE, "file"),
    ("photo", {"caption": LONG}, ("a.png", PNG), "caption"),
    ("words", {"done": "清理", "causes": LONG}, None, "causes"),
    ("words", {"done": "a\x07b"}, None, "done"),
    ("replies", {}, None, "replies"),
    ("replies", {}, ("r.gz", b"\x1f\x8b\x08torn"), "replies"),
    ("replies", {}, ("r.png", PNG), "replies"),
    ("cancel", END | {"said_by": ""}, None, "said_by"),
)


def begun(client, number: str, clock) -> None:
    client.post(f"/visits/{number}/assign", data=STAFF)
    client.post(f"/visits/{number}/propose", data={"starts": [FIRST, "", ""]})
    answer = {"chosen": FIRST, "said_by": "王示例"}
    assert client.post(f"/visits/{number}/answer", data=answer).status_code == 303
    clock.move_to(f"{FIRST}T09:00:00+08:00")
    assert client.post(f"/visits/{number}/start").status_code == 303


def test_a_visit_is_agreed_begun_filled_in_and_completed(login, number, clock):
    client = login("engineer")
    assert number in client.get("/visits").text
    sheet = client.post(f"/visits/{number}/sheet").headers["location"]
    assert client.get(sheet).content.startswith(b"%PDF-")
    begun(client, number, clock)
    day = client.get(f"/visits/{number}/day/1").text
    where = re.search(r'href="(/visits/[^"]+look\?check=hardware.sensors[^"]+)"', day)[1]
    form = client.get(where.replace("&amp;", "&")).text
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form))
    entered = {"verdict": "ok", "says": "面板无告警", "advice": "", "numbers.temperature_c": "41"}
    looked = client.post(
        f"/visits/{number}/look", data=hidden | entered, files={"file": ("a.png", PNG)}
    )
    assert looked.status_code == 303, looked.text
    system = {"check": "app.secondary_development", "node": "", "port": "0", "part": ""}
    items = [one for one in steps.day_items(number) if one.day == 2]
    system |= {"check": items[0].check.name, "node": items[0].target.node}
    system |= {"port": str(items[0].target.port), "part": items[0].target.part}
    assert client.post(f"/visits/{number}/look", data=system | entered).status_code == 303
    training = {
        "topic": "screens", "taught_on": FIRST, "hours": "2", "content": "界面",
        "attendees": "王示例，赵示例",
    }  # fmt: skip
    assert client.post(f"/visits/{number}/training", data=training).status_code == 303
    client.post(f"/visits/{number}/words", data={"done": "清理队列"})
    foreign = output() + b"\n==mailcare-visit== XC-2026-99999\n"
    wrong = client.post(f"/visits/{number}/replies", files={"file": ("r.txt", foreign)})
    assert wrong.status_code == 422
    assert "属于另一次巡检" in wrong.text
    own = output() + f"\n==mailcare-visit== {number}\n".encode()
    taken = client.post(f"/visits/{number}/replies", files={"file": ("r.txt", own)})
    assert taken.status_code == 303
    page = client.get(f"/visits/{number}").text
    assert "王示例、赵示例" in page
    assert "清理队列" in page
    assert client.post(f"/visits/{number}/complete").status_code == 303
    assert desk.visit(number).state is VisitState.COMPLETED
    photo = re.search(rf'href="(/visits/{number}/photos/\d+)"', page)[1]
    assert client.get(photo).content == PNG


def test_what_is_wrong_stands_beside_the_field_and_the_input_is_kept(login, number, clock):
    client = login("engineer")
    refuse_each(client, f"/visits/{number}", OPEN)
    wrong = client.post(f"/visits/{number}/propose", data={"starts": ["2026-09-29", "", ""]})
    assert wrong.status_code == 422
    assert "须客户同意并记录在案" in wrong.text
    assert 'value="2026-09-29"' in wrong.text
    client.post(f"/visits/{number}/propose", data={"starts": [FIRST]})
    refuse_each(client, f"/visits/{number}", PROPOSED)
    begun(client, number, clock)
    refuse_each(client, f"/visits/{number}", ON_SITE)
    hot = SENSORS | {"numbers.temperature_c": "hot"}
    assert 'value="hot"' in client.post(f"/visits/{number}/look", data=hot).text


def test_a_visit_beyond_the_contract_needs_a_managers_word(login, number):
    path = "/contract/visit?number=HT-2026-001"
    asked = {"site": "shili-bank-lab", "due_on": "2026-06-01"}
    wrong = {"due_on": {"due_on": "2026-05-31"}, "site": {"site": "another"}, "approved_by": {}}
    client, before = login("engineer"), recorded()
    assert client.post(path, data=asked | {"approved": "1"}).status_code == 403
    client = login("boss")
    for field, changes in wrong.items():
        page = client.post(path, data=asked | changes)
        assert (page.status_code, f'id="{field}-error"' in page.text) == (422, True), page.text
    assert recorded() == before
    for said in (303, 422):  # the second one asks for the same day
        assert client.post(path, data=asked | {"approved": "1"}).status_code == said


@pytest.mark.parametrize(
    "path",
    ["XC-2026-99999", "XC-2026-99999/day/1", "nothing", "{}/day/4", "{}/look?check=no.such",
     "{}/look?check=hardware.sensors&port=x", "{}/photos/7"],
)  # fmt: skip
def test_what_is_not_there_is_not_found(login, number, path):
    assert login("engineer").get(f"/visits/{path.format(number)}").status_code == 404


def test_only_engineers_and_managers_fill_in_and_auditors_only_read(login, number):
    auditor = login("auditor")
    assert auditor.get(f"/visits/{number}").status_code == 200
    assert auditor.post(f"/visits/{number}/start").status_code == 403
    assert auditor.post(f"/visits/{number}/propose", data={"starts": FIRST}).status_code == 403


def test_every_word_of_a_visit_has_an_english_one(app, database_url):
    from mailcare.console import visits
    from mailcare.console.words import ENGLISH

    titles = {column.title for columns in (visits.VISITS, visits.HISTORY) for column in columns}
    assert not sorted(one for one in titles if one not in ENGLISH)
