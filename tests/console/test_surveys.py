"""What customer service does about satisfaction, page by page."""

import re
from datetime import UTC, datetime
from io import BytesIO

import pytest
import time_machine
from openpyxl import load_workbook
from sqlalchemy import select

from mailcare.records.session import reading
from mailcare.records.surveys import SurveyAnswer, SurveyCall
from mailcare.surveys.scores import QUESTIONS
from tests.console.refusing import LARGE, LONG, TEXT, recorded, refuse_each
from tests.surveys.desk import ASKED_AT, SCAN, ask, ended

DATABASES = ["sqlite"]
ANSWER = {
    "satisfaction": "5",
    "attitude": "0",
    "skill": "",
    "effect": "4",
    "comments": "=1+1 <b>很好</b>",
    "answered_by": "王示例",
    "answered_at": "2026-03-02T10:30",
    "way": "call",
}

CALL = {"attempt": "1", "outcome": "no_answer"}
SHEET = ANSWER | {"way": "sheet"}
BLANK = dict.fromkeys((*QUESTIONS, "comments"), "")
WRONG = (
    *(
        ("answer", ANSWER | {"skill": one}, None, "skill")
        for one in ("6", "-1", "4.5", "很好", "1e0")
    ),
    ("answer", ANSWER | {"skill": ["5", "0"]}, None, "skill"),
    ("answer", ANSWER | BLANK, None, "comments"),
    ("answer", ANSWER | {"comments": LONG}, None, "comments"),
    ("answer", ANSWER | {"comments": "a\x07b"}, None, "comments"),
    ("answer", ANSWER | {"answered_by": " "}, None, "answered_by"),
    ("answer", ANSWER | {"answered_at": "昨天"}, None, "answered_at"),
    ("answer", ANSWER | {"answered_at": "2026-03-02T12:01"}, None, "answered_at"),
    ("answer", ANSWER | {"answered_at": "2026-02-27T08:59"}, None, "answered_at"),
    ("answer", ANSWER | {"outcome": "refused"}, None, "outcome"),
    ("answer", SHEET, None, "file"),
    ("answer", SHEET, TEXT, "file"),
    ("answer", SHEET, LARGE, "file"),
    ("call", CALL | {"outcome": ""}, None, "outcome"),
    ("call", CALL | {"outcome": "answered"}, None, "outcome"),
    ("call", CALL | {"outcome": "refused", "satisfaction": "5"}, None, "outcome"),
    ("call", CALL | {"outcome": "call_again"}, None, "call_again_at"),
    ("call", CALL | {"call_again_at": "2026-03-02T11:59"}, None, "call_again_at"),
    ("call", CALL | {"call_again_at": "明天"}, None, "call_again_at"),
    (
        "call",
        CALL | {"outcome": "refused", "call_again_at": "2026-03-03T15:00"},
        None,
        "call_again_at",
    ),
    ("call", CALL | {"note": LONG}, None, "note"),
)


@pytest.fixture
def survey(records) -> int:
    return ask(ended(1, outcome="已恢复外发"), at=ASKED_AT)


@pytest.fixture(autouse=True)
def noon():
    with time_machine.travel(datetime(2026, 3, 2, 4, 0, tzinfo=UTC), tick=False):
        yield


def answers() -> list[SurveyAnswer]:
    with reading() as session:
        return list(session.scalars(select(SurveyAnswer)))


def test_the_form_shows_whom_to_call_and_what_to_say_and_no_score(login, survey):
    page = login("boss").get(f"/surveys/{survey}").text

    assert "您对本次的「技术水平」打几分？" in page
    assert "已恢复外发" in page
    assert "工作日 9:00–11:30" in page
    for question in QUESTIONS:
        assert page.count(f'name="{question}"') == 7  # six scores and 未评
    scores = page[page.index("<fieldset") : page.index('id="comments"')]
    assert "checked" not in scores


def test_an_answer_is_recorded_and_shown_with_its_words(login, survey):
    client = login("boss")
    answer = client.post(f"/surveys/{survey}/answer", data=ANSWER)
    assert answer.status_code == 303

    page = client.get(f"/surveys/{survey}").text
    assert "5 分（很好）" in page
    assert "0 分（恶性事件）" in page
    assert "未评" in page
    assert "<b>很好</b>" not in page
    assert "登记答复" not in page
    [kept] = answers()
    assert (kept.attitude, kept.skill, kept.recorded_by) == (0, None, "boss")

    put = ANSWER | {"attitude": "3", "version": "1", "reason": ""}
    wrong = client.post(f"/surveys/{survey}/correct", data=put)
    assert wrong.status_code == 422
    assert 'id="reason-error"' in wrong.text
    assert wrong.text.count('value="" checked') == 1  # 技术水平 stays as it was: not given
    corrected = client.post(f"/surveys/{survey}/correct", data=put | {"reason": "听错了"})
    assert corrected.status_code == 303
    page = client.get(f"/surveys/{survey}").text
    assert "更正前的答复" in page
    assert "3 分（一般）" in page


def test_what_is_wrong_stands_beside_the_field_and_what_was_said_is_kept(login, survey):
    wrong = ANSWER | {"effect": "7", "answered_at": "gestern"}
    answer = login("boss").post(f"/surveys/{survey}/answer", data=wrong)

    assert answer.status_code == 422
    assert 'id="effect-error"' in answer.text
    assert 'id="answered_at-error"' in answer.text
    assert 'name="satisfaction" value="5" checked' in answer.text
    assert answers() == []


def test_whatever_is_wrong_is_told_beside_its_field_and_nothing_is_written(login, survey):
    client = login("boss")
    refuse_each(client, f"/surveys/{survey}", WRONG)
    twice = client.post(f"/surveys/{survey}/answer", data=ANSWER | {"skill": ["5", "0"]}).text
    assert re.findall(r'name="skill" value="\d?" checked', twice) == []


def test_a_form_that_comes_again_or_for_another_survey_writes_nothing(login, survey):
    client = login("boss")
    again = ask(ended(1, case_version=2), at=ASKED_AT)  # the same fault came back
    assert client.post(f"/surveys/{survey}/answer", data=ANSWER).status_code == 303
    before = recorded()
    scanned = client.post(
        f"/surveys/{survey}/answer", data=ANSWER | {"way": "sheet"}, files={"file": SCAN}
    )
    put = ANSWER | {"version": "2", "reason": "听错了"}
    for refused, said in (
        (client.post(f"/surveys/{survey}/answer", data=ANSWER), "已有答复"),
        (scanned, "已有答复"),
        (client.post(f"/surveys/{survey}/call", data=CALL), "已有答复"),
        (client.post(f"/surveys/{survey}/correct", data=put), "重新打开"),
        (client.post(f"/surveys/{again}/correct", data=put), "还没有答复"),
    ):
        assert refused.status_code == 422
        assert said in refused.text
    assert client.post("/surveys/4711/answer", data=ANSWER).status_code == 404
    assert client.post("/surveys/4711/call", data=CALL).status_code == 404
    assert recorded() == before


def test_no_engineer_records_where_nobody_knows_whose_case_it_was(login, records):
    survey = ask(ended(1, handled_by=()), at=ASKED_AT)
    client, before = login("engineer"), recorded()
    assert "由哪位工程师处理没有记录" in client.get(f"/surveys/{survey}").text
    for path, data in (("answer", ANSWER), ("call", CALL)):
        refused = client.post(f"/surveys/{survey}/{path}", data=data)
        assert refused.status_code == 422
        assert "由客服或主管登记" in refused.text
    assert recorded() == before
    assert login("boss").post(f"/surveys/{survey}/answer", data=ANSWER).status_code == 303


def test_a_signed_sheet_needs_its_scan_and_is_handed_out_as_it_came(login, survey):
    client = login("boss")
    sheet = ANSWER | {"way": "sheet"}
    refused = client.post(f"/surveys/{survey}/answer", data=sheet)
    assert refused.status_code == 422
    assert "扫描件" in refused.text

    client.post(f"/surveys/{survey}/answer", data=sheet, files={"file": SCAN})

    handed_out = client.get(f"/surveys/{survey}/scan")
    assert handed_out.content == SCAN[1]
    assert "attachment" in handed_out.headers["content-disposition"]
    assert client.get("/surveys/99/scan").status_code == 404


def test_the_engineer_of_the_case_sees_no_form_and_is_refused(login, survey):
    client = login("engineer")
    assert "不能登记自己的评价" in client.get(f"/surveys/{survey}").text
    answer = client.post(f"/surveys/{survey}/answer", data=ANSWER)

    assert answer.status_code == 422
    assert "不能登记自己的评价" in answer.text
    # Nor does the engineer say that the customer would not answer.
    assert client.post(f"/surveys/{survey}/call", data=CALL).status_code == 422
    assert answers() == []


def test_a_call_without_an_answer_is_kept_and_sorts_the_list(login, survey):
    client = login("boss")
    call = {"attempt": "1", "outcome": "call_again", "best_hours": "下午三点后"}
    assert client.post(f"/surveys/{survey}/call", data=call).status_code == 422
    call |= {"call_again_at": "2026-03-03T15:00"}
    assert client.post(f"/surveys/{survey}/call", data=call).status_code == 303
    assert client.post(f"/surveys/{survey}/call", data=call).status_code == 422

    assert "2026-03-03 15:00" in client.get("/calls").text
    assert "下午三点后" in client.get(f"/surveys/{survey}").text
    with reading() as session:
        assert [one.by for one in session.scalars(select(SurveyCall))] == ["boss"]


def test_the_auditor_looks_and_records_nothing(login, survey):
    client = login("auditor")
    page = client.get(f"/surveys/{survey}")
    assert page.status_code == 200
    assert "登记答复" not in page.text
    assert client.post(f"/surveys/{survey}/answer", data=ANSWER).status_code == 403
    assert client.post(f"/surveys/{survey}/call", data={}).status_code == 403


def test_the_figures_stand_on_the_page_and_in_the_file(login, survey):
    client = login("boss")
    client.post(f"/surveys/{survey}/answer", data=ANSWER)
    page = client.get("/surveys/figures?since=2026-03-01&until=2026-03-31").text
    assert "<svg" in page
    assert "3.00" in page  # (5 + 0 + 4) / 3
    assert "=1+1 &lt;b&gt;" in page

    file = client.get("/surveys/figures.xlsx?since=2026-03-01&until=2026-03-31")
    book = load_workbook(BytesIO(file.content))
    summary = [cell.value for cell in book["汇总"][2]]
    assert summary[1:8] == [1, 0, 1, 0, 0, 100, 5]
    assert summary[9] is None  # 技术水平: nobody gave a score
    assert book["逐份"]["K2"].value == "=1+1 <b>很好</b>"
    assert book["逐份"]["K2"].data_type == "s"


def test_the_figures_of_days_without_a_survey_are_none_and_wrong_days_are_told(login, survey):
    client = login("boss")
    empty = client.get("/surveys/figures?since=2025-01-01&until=2025-12-31")
    assert empty.status_code == 200
    assert "<svg" not in empty.text
    assert client.get("/surveys/figures.xlsx?since=2025-01-01&until=2025-12-31").status_code == 200

    for wrong in (
        "since=x", "since=2026-03-02&until=2026-03-01", "since=0001-01-01", "until=9999-12-31",
    ):  # fmt: skip
        assert client.get(f"/surveys/figures?{wrong}").status_code == 422
        assert client.get(f"/surveys/figures.xlsx?{wrong}").status_code == 400
