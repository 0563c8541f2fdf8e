"""Visits on the console, from the first offer to the completed third day, and the words of it."""

import re
from datetime import date

import pytest
import time_machine

from mailcare.contracts.steps import plan_due
from mailcare.records.visits import VisitState
from mailcare.visits import steps
from tests.visits import desk
from tests.visits.onsite_desk import PNG, output

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
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
        "topic": "screens", "taught_on": "2026-05-13", "hours": "2", "content": "界面",
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
    wrong = client.post(f"/visits/{number}/propose", data={"starts": ["2026-09-29", "", ""]})
    assert wrong.status_code == 422
    assert "须客户同意并记录在案" in wrong.text
    assert 'value="2026-09-29"' in wrong.text
    begun(client, number, clock)
    look = {"check": "hardware.sensors", "node": "mx1", "port": "0", "part": ""}
    wrong = client.post(f"/visits/{number}/look", data=look | {"verdict": "critical", "says": "x"})
    assert wrong.status_code == 422
    assert "请写明建议" in wrong.text
    wrong = client.post(
        f"/visits/{number}/look",
        data=look | {"verdict": "ok", "says": "x", "numbers.temperature_c": "hot"},
    )
    assert wrong.status_code == 422
    assert 'value="hot"' in wrong.text


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
