"""What people do with a fault's report on the console."""

import re
from pathlib import Path

import pytest

from mailcare.reports import steps
from tests.faults.desk import declared, happened

WRITTEN = {"method": "清理磁盘并重启服务", "degree": "彻底解决", "lessons": "", "opinions": ""}


@pytest.fixture
def fault(login, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("MAILCARE_HOME", str(tmp_path))
    found = declared("P1", "2026-03-02 09:00")
    happened(found, "2026-03-02 09:05 accepted", "2026-03-02 11:00 handled fix")
    return found


def version_in(page: str) -> str:
    return re.search(r'name="version" value="(\d+)"', page)[1]


def seen_of(login, fault: int) -> str:
    return version_in(login("boss").get(f"/faults/{fault}/report").text)


def begun(login, fault: int) -> str:
    page = login("engineer").post(f"/faults/{fault}/report", follow_redirects=True).text
    return version_in(page)


def submitted(login, fault: int) -> int:
    data = WRITTEN | {"version": begun(login, fault), "submit": "1"}
    report = steps.report_of(fault)
    answer = login("engineer").post(f"/reports/{report}/save", data=data)
    assert answer.status_code == 303, answer.text
    return report


def test_an_engineer_begins_with_what_was_recorded(login, fault):
    assert "起草报告" in login("engineer").get(f"/faults/{fault}/report").text
    assert "起草报告" not in login("auditor").get(f"/faults/{fault}/report").text
    page = login("engineer").post(f"/faults/{fault}/report", follow_redirects=True).text
    assert "处理完成：" in page
    assert re.search(r"\d{4}-\d\d-\d\d 24:00，内部要求当日 17:00", page)


def test_what_is_missing_is_told_beside_its_field_and_nothing_is_lost(login, fault):
    data = {"method": "", "degree": "彻底解决", "lessons": "要记住的话", "submit": "1"}
    version = begun(login, fault)
    report = steps.report_of(fault)
    answer = login("engineer").post(f"/reports/{report}/save", data=data | {"version": version})

    assert answer.status_code == 422
    assert 'id="method-error"' in answer.text
    assert "要记住的话" in answer.text


def test_the_second_of_two_editors_is_told_and_keeps_his_words(login, fault):
    version = begun(login, fault)
    report = steps.report_of(fault)
    path = f"/reports/{report}/save"
    first, second = (
        WRITTEN | {"version": version},
        WRITTEN | {"version": version, "method": "另一种"},
    )
    assert login("engineer").post(path, data=first).status_code == 303
    answer = login("boss").post(path, data=second)

    assert answer.status_code == 409
    assert "另一种" in answer.text
    assert "engineer 已于" in answer.text


def test_a_manager_previews_approves_and_the_signed_paper_is_there(login, fault):
    report = submitted(login, fault)
    assert login("engineer").post(f"/reports/{report}/decide").status_code == 403
    assert login("boss").get(f"/reports/{report}/preview").content.startswith(b"%PDF-")
    path, seen = f"/reports/{report}/decide", {"version": seen_of(login, fault)}
    long = login("boss").post(path, data=seen | {"decision": "return", "remark": "长" * 501})
    assert (long.status_code, 'id="remark-error"' in long.text) == (422, True)
    page = login("boss").post(path, data=seen | {"decision": "approve"}, follow_redirects=True).text
    assert "已签发，待送达" in page
    assert re.search(r'href="/outbox/\d+">admin@shili-bank.example<', page)
    paper = re.search(r'href="(/papers/\d+)"', page)[1]
    signed = login("auditor").get(f"{paper}/signed").content
    checked = login("auditor").post("/papers/verify", files={"file": ("a.pdf", signed)})
    assert "签字后未改动" in checked.text
    second = login("colleague").post(
        path, data=seen | {"decision": "return"}, follow_redirects=True
    )
    again = second.text
    assert "已有人先作出决定" in again


def test_a_page_from_before_the_report_was_submitted_again_decides_nothing(login, fault):
    report = submitted(login, fault)
    path, seen = f"/reports/{report}/decide", seen_of(login, fault)
    back = {"version": seen, "decision": "return", "remark": "请写明原因"}
    assert login("boss").post(path, data=back).status_code == 303
    again = WRITTEN | {"method": "另一种", "version": seen, "submit": "1"}
    assert login("engineer").post(f"/reports/{report}/save", data=again).status_code == 303

    answer = login("boss").post(path, data={"version": seen, "decision": "approve"})
    assert answer.status_code == 409
    assert "重新提交过" in answer.text
    assert "另一种" in answer.text
    now = {"version": version_in(answer.text), "decision": "approve"}
    assert login("boss").post(path, data=now).status_code == 303


def test_a_hand_delivery_needs_its_evidence(login, fault):
    report = submitted(login, fault)
    approval = {"version": seen_of(login, fault), "decision": "approve"}
    login("boss").post(f"/reports/{report}/decide", data=approval)
    said = {"received_by": "王示例", "handed_at": "2026-03-03T10:00"}
    bare = login("engineer").post(f"/reports/{report}/handed", data=said)
    assert bare.status_code == 422
    assert "依据" in bare.text
    future = said | {"remark": "签收单", "handed_at": "2099-03-03T10:00"}
    refused = login("engineer").post(f"/reports/{report}/handed", data=future)
    assert refused.status_code == 422
    assert 'id="handed_at-error">时间 2099-03-03 10:00:00 晚于现在' in refused.text

    page = login("engineer").post(
        f"/reports/{report}/handed", data=said | {"remark": "签收单"}, follow_redirects=True
    )
    assert "已送达" in page.text


def test_reports_and_figures_are_listed_and_saved_as_excel(login, fault):
    submitted(login, fault)
    assert "待审核" in login("auditor").get("/reports").text
    period = "since=2026-01-01&until=2026-12-31"
    page = login("auditor").get(f"/reports/figures?{period}").text
    assert "按时率" in page
    assert "<svg" in page
    assert login("auditor").get(f"/reports/figures.xlsx?{period}").content.startswith(b"PK")
    assert login("auditor").get("/reports/figures?since=x").status_code == 422
