"""What people do with papers on the console: sign, check, and record what came back."""

import re
from datetime import datetime
from pathlib import Path

import pytest

from mailcare.clock import BEIJING
from mailcare.records.papers import SignedReturn
from mailcare.records.session import reading
from tests.console.servers import add_paper
from tests.papers.test_pades import paper_with_boxes

SCAN = b"\x89PNG\r\n\x1a\n" + bytes(100)


def returned(**changes: str) -> dict[str, str]:
    """Return what is entered about a paper that came back today."""
    return {"signer": "王示例", "signed_on": str(datetime.now(BEIJING).date())} | changes


@pytest.fixture(scope="module")
def pdf() -> bytes:
    return paper_with_boxes()


@pytest.fixture
def paper(login, pdf: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("MAILCARE_HOME", str(tmp_path))
    return f"/papers/{add_paper(body=pdf, number='XJ-2026-00077')}"


def test_an_engineer_signs_a_paper_and_anybody_checks_the_file(login, paper):
    answer = login("engineer").post(f"{paper}/sign", follow_redirects=True)
    assert answer.status_code == 200
    assert "签字后未改动" in answer.text
    assert "测试证书" in answer.text

    signed = login("auditor").get(f"{paper}/signed")
    assert "XJ-2026-00077-v1-signed.pdf" in signed.headers["content-disposition"]
    checked = login("auditor").post("/papers/verify", files={"file": ("a.pdf", signed.content)})
    assert "签字后未改动" in checked.text
    changed = signed.content[:5000] + b"\0" + signed.content[5001:]
    checked = login("auditor").post("/papers/verify", files={"file": ("a.pdf", changed)})
    assert "签字后被改动" in checked.text


def test_only_engineers_sign(login, paper):
    for who in ("boss", "auditor"):
        assert login(who).post(f"{paper}/sign").status_code == 403
        assert f'{paper}/sign"' not in login(who).get(paper).text


def test_a_paper_without_a_box_says_so_beside_the_button(login):
    answer = login("engineer").post(f"/papers/{add_paper(number='XJ-2026-00078')}/sign")

    assert answer.status_code == 422
    assert "不是完好的 PDF 文件" in answer.text


def test_what_is_no_pdf_is_told_when_checked(login):
    for body in (b"", b"%PDF-1.7 x", SCAN):
        answer = login("auditor").post("/papers/verify", files={"file": ("a.pdf", body)})

        assert answer.status_code == 422
        assert "不是完好的 PDF" in answer.text


def test_what_came_back_is_recorded_shown_and_handed_out(login, paper):
    client = login("engineer")
    answer = client.post(
        f"{paper}/returned",
        data=returned(),
        files={"file": ("签回.png", SCAN)},
        follow_redirects=True,
    )
    assert answer.status_code == 200
    link = re.search(rf'href="({paper}/returned/\d+)"', answer.text)
    assert link is not None
    assert login("auditor").get(link[1]).content == SCAN
    with reading() as session:
        row = session.query(SignedReturn).one()
        assert (row.signer, row.recorded_by) == ("王示例", "engineer")


@pytest.mark.parametrize(
    ("changes", "file", "said"),
    [
        ({"signer": ""}, SCAN, "签字人"),
        ({"signed_on": "gestern"}, SCAN, "应为日期"),
        ({"signed_on": "2999-01-01"}, SCAN, "不能晚于今天"),
        ({"signed_on": "2020-01-01"}, SCAN, "不能早于文书生成之日"),
        ({}, None, "请附上签字件"),
        ({}, b"MZ not a paper", "只收"),
    ],
)
def test_a_return_that_cannot_be_taken_keeps_what_was_entered(login, paper, changes, file, said):
    files = {"file": ("x.png", file)} if file else None
    answer = login("engineer").post(f"{paper}/returned", data=returned(**changes), files=files)

    assert answer.status_code == 422
    assert said in answer.text
    assert returned(**changes)["signer"] in answer.text
    with reading() as session:
        assert session.query(SignedReturn).count() == 0


def test_an_auditor_records_nothing(login, paper):
    answer = login("auditor").post(
        f"{paper}/returned", data=returned(), files={"file": ("a.png", SCAN)}
    )

    assert answer.status_code == 403


def test_unknown_papers_and_files_are_not_found(login, paper):
    for path in ("/papers/999", f"{paper}/returned/5", f"{paper}/signed", f"{paper}/exe"):
        assert login("auditor").get(path).status_code == 404
