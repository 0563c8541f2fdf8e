"""What a manager keeps under 值班: people, robots and the roster."""

import re
from io import BytesIO

import pytest
from openpyxl import load_workbook
from sqlalchemy import select

from mailcare.console.pages import today
from mailcare.records.alerts import Duty, Robot, StaffMember
from mailcare.records.people import AuditEntry
from mailcare.records.session import reading

MEMBER = {
    "name": "张示例",
    "rung": "engineer",
    "email": "zhang@vendor.example",
    "works_from": "09:00",
    "works_until": "18:00",
    "is_active": "1",
}
ROBOT = {"name": "值班群", "vendor": "wecom", "variable": "DUTY_ROBOT", "is_active": "1"}


def stored(model):
    with reading() as session:
        return list(session.scalars(select(model).order_by(model.id)))


def audited():
    with reading() as session:
        found = select(AuditEntry).where(AuditEntry.by == "boss").order_by(AuditEntry.id)
        return [(one.action, one.subject) for one in session.scalars(found)]


def version_in(page: str) -> str:
    return re.search(r'name="version" value="(\d+)"', page)[1]


@pytest.fixture
def boss(login):
    client = login("boss")
    assert client.post("/duty/robots/new", data=ROBOT).status_code == 303
    assert client.post("/duty/members/new", data=MEMBER).status_code == 303
    return client


def test_a_person_gets_a_robot_and_stands_on_the_roster(boss):
    form = boss.get("/duty/members/1").text
    changed = MEMBER | {"robot": "值班群", "version": version_in(form)}
    assert boss.post("/duty/members/1", data=changed).status_code == 303
    assert stored(StaffMember)[0].robot_id == stored(Robot)[0].id
    duty = {"member": "张示例", "since": str(today()), "until": str(today()), "place": "1"}
    for _ in range(2):  # twice is once
        assert boss.post("/duty", data=duty).status_code == 303
    assert len(stored(Duty)) == 1
    rows = list(load_workbook(BytesIO(boss.get("/duty.xlsx").content)).active.values)
    assert rows[1] == (str(today()), "工程师", "1", "张示例", "boss")
    assert boss.post("/duty/1/remove").status_code == 303
    assert stored(Duty) == []
    assert boss.post("/duty/1/remove").status_code == 422
    assert audited() == [
        ("enter", "robot/1"),
        ("enter", "member/1"),
        ("change", "member/1"),
        ("enter", "duty/张示例"),
        ("enter", "duty/张示例"),
        ("delete", "duty/张示例"),
    ]


def test_what_is_wrong_with_a_person_stands_beside_the_field(boss):
    wrong = {
        "name": ("", "张示例"),
        "email": ("nobody", "张@vendor.example", "a,b@vendor.example"),
        "works_from": ("25:00",),
        "rung": ("king",),
        "robot": ("没有",),
    }
    for field, values in wrong.items():
        for value in values:
            entered = MEMBER | {"name": "李示例", field: value}
            answer = boss.post("/duty/members/new", data=entered)
            assert answer.status_code == 422
            assert f'id="{field}-error"' in answer.text
    assert len(stored(StaffMember)) == 1


def test_hours_that_end_before_they_begin_are_refused(boss):
    hours = {"name": "李示例", "works_from": "18:00", "works_until": "09:00"}
    answer = boss.post("/duty/members/new", data=MEMBER | hours)
    assert answer.status_code == 422
    assert "工作时间的结束须晚于开始" in answer.text


def test_a_robot_has_one_source_of_its_address_and_never_the_address(boss):
    for changes in (
        {"connection": "duty_robot"},
        {"variable": ""},
        {"variable": "https://qyapi.vendor.example/send?key=geheim"},
        {"vendor": "slack"},
        {"name": "值班群"},
    ):
        answer = boss.post("/duty/robots/new", data=ROBOT | {"name": "新群"} | changes)
        assert answer.status_code == 422
    assert len(stored(Robot)) == 1


def test_the_second_of_two_editors_is_told_and_nothing_is_overwritten(boss):
    version = version_in(boss.get("/duty/members/1").text)
    first = MEMBER | {"email": "first@vendor.example", "version": version}
    assert boss.post("/duty/members/1", data=first).status_code == 303
    second = MEMBER | {"email": "second@vendor.example", "version": version}
    assert boss.post("/duty/members/1", data=second).status_code == 409
    assert stored(StaffMember)[0].email == "first@vendor.example"


def test_a_robot_keeps_its_name_and_is_put_out_of_use(boss):
    version = version_in(boss.get("/duty/robots/1").text)
    renamed = ROBOT | {"name": "别的群", "version": version}
    assert boss.post("/duty/robots/1", data=renamed).status_code == 422
    off = {name: value for name, value in ROBOT.items() if name != "is_active"}
    assert boss.post("/duty/robots/1", data=off | {"version": version}).status_code == 303
    assert stored(Robot)[0].is_active is False


def test_a_roster_that_makes_no_sense_is_refused(boss):
    duty = {"member": "张示例", "since": "2026-03-02", "until": "2026-03-08", "place": "1"}
    for changes in (
        {"until": "2020-01-01"},
        {"until": "2999-01-01"},
        {"since": "tomorrow"},
        {"turn": "0"},
        {"member": "无此人"},
    ):
        assert boss.post("/duty", data=duty | changes).status_code == 422
    assert stored(Duty) == []


def test_an_engineer_reads_and_changes_nothing(login, boss):
    client = login("engineer")
    assert "张示例" in client.get("/duty/members").text
    assert client.post("/duty/members/new", data=MEMBER).status_code == 403
    assert client.post("/duty", data={}).status_code == 403
    assert "排班" not in re.sub(r'<p class="hint">.*?</p>', "", client.get("/duty").text)
