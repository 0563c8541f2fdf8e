"""Three days on site: what is entered, judged, kept as evidence, and handed on at the end."""

import hashlib

import pytest
from sqlalchemy import select

from mailcare.contracts.forms import FormError, read_form
from mailcare.errors import InputError
from mailcare.records.session import reading
from mailcare.records.surveys import Survey
from mailcare.records.visits import VisitState
from mailcare.staff.steps import Role, grant_role
from mailcare.visits import steps
from mailcare.visits.forms import ObservationForm, PhotoForm, TrainingForm
from tests.contracts.desk import services
from tests.visits import desk
from tests.visits.onsite_desk import (
    PNG,
    TRAINING,
    begun_visit,
    complete,
    completed_visit,
    look,
    teach,
)

pytestmark = pytest.mark.usefixtures("desk_records", "clock")
DATABASES = ["sqlite"]


def items(number: str, check: str):
    return [one for one in steps.day_items(number) if one.check.name == check]


def test_nothing_is_entered_before_the_first_day():
    with pytest.raises(InputError, match="没有这个编号"):
        look("XC-2026-99999")


def test_a_day_lists_what_a_person_should_look_at_first(clock):
    number = begun_visit(clock)
    found = steps.day_items(number)
    assert {one.day for one in found} == {1, 2}
    wanted = [one.is_wanted for one in found]
    assert wanted == sorted(wanted, reverse=True)
    assert items(number, "hardware.sensors")[0].numbers == (("temperature_c", "温度", "℃"),)


def test_an_entry_is_judged_by_the_checks_own_limits(clock):
    number = begun_visit(clock)
    look(number, numbers={"temperature_c": 91})
    [item] = [one for one in items(number, "hardware.sensors") if one.target.node == "mx1"]
    assert item.state == "warning"
    assert "91" in item.says
    look(number, numbers={"temperature_c": 40})
    [item] = [one for one in items(number, "hardware.sensors") if one.target.node == "mx1"]
    assert (item.state, item.seen.numbers) == ("ok", {"temperature_c": 40})


def test_what_the_inspection_does_not_ask_is_refused(clock):
    number = begun_visit(clock)
    with pytest.raises(InputError, match="没有这一项"):
        look(number, node="nowhere")
    with pytest.raises(FormError, match="请写明建议"):
        look(number, verdict="critical")


def test_words_training_and_photos_are_kept_once(clock):
    number = begun_visit(clock)
    told = PhotoForm(about="hardware", caption="机柜")
    for _ in range(2):
        steps.write_entries(number, {"done": "清理队列"}, by="lin")
        teach(number)
        steps.add_photo(number, ("机柜.png", PNG), told, by="lin")
    detail = steps.visit_detail(number)
    assert detail.entries == {"done": "清理队列"}
    assert detail.trainings[0].attendees == ("王示例", "赵示例")
    [photo] = detail.photos
    assert photo.sha256 == hashlib.sha256(PNG).hexdigest()
    assert steps.photo_file(number, photo.file).body == PNG


def test_a_photo_that_is_none_is_refused(clock):
    number = begun_visit(clock)
    for file in (None, ("x.png", b"<script>"), ("x.png", b"")):
        with pytest.raises(FormError):
            steps.add_photo(number, file, PhotoForm(), by="lin")


def test_a_visit_is_not_complete_while_a_day_is_empty(clock):
    number = begun_visit(clock)
    with pytest.raises(InputError, match=r"硬件设备.*系统整体.*培训"):
        steps.complete_visit(number, by="lin")
    assert desk.visit(number).state is VisitState.STARTED


def test_a_completed_visit_is_used_and_its_customer_asked_once(clock):
    number = begun_visit(clock)
    for login in ("zhao", "qian", "sun"):
        desk.hire(login)
    grant_role("service", Role.CUSTOMER_SERVICE, by="test")
    steps.add_photo(number, ("a.png", PNG), PhotoForm(), by="zhao")
    steps.write_entries(number, {"causes": "无"}, by="service")
    steps.record_training(number, read_form(TrainingForm, TRAINING), by="qian")
    seen = {"check": "hardware.sensors", "node": "mx1", "verdict": "ok", "says": "全绿"}
    steps.observe(number, read_form(ObservationForm, seen), None, PhotoForm(), by="sun")
    clock.move_to("2026-05-13T17:00:00+08:00")
    complete(number)
    steps.complete_visit(number, by="lin")  # a second press of the button
    assert desk.history(number).count("complete") == 1
    left = desk.balance()
    assert (left.used, left.planned, left.left) == (1, 0, 0)
    assert services()["HT-1/1/1/visit/1"].state == "done"
    with reading() as session:
        [survey] = session.scalars(select(Survey))
    assert (survey.subject, survey.handled_by) == (number, ["lin", "qian", "sun", "zhao"])
    assert "命令操作" in survey.outcome


def test_the_customers_opinion_is_entered_when_the_paper_is_back(clock):
    number = begun_visit(clock)
    with pytest.raises(FormError, match="签字后"):
        steps.write_entries(number, {"opinion_score": "5"}, by="lin")


def test_what_a_completed_visit_says_stands(clock):
    number = completed_visit(clock)
    for change in (look, teach):
        with pytest.raises(InputError, match="只有现场进行中"):
            change(number)
    with pytest.raises(InputError, match="只有现场进行中"):
        steps.write_entries(number, {"done": "别的"}, by="lin")
    with pytest.raises(FormError, match="0 至 5"):
        steps.write_entries(number, {"opinion_score": "9"}, by="lin")
    steps.write_entries(number, {"opinion_score": "5", "opinion_advice": "无"}, by="lin")
    assert steps.visit_detail(number).entries["opinion_score"] == "5"
