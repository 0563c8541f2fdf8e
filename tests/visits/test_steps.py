"""The appointment through the records: history, ledger, letters, invitations."""

from datetime import date

import pytest
from icalendar import Calendar

from mailcare.contracts.forms import FormError
from mailcare.errors import InputError
from mailcare.records.visits import VisitState
from mailcare.staff.steps import Role, grant_role
from mailcare.systems.steps import import_site
from mailcare.visits import steps
from tests.contracts.desk import services
from tests.inspection.samples import LAB_SITE
from tests.visits import desk as desk_of

OTHER_MAIL = "zhao@vendor.example"
FIRST, SECOND = desk_of.FIRST, desk_of.SECOND

pytestmark = pytest.mark.usefixtures("desk", "clock")
DATABASES = ["sqlite"]


def event_of(body: bytes):
    calendar = Calendar.from_ical(body)
    [event] = calendar.walk("VEVENT")
    return str(calendar["METHOD"]), event


def test_a_planned_visit_is_opened_once_and_its_service_is_then_running():
    number = desk_of.planned_visit()
    assert desk_of.open_visits() == [number]
    assert services()["HT-1/1/1/visit/1"].state == "running"
    assert number.startswith("XC-2026-")


def test_days_are_proposed_and_agreed_with_an_invitation_to_both_sides():
    number = desk_of.planned_visit()
    desk_of.assign(number)
    desk_of.propose(number, FIRST, SECOND)
    [offer] = desk_of.letters()
    assert "2026-05-11、2026-05-12、2026-05-13" in offer.body
    assert "2026-05-18" in offer.body
    steps.answer_by_phone(number, desk_of.answer(start=SECOND), by="li")
    assert desk_of.visit(number).starts_on == date(2026, 5, 18)
    assert services()["HT-1/1/1/visit/1"].due_on == date(2026, 5, 18)
    for side in (desk_of.CUSTOMER_MAIL, desk_of.ENGINEER_MAIL):
        [body] = desk_of.invitations(side)
        method, event = event_of(body)
        assert method == "REQUEST"
        assert event["STATUS"] == "CONFIRMED"
        assert (event["DTSTART"].dt, event["DTEND"].dt) == (date(2026, 5, 18), date(2026, 5, 21))


def test_a_customer_who_wants_another_day_is_answered_by_us():
    number = desk_of.planned_visit()
    desk_of.propose(number)
    steps.answer_by_phone(number, desk_of.answer(choice="counter", start=SECOND), by="li")
    assert desk_of.visit(number).state is VisitState.COUNTERED
    steps.accept_counter(number, by="li")
    assert desk_of.visit(number).starts_on == date(2026, 5, 18)
    assert desk_of.history(number) == ["propose", "counter", "confirm"]


def test_split_days_are_refused_unless_the_customers_agreement_is_in_the_record():
    number = desk_of.planned_visit()
    with pytest.raises(FormError, match="须客户同意"):
        desk_of.propose(number, "2026-09-29")
    desk_of.propose(number)
    wish = {"choice": "counter", "start": "2026-09-29"}
    with pytest.raises(FormError, match="须客户同意"):
        steps.answer_by_phone(number, desk_of.answer(**wish), by="li")
    steps.answer_by_phone(number, desk_of.answer(**wish, is_split_agreed=True), by="li")
    steps.accept_counter(number, by="li")
    _, event = event_of(desk_of.invitations()[-1])
    assert "2026-09-29、2026-09-30、2026-10-08" in event["DESCRIPTION"]


def test_a_moved_visit_keeps_its_history_and_updates_both_calendars():
    number = desk_of.planned_visit()
    desk_of.assign(number)
    desk_of.confirm(number)
    steps.move_visit(number, desk_of.move(), by="li")
    assert desk_of.history(number) == ["propose", "confirm", "move"]
    events = [event_of(body)[1] for body in desk_of.invitations(desk_of.ENGINEER_MAIL)]
    assert [int(one["SEQUENCE"]) for one in events] == [1, 2]
    assert len({str(one["UID"]) for one in events}) == 1
    left = desk_of.balance()
    assert (left.planned, left.used, left.left, left.over) == (1, 0, 0, 0)


def test_a_cancelled_visit_gives_back_leaves_the_calendars_and_can_be_taken_up_again():
    number = desk_of.planned_visit()
    desk_of.confirm(number)
    steps.cancel_visit(number, desk_of.end(), by="li")
    assert desk_of.balance().left == 1
    method, event = event_of(desk_of.invitations()[-1])
    assert (method, event["STATUS"], int(event["SEQUENCE"])) == ("CANCEL", "CANCELLED", 2)
    desk_of.confirm(number, SECOND)
    assert (desk_of.balance().left, desk_of.balance().planned) == (0, 1)


@pytest.mark.parametrize("spelled", ["lin", " LIN", "ｌｉｎ", "l in"])
def test_whoever_goes_is_on_the_staff_list_and_written_as_it_is_there(spelled):
    number = desk_of.planned_visit()
    desk_of.assign(number, engineer=spelled)
    assert desk_of.visit(number).engineer == "lin"


@pytest.mark.parametrize("stranger", ["lni", "service", "林示例"])
def test_nobody_goes_who_is_no_engineer_on_the_staff_list(stranger):
    number = desk_of.planned_visit()
    grant_role("service", Role.CUSTOMER_SERVICE, by="test")
    with pytest.raises(FormError) as error:
        desk_of.assign(number, engineer=stranger)
    assert [one.path for one in error.value.complaints] == [("engineer",)]
    assert desk_of.visit(number).engineer == ""


def test_who_no_longer_goes_is_uninvited_and_the_customer_told_who_comes():
    number = desk_of.planned_visit()
    desk_of.hire("zhao")
    desk_of.assign(number)
    desk_of.confirm(number)
    for _ in range(2):  # nothing new is nothing to tell
        desk_of.assign(number, engineer="zhao", engineer_name="赵示例", engineer_email=OTHER_MAIL)
    told = {
        side: event_of(desk_of.invitations(side)[-1])
        for side in (desk_of.CUSTOMER_MAIL, OTHER_MAIL, desk_of.ENGINEER_MAIL)
    }
    assert [(method, int(event["SEQUENCE"])) for method, event in told.values()] == [
        ("REQUEST", 2), ("REQUEST", 2), ("CANCEL", 2),
    ]  # fmt: skip
    assert len({str(event["UID"]) for _, event in told.values()}) == 1
    assert "STATUS" not in told[desk_of.ENGINEER_MAIL][1]  # the visit itself goes on
    assert "工程师：赵示例" in desk_of.letters()[-1].body
    assert len(desk_of.letters(OTHER_MAIL)) == 1


def test_a_visit_that_is_off_is_due_when_its_promise_says(clock):
    number = desk_of.planned_visit()
    promised = services()["HT-1/1/1/visit/1"].due_on
    desk_of.confirm(number)
    steps.cancel_visit(number, desk_of.end(), by="li")
    assert services()["HT-1/1/1/visit/1"].due_on == promised > date(2026, 5, 11)
    desk_of.confirm(number, "2026-08-10")
    clock.move_to("2026-08-15T09:00:00+08:00")  # a Saturday after the promised day
    steps.miss_visit(number, desk_of.end(), by="li")
    assert services()["HT-1/1/1/visit/1"].due_on == date(2026, 8, 17)


def test_taking_up_again_what_another_visit_has_used_needs_a_manager():
    from mailcare.contracts.steps import add_visit

    number = desk_of.planned_visit()
    steps.cancel_visit(number, desk_of.end(), by="li")
    add_visit("HT-1", "head-office", date(2026, 6, 1), by="li")
    with pytest.raises(FormError, match="合同外"):
        desk_of.propose(number)
    grant_role("boss", Role.MANAGER, by="test")
    desk_of.propose(number, by="boss")
    assert desk_of.balance().over == 1
    assert "合同外，由 boss 批准" in desk_of.letters()[-1].body


def test_a_missed_visit_gives_back_but_not_before_its_day(clock):
    number = desk_of.planned_visit()
    desk_of.confirm(number)
    with pytest.raises(InputError, match="不能提前"):
        steps.miss_visit(number, desk_of.end(), by="li")
    clock.move_to(f"{FIRST}T17:00:00+08:00")
    steps.miss_visit(number, desk_of.end(), by="li")
    assert desk_of.visit(number).state is VisitState.NO_SHOW
    assert desk_of.balance().left == 1


def test_a_visit_starts_on_its_day_and_with_an_engineer(clock):
    import_site(LAB_SITE, recorded_by="test")
    number = desk_of.planned_visit(systems=["shili-bank-lab"])
    desk_of.confirm(number)
    clock.move_to(f"{FIRST}T09:00:00+08:00")
    with pytest.raises(InputError, match="工程师"):
        steps.start_visit(number, by="lin")
    desk_of.assign(number)
    steps.start_visit(number, by="lin")
    with pytest.raises(InputError, match="不能开始"):
        steps.start_visit(number, by="lin")
    with pytest.raises(InputError, match="不能再更换"):
        desk_of.assign(number)


def test_each_reminder_goes_once_to_both_sides_and_anew_after_a_move(clock):
    number = desk_of.planned_visit()
    desk_of.assign(number)
    desk_of.confirm(number)
    told = []
    for day in range(1, 21):
        clock.move_to(f"2026-05-{day:02d}T09:00:00+08:00")
        if day == 8:
            steps.move_visit(number, desk_of.move(), by="li")
        told += [(day, letters) for _ in range(2) if (letters := steps.remind_visits())]
    # Ten (late: the holidays) and three working days before the 11th, then anew for the 18th.
    assert told == [(6, 2), (7, 2), (8, 2), (13, 2), (15, 2)]


def test_two_visits_of_a_year_are_apart():
    desk_of.planned_visit(visits_per_year=2)
    first, second = desk_of.open_visits()
    desk_of.confirm(first)
    desk_of.confirm(second, SECOND)
    steps.cancel_visit(first, desk_of.end(), by="li")
    assert (desk_of.balance().planned, desk_of.balance().left) == (1, 1)


def test_a_service_that_is_no_visit_or_no_longer_owed_is_not_opened():
    from mailcare.contracts.steps import change_contract, plan_due
    from tests.contracts.desk import NEW_YEAR, add_contract, form

    add_contract()
    plan_due(today=NEW_YEAR)
    with pytest.raises(InputError, match="没有这个编号"):
        steps.open_visit(services()["HT-1/1/1/remote_inspection/1"].id)
    change_contract("HT-1", form(visits_per_year=0), read_version=1, by="li")
    plan_due(today=NEW_YEAR)
    with pytest.raises(InputError, match="已撤销"):
        steps.open_visit(services()["HT-1/1/1/visit/1"].id)


def test_days_outside_of_the_contract_year_are_refused():
    number = desk_of.planned_visit()
    with pytest.raises(FormError, match="不在可安排的日期内"):
        desk_of.propose(number, "2027-03-01")
