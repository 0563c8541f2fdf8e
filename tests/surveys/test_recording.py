from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
import time_machine
from sqlalchemy import Engine, select
from sqlalchemy.exc import IntegrityError

from mailcare.contracts.forms import FormError, read_form
from mailcare.errors import InputError
from mailcare.listing import Wish
from mailcare.papers.steps import paper_detail
from mailcare.records.people import AuditEntry, EvidenceFile
from mailcare.records.session import reading, transaction
from mailcare.records.surveys import AnswerWay, Survey, SurveyAnswer, SurveyCall, SurveyState
from mailcare.surveys.forms import PeriodForm
from mailcare.surveys.steps import (
    correct_answer,
    figures,
    follow_up,
    list_calls,
    list_surveys,
    open_survey,
    record_answer,
    record_call,
    record_sheet,
    sheet_of,
    survey_detail,
)
from tests.surveys.desk import (
    ASKED_AT,
    SCAN,
    add_customer,
    answer,
    ask,
    call,
    correction,
    ended,
    hire,
)

NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def database(database_url: str, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILCARE_DB_URL", database_url)


@pytest.fixture
def survey() -> int:
    return ask(ended(add_customer()))


@pytest.fixture(autouse=True)
def noon():
    with time_machine.travel(NOON, tick=False):
        yield


def answers() -> list[SurveyAnswer]:
    with reading() as session:
        return list(session.scalars(select(SurveyAnswer)))


def state(survey: int) -> SurveyState:
    return survey_detail(survey).row.state


def test_b24_a_case_is_asked_about_once_a_version():
    case = ended(add_customer())
    first = ask(case)

    assert ask(case) == first
    assert ask(replace(case, subject="anything else")) == first
    assert ask(replace(case, case_version=2)) != first
    assert list_surveys(Wish()).total == 2


def test_the_contact_who_can_be_called_is_asked_unless_the_case_names_one():
    customer = add_customer()
    row = survey_detail(ask(ended(customer))).row
    named = survey_detail(ask(ended(customer, case_id=2, contact="钱示例", phone="0000-9"))).row

    assert (row.contact, row.phone) == ("王示例", "0000-1234")
    assert (named.contact, named.phone) == ("钱示例", "0000-9")


def test_a_survey_opens_with_its_case_or_not_at_all():
    case = ended(add_customer())

    def end_the_case() -> None:
        with transaction() as session:
            open_survey(session, case, at=ASKED_AT)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        end_the_case()
    assert list_surveys(Wish()).total == 0


def test_an_answer_by_phone_is_kept_with_who_when_and_how(survey):
    record_answer(survey, answer(effect="", comments="很快"), by="service")

    found = survey_detail(survey)
    assert found.answer is not None
    assert (found.answer.way, found.answer.satisfaction) == (AnswerWay.CALL, 5)
    assert found.answer.effect is None
    assert (found.answer.recorded_by, found.answer.recorded_at) == ("service", NOON)
    assert [one.outcome for one in found.calls] == ["answered"]
    assert found.row.state is SurveyState.ANSWERED
    assert list_calls(Wish()).total == 0
    with reading() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "answer")).one()
    assert (entry.by, entry.subject) == ("service", f"survey/{survey}")


def test_a_signed_sheet_is_kept_with_its_scan_and_refused_without(survey):
    with pytest.raises(FormError, match="扫描件"):
        record_sheet(survey, answer(), None, by="service")
    with pytest.raises(FormError, match="只收"):
        record_sheet(survey, answer(), ("sheet.pdf", b"MZ no paper"), by="service")
    assert answers() == []

    record_sheet(survey, answer(), SCAN, by="service")

    found = survey_detail(survey)
    assert found.answer is not None
    assert found.answer.way is AnswerWay.SHEET
    assert found.answer.scan_name == "sheet.pdf"
    assert found.calls == ()
    with reading() as session:
        assert session.scalars(select(EvidenceFile)).one().sha256 == found.answer.scan_sha256
    [returned] = paper_detail(sheet_of(survey)).returned
    assert (returned.sha256, returned.signer) == (found.answer.scan_sha256, "王示例")
    assert returned.signed_on == date(2026, 3, 2)


def test_the_engineer_who_handled_the_case_may_not_record_its_answer(survey):
    with pytest.raises(InputError, match="不能登记自己的评价"):
        record_answer(survey, answer(), by="engineer")
    with pytest.raises(InputError, match="不能登记自己的评价"):
        record_sheet(survey, answer(), SCAN, by="engineer")
    with pytest.raises(InputError, match="不能登记自己的评价"):
        record_call(survey, call(outcome="refused"), by="engineer")
    assert answers() == []
    assert state(survey) is SurveyState.ASKED


def test_of_a_case_that_no_engineer_is_known_of_no_engineer_records_the_answer():
    hire("zhao")
    survey = ask(ended(add_customer(), handled_by=("zhoa",)))  # mistyped
    with pytest.raises(InputError, match="没有记录"):
        record_answer(survey, answer(), by="zhao")
    record_answer(survey, answer(), by="service")
    with pytest.raises(InputError, match="没有记录"):
        correct_answer(survey, correction(), by="zhao")
    assert len(answers()) == 1


def test_nothing_is_pre_filled_and_an_empty_answer_is_none(survey):
    with pytest.raises(FormError, match="都是空的"):
        answer(satisfaction="", attitude="", skill="", effect="")
    record_answer(survey, answer(satisfaction="", attitude="0", skill="", effect=""), by="service")

    [kept] = answers()
    assert (kept.satisfaction, kept.attitude) == (None, 0)


@pytest.mark.parametrize("score", ["6", "-1", "4.5", "很好", "1e0"])
def test_a_score_that_the_form_does_not_have_is_told_beside_its_field(score):
    with pytest.raises(FormError) as error:
        answer(skill=score)
    assert [one.path for one in error.value.complaints] == [("skill",)]


def test_an_answer_from_before_the_work_or_from_the_future_is_refused(survey):
    with pytest.raises(FormError, match="早于服务起始"):
        record_answer(survey, answer(answered_at="2026-02-27T08:59"), by="service")
    with pytest.raises(FormError, match="晚于现在"):
        record_answer(survey, answer(answered_at="2026-03-02T12:01"), by="service")
    assert answers() == []


def test_of_two_who_record_at_once_one_is_told(survey):
    def record(by: str) -> str:
        try:
            record_answer(survey, answer(), by=by)
        except InputError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(2) as pool:
        told = sorted(pool.map(record, ["service", "boss"]))
    assert told[0] == ""
    assert "已有答复" in told[1] or "另一人" in told[1]
    assert len(answers()) == 1


def test_a_corrected_answer_is_a_new_version_and_counts_once(survey):
    record_answer(survey, answer(satisfaction="1", effect=""), by="service")
    right = correction(satisfaction="5", effect="3")
    with pytest.raises(InputError, match="不能登记自己的评价"):
        correct_answer(survey, right, by="engineer")
    correct_answer(survey, right, by="boss")
    with pytest.raises(InputError, match="另一人"):
        correct_answer(survey, right, by="service")

    found = survey_detail(survey)
    assert found.answer is not None
    assert (found.answer.version, found.answer.satisfaction, found.answer.way) == (2, 5, "call")
    assert (found.answer.reason, found.answer.recorded_by) == ("听错了", "boss")
    assert [(one.version, one.satisfaction, one.effect) for one in found.corrected] == [
        (1, 1, None)
    ]
    day = read_form(PeriodForm, {"since": "2026-03-01", "until": "2026-03-31"})
    overall = figures(day).overall
    assert (overall.asked, overall.answered, overall.rate_pct) == (1, 1, 100)
    assert {name: (one.count, one.mean) for name, one in overall.tallies.items()} == {
        "satisfaction": (1, 5), "attitude": (1, 4), "skill": (1, 5), "effect": (1, 3),
        "overall": (4, 4.25),
    }  # fmt: skip


def test_only_an_answer_is_corrected_and_with_a_reason(survey):
    with pytest.raises(InputError, match="还没有答复"):
        correct_answer(survey, correction(), by="service")
    with pytest.raises(FormError) as error:
        correction(reason=" ")
    assert [one.path for one in error.value.complaints] == [("reason",)]


def test_an_answer_that_another_one_was_faster_with_is_told_and_not_kept(survey):
    record_call(survey, call(), by="service")
    with transaction() as session:
        values = answer().model_dump() | {"way": AnswerWay.CALL, "recorded_by": "boss"}
        session.add(
            SurveyAnswer(survey_id=survey, version=1, reason="", recorded_at=NOON, **values)
        )
    with pytest.raises(InputError, match="另一人"):
        record_answer(survey, answer(), by="service")
    assert state(survey) is SurveyState.ASKED
    assert len(survey_detail(survey).calls) == 1


def test_an_answer_is_never_changed(survey):
    record_answer(survey, answer(), by="service")
    with pytest.raises(TypeError, match="append-only"), transaction() as session:
        session.scalars(select(SurveyAnswer)).one().attitude = 5


def test_the_database_refuses_a_score_out_of_the_form_and_a_sheet_without_scan(survey):
    values = {
        "survey_id": survey,
        "version": 1,
        "reason": "",
        "way": AnswerWay.CALL,
        "comments": "",
        "answered_by": "王示例",
        "answered_at": NOON,
        "recorded_by": "service",
        "recorded_at": NOON,
    }
    for wrong in ({"skill": 6}, {"way": AnswerWay.SHEET}):
        with pytest.raises(IntegrityError), transaction() as session:
            session.add(SurveyAnswer(**values | wrong))


def test_calls_without_an_answer_are_kept_and_a_refusal_ends_the_asking(survey):
    again = {"outcome": "call_again", "call_again_at": "2026-03-03T15:00"}
    record_call(survey, call(), by="service")
    record_call(survey, call(attempt="2", best_hours="下午三点后", **again), by="service")
    found = survey_detail(survey)
    assert [one.outcome for one in found.calls] == ["no_answer", "call_again"]
    assert found.row.call_again_at == datetime(2026, 3, 3, 7, 0, tzinfo=UTC)
    assert found.best_hours == "下午三点后"

    record_call(survey, call(attempt="3", outcome="refused"), by="service")

    assert state(survey) is SurveyState.REFUSED
    with pytest.raises(InputError, match="谢绝"):
        record_answer(survey, answer(), by="service")
    with pytest.raises(InputError, match="谢绝"):
        record_call(survey, call(attempt="4"), by="service")


def test_a_call_sent_twice_is_one_call(survey):
    record_call(survey, call(), by="service")
    with pytest.raises(InputError, match="已登记过一次"):
        record_call(survey, call(), by="service")
    with pytest.raises(InputError, match="已登记过一次"):
        record_call(survey, call(outcome="refused"), by="service")

    assert state(survey) is SurveyState.ASKED
    with reading() as session:
        assert len(session.scalars(select(SurveyCall)).all()) == 1


def test_a_call_that_is_to_be_repeated_says_when():
    with pytest.raises(FormError, match="再打时间"):
        call(outcome="call_again")
    with pytest.raises(FormError):
        call(outcome="answered")


def test_what_the_customer_said_of_good_hours_holds_for_the_next_case(survey):
    record_call(survey, call(best_hours="上午"), by="service")
    with reading() as session:
        customer = session.scalars(select(Survey.customer_id)).one()

    assert survey_detail(ask(ended(customer, case_id=2))).best_hours == "上午"
    assert survey_detail(ask(ended(add_customer("另一客户"), case_id=3))).best_hours.startswith(
        "工作日"
    )


def test_b24_a_survey_is_reminded_of_twice_and_let_go(survey):
    def steps(*days: int) -> list[tuple[str, int]]:
        done = [one for day in days for one in follow_up(today=date(2026, 3, day))]
        return [(one.step, one.reminders) for one in done]

    assert steps(3, 4) == []
    assert steps(5, 5) == [("remind", 1)]
    assert state(survey) is SurveyState.REMINDED
    assert steps(10, 11, 13) == [("remind", 2)]
    assert steps(16, 17) == [("expire", 2)]
    assert state(survey) is SurveyState.EXPIRED
    with pytest.raises(InputError, match="过期"):
        record_answer(survey, answer(), by="service")


def test_a_sheet_that_comes_after_all_is_still_taken(survey):
    follow_up(today=date(2026, 3, 16))
    record_sheet(survey, answer(), SCAN, by="service")

    assert state(survey) is SurveyState.ANSWERED
    assert follow_up(today=date(2026, 3, 31)) == ()


def test_the_next_call_stands_first_and_a_visit_is_asked_on_its_sheet():
    customer = add_customer()
    late = ask(ended(customer), at=ASKED_AT)
    soon = ask(ended(customer, case_id=2), at=ASKED_AT.replace(hour=1))
    ask(ended(customer, case_kind="visit", case_id=3))
    record_call(soon, call(outcome="call_again", call_again_at="2026-03-04T09:00"), by="service")

    assert [one.id for one in list_calls(Wish()).rows] == [late, soon]
    assert list_surveys(Wish(text="另一")).total == 0


def test_a_survey_that_is_not_recorded_is_said_to_be_none():
    with pytest.raises(InputError, match="没有这份"):
        survey_detail(99)
