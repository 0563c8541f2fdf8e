"""What people do about faults on the console, over a test client."""

import re
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from shutil import copy

import pytest
import time_machine
from openpyxl import load_workbook

from mailcare.faults.steps import fault_detail, sweep, timeline
from mailcare.records.customers import Authorisation
from mailcare.records.session import reading
from tests.delivery.desk import letters

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
KEY, OTHER_KEY = (f"console/00000000-0000-4000-8000-{n:012}" for n in (1, 2))
FORM = {
    "key": KEY,
    "site": "shili-bank-lab",
    "level": "P1",
    "description": "全行无法收发邮件\n<script>alert(1)</script>",
    "contact": "王示例",
    "contact_details": "分机 1000",
}
PDF = {"file": ("mail.pdf", b"%PDF-1.7\n", "application/pdf")}


@pytest.fixture
def database_url(sqlite_template: Path, tmp_path: Path) -> str:
    """Return one database: what is recorded is tested on both with the faults themselves."""
    copy(sqlite_template, tmp_path / "mailcare.db")
    return f"sqlite:///{tmp_path / 'mailcare.db'}"


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as now:
        yield now


@pytest.fixture
def client(login):
    return login("engineer")


def declare(client, **changes) -> str:
    answer = client.post("/faults/new", data=FORM | changes)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"].partition("?")[0]


def record(client, path: str, type_: str, **words):
    seen = re.search(r'name="seen" value="(\d+)"', client.get(path).text)[1]
    return client.post(f"{path}/event", data={"type": type_, "seen": seen} | words)


def test_a_fault_is_declared_with_few_words_and_stands_on_the_board(client):
    path = declare(client)
    page = client.get(path).text
    assert "GZ-2026-00001" in page
    assert "示例银行" in page
    assert "HT-2026-001" in page
    assert "&lt;script&gt;" in page
    board = client.get("/faults").text
    assert 'http-equiv="refresh"' in board
    assert "还剩 15分" in board
    assert "待受理" in board


def test_the_levels_stand_with_their_meaning_beside_the_choice(client):
    page = client.get("/faults/new").text
    assert page.count('type="radio"') == 4
    assert "现有的网络停机，或对最终用户的业务运作有重大影响" in page


def test_a_form_sent_twice_is_one_fault(client):
    assert declare(client) == declare(client)
    assert client.get("/faults/all").text.count("/faults/1") == 1


@pytest.mark.parametrize("key", ["", "mail/7", "run/manual", "console/x", f"{KEY}\0", KEY + "0"])
def test_a_key_that_is_none_of_the_consoles_own_is_refused(client, key):
    assert client.post("/faults/new", data=FORM | {"key": key}).status_code == 400
    path = declare(client)
    assert client.post(f"{path}/note", data={"text": "x", "key": key}).status_code == 400
    assert len(timeline(1)) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"level": ""}, "level-error"),
        ({"site": "nowhere"}, "没有登记这个系统"),
        ({"site": ""}, "请填写客户或系统"),
        ({"customer": "另一客户"}, "这个系统不是该客户的"),
        ({"declared_at": "2026-03-02T09:01"}, "申报时间不能晚于现在"),
        ({"description": "x" * 4001}, "不能超过 4000 个字"),
        ({"follows": "GZ-1"}, "没有登记这个故障"),
    ],
)
def test_what_is_wrong_is_said_and_what_was_entered_stays(client, changes, said):
    answer = client.post("/faults/new", data=FORM | changes)
    assert answer.status_code == 422
    assert said in answer.text
    assert "全行无法收发邮件" in answer.text or "description" in changes


def test_a_declaration_takes_several_files_and_shows_the_contract_version(client):
    more = ("screen.png", b"\x89PNG\r\n\x1a\n", "image/png")
    answer = client.post("/faults/new", data=FORM, files=[("file", PDF["file"]), ("file", more)])
    page = client.get(answer.headers["location"]).text
    assert ">mail.pdf</a>" in page
    assert ">screen.png</a>" in page
    assert "HT-2026-001 v1</a>" in page


def test_a_file_that_is_no_evidence_is_refused(client):
    bad = {"file": ("x.exe", b"MZ", "application/octet-stream")}
    answer = client.post("/faults/new", data=FORM, files=bad)
    assert answer.status_code == 422
    assert "只收" in answer.text


def test_a_fault_without_contract_is_taken_and_flagged(client):
    path = declare(client, site="", customer="另一客户")
    assert "合同外" in client.get(path).text
    assert "合同外" in client.get("/faults").text


def test_the_whole_course_of_a_fault_is_recorded_on_its_page(client, clock):
    path = declare(client)
    for minute, (type_, words) in enumerate([
        ("accepted", {}),
        ("first_contact", {"channel": "phone"}),
        ("paused", {"reason": "awaiting_authorisation", "remark": "已请客户授权"}),
        ("resumed", {"authorisation": "1", "remark": "授权已取得"}),
        ("level_changed", {"level": "P2", "why": "misclassified", "agreed": "1", "remark": "邮件"}),
        ("handled", {"kind": "workaround"}),
        ("handled", {"kind": "fix"}),
        ("reopened", {}),
        ("handled", {"kind": "fix"}),
    ], 1):  # fmt: skip
        clock.move_to(NOW.replace(minute=minute))
        answer = record(client, path, type_, **words)
        assert answer.status_code == 303, (type_, answer.text)
    for type_ in ("declared", "report_sent", "report_returned", "signed", "boom"):
        assert record(client, path, type_, remark="x").status_code == 422, type_
    page = client.get(path).text
    assert "已处理，待送报告" in page
    assert "/authorisations/1" in page
    entries = [one.title for one in timeline(1) if one.kind == "event"]
    assert entries == [
        "申报", "受理", "首次联系", "暂停", "恢复", "级别变更", "处理完成", "处理完成", "重新打开",
        "处理完成",
    ]  # fmt: skip
    row = fault_detail(1, at=datetime(2026, 3, 2, 2, tzinfo=UTC)).row
    assert (row.level, row.state) == ("P2", "handled")


def test_a_paused_fault_says_why_on_the_board_and_does_not_run(client, clock):
    path = declare(client)
    record(client, path, "first_contact", channel="phone")
    record(client, path, "paused", reason="customer_change_window", remark="今晚窗口")
    clock.move_to(NOW.replace(day=9))
    board = client.get("/faults").text
    assert "等待客户变更窗口" in board
    assert 'class="quiet">暂停' in board


def test_why_a_promise_broke_is_recorded_and_stands_in_the_figures(client, clock):
    path = declare(client)
    assert "超时原因" not in client.get(path).text
    clock.shift(timedelta(hours=1))
    sweep(at=datetime.now(UTC))
    reason = {"broken": "response/1", "cause": "staffing", "text": "值班人员同时处理两起故障"}
    wrong = (
        {"broken": "resolution/1"}, {"broken": "x"}, {"cause": "weather"}, {"text": ""},
        {"text": "长" * 501},
    )  # fmt: skip
    for changes in wrong:
        assert client.post(f"{path}/reason", data=reason | changes).status_code == 422
    assert client.post(f"{path}/reason", data=reason).status_code == 303
    again = reason | {"cause": "other", "text": "补充"}
    assert client.post(f"{path}/reason", data=again).status_code == 303

    said = ["人手不足：值班人员同时处理两起故障", "其他：补充"]
    assert [one.text for one in timeline(1) if one.kind == "reason"] == said
    page = client.get("/reports/figures?since=2026-03-01&until=2026-03-03").text
    assert "；".join(said) in page
    book = load_workbook(
        BytesIO(client.get("/reports/figures.xlsx?since=2026-03-01&until=2026-03-03").content)
    )
    assert [row[-1] for row in book["违约与超目标"].values][1:] == ["；".join(said)]


def test_a_provisional_report_says_why_on_the_page_and_is_marked_on_the_board(client, clock):
    clock.move_to(datetime(2026, 12, 30, 6, tzinfo=UTC))
    path = declare(client)
    clock.move_to(datetime(2026, 12, 30, 7, tzinfo=UTC))
    record(client, path, "handled", kind="fix")
    page = client.get(path).text
    assert "注：本期限涉及尚未公布的2027年度放假安排" in page
    assert "（暂行，最早 2027-01-03 24:00）" in page
    assert "（暂行）" in client.get("/faults").text


def test_the_second_of_two_is_told_and_sees_what_happened(client):
    path = declare(client)
    seen = {"seen": "1"}
    assert client.post(f"{path}/event", data={"type": "accepted"} | seen).status_code == 303
    answer = client.post(f"{path}/event", data={"type": "cancelled"} | seen)
    assert answer.status_code == 409
    assert "登记了「受理」" in answer.text
    assert "已撤销" not in [one.title for one in timeline(1)]


@pytest.mark.parametrize(
    ("type_", "words", "said"),
    [
        ("paused", {"reason": "third_party"}, 'id="remark-error">暂停须写明依据'),
        ("paused", {"reason": "lunch", "remark": "x"}, "不认识"),
        ("resumed", {}, "不在暂停中"),
        ("reopened", {}, "未处理完成"),
        ("merged", {"into": ""}, "未填写"),
        ("merged", {"into": "GZ-2026-00009"}, 'id="into-error">该客户没有编号为'),
        ("level_changed", {"level": "P1", "why": "worsened"}, 'id="level-error">级别已经是'),
        ("nonsense", {}, "「nonsense」不能这样登记"),
        ("accepted", {"at": "2026-03-02T10:00"}, 'id="at-error">时间 2026-03-02 10:00:00 晚于'),
        ("accepted", {"at": "2026-03-01T10:00"}, 'id="at-error">时间 2026-03-01 10:00:00 早于'),
        ("accepted", {"at": "later"}, 'id="at-error"'),
        ("accepted", {"remark": "长" * 501}, 'id="remark-error"'),
        ("handled", {"kind": "fix", "authorisation": "9"}, "没有这份授权"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(client, type_, words, said):
    path = declare(client)
    answer = record(client, path, type_, **words)
    assert answer.status_code == 422
    assert said in answer.text
    assert len(timeline(1)) == 1


def test_evidence_is_handed_out_as_it_came(client):
    path = declare(client)
    client.post(f"{path}/note", data={"text": "见附件", "key": KEY}, files=PDF)
    client.post(f"{path}/note", data={"text": "见附件", "key": KEY}, files=PDF)
    page = client.get(path).text
    [link] = re.findall(r'href="(/faults/1/files/\d+)"', page)
    answer = client.get(link)
    assert answer.content == PDF["file"][1]
    assert answer.headers["content-disposition"].startswith("attachment")
    assert client.get("/faults/1/files/99").status_code == 404


def test_an_auditor_looks_and_does_not_touch(login):
    path = declare(login("engineer"))
    auditor = login("auditor")
    page = auditor.get(path)
    assert page.status_code == 200
    assert "/event" not in page.text
    assert auditor.get("/faults/new").status_code == 403
    assert auditor.post(f"{path}/event", data={"type": "accepted", "seen": "1"}).status_code == 403


def test_an_authorisation_is_asked_for_by_letter_and_pauses_the_fault(client):
    path = declare(client)
    asked = client.post(f"{path}/authorisation", data={"seen": "1"})
    assert asked.status_code == 303
    [letter] = letters()
    assert letter.fault_id == 1
    assert "mx1" in letter.body
    assert "GZ-2026-00001" in letter.subject
    page = client.get(path).text
    assert "等待远程授权；已发信索取授权" in page
    assert client.post(f"{path}/authorisation", data={"seen": "1"}).status_code == 409
    assert client.post(f"{path}/authorisation", data={"seen": "2"}).status_code == 422
    assert len(letters()) == 1
    outside = declare(client, site="", customer="另一客户", key=OTHER_KEY)
    assert client.post(f"{outside}/authorisation", data={"seen": "1"}).status_code == 422


def test_a_follow_up_inspection_is_asked_for_once_until_it_has_begun(client):
    path = declare(client)
    for _ in range(2):
        assert client.post(f"{path}/inspection").status_code == 303
    page = client.get(path).text
    assert page.count("inspect__GZ-2026-00001__") == 1
    assert "待启动" in page
    outside = declare(client, site="", customer="另一客户", key=OTHER_KEY)
    assert client.post(f"{outside}/inspection").status_code == 422


def test_every_column_and_word_has_an_english_one():
    from mailcare.console import fault_page, faults
    from mailcare.console.words import ENGLISH
    from mailcare.faults.wording import STAGE_TITLES, STATE_TITLES, WORD_TITLES

    columns = (*faults.BOARD, *faults.FAULTS, *fault_page.CLOCKS)
    said = {column.title for column in columns} | set(fault_page.TITLES.values())
    said |= {doing.title for doing in fault_page.ACTIONS.values()}
    said |= {*STAGE_TITLES.values(), *STATE_TITLES.values(), *WORD_TITLES.values()}
    assert len(said) > 40
    assert not sorted(said - set(ENGLISH))


def test_the_board_and_the_list_are_excel_files_with_the_same_rows(client):
    declare(client)
    for path in ("/faults.xlsx", "/faults/all.xlsx"):
        sheet = load_workbook(BytesIO(client.get(path).content)).active
        rows = list(sheet.iter_rows(values_only=True))
        assert len(rows) == 2
        assert "GZ-2026-00001" in rows[1]


def test_a_fault_that_is_not_there_is_not_found(client):
    assert client.get("/faults/9").status_code == 404
    assert client.post("/faults/9/event", data={"type": "accepted", "seen": "1"}).status_code == 404


def test_the_authorisation_that_is_offered_is_the_systems_own(client):
    with reading() as session:
        assert session.get(Authorisation, 1) is not None
    path = declare(client)
    record(client, path, "paused", reason="awaiting_authorisation", remark="x")
    assert '<option value="1">#1' in client.get(path).text
