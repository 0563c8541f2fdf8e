"""Signing a kept paper once, and filing what the customer sends back."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from pathlib import Path

import pytest
from sqlalchemy import func, select

from mailcare.clock import BEIJING
from mailcare.errors import InputError
from mailcare.listing import Wish
from mailcare.papers.document import Document
from mailcare.papers.keeping import keep_paper
from mailcare.papers.pades import Verdict
from mailcare.papers.steps import (
    file_signed_return,
    list_papers,
    paper_detail,
    paper_file,
    returned_file,
    sign_as,
)
from mailcare.records.alerts import Rung, StaffMember
from mailcare.records.papers import FileKind, PaperFile, SignedReturn
from mailcare.records.people import AuditEntry, EvidenceFile
from mailcare.records.session import reading, transaction
from mailcare.systems.evidence import read_evidence
from tests.papers.test_pades import paper_with_boxes

NOW = datetime.now(UTC)
SCAN = read_evidence("签回.png", b"\x89PNG\r\n\x1a\n" + bytes(100))


@pytest.fixture(scope="module")
def pdf() -> bytes:
    return paper_with_boxes()


@pytest.fixture
def paper(database_url: str, pdf: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("MAILCARE_DB_URL", database_url)
    monkeypatch.setenv("MAILCARE_HOME", str(tmp_path))
    monkeypatch.delenv("MAILCARE_SIGNING_CERTIFICATE", raising=False)

    def files() -> Iterator[tuple[FileKind, bytes]]:
        yield FileKind.PDF, pdf

    document = Document("GZ-2026-00001", "fault/report.html", 1, {"title": "故障处理报告"})
    return keep_paper(document, files, system=None, customer=None)


def count(model: type) -> int:
    with reading() as session:
        return session.scalar(select(func.count(model.id))) or 0


def test_signing_twice_keeps_the_first_file(paper: int) -> None:
    first = sign_as(paper, login="zhou", at=NOW)
    body = paper_file(paper, "signed").body
    second = sign_as(paper, login="lee", at=NOW)

    assert first == second
    assert paper_file(paper, "signed").body == body
    assert paper_file(paper, "signed").name == "GZ-2026-00001-v1-signed.pdf"
    with reading() as session:
        audited = session.scalars(select(AuditEntry)).all()
    assert [(one.by, one.action, one.subject) for one in audited] == [
        ("zhou", "sign", f"paper/{paper}")
    ]


def test_the_seal_bears_the_name_of_the_staff_list(paper: int) -> None:
    hours = {"works_from": time(9), "works_until": time(18), "is_active": True}
    with transaction() as session:
        session.add(
            StaffMember(
                name="周示例", login="zhou", rung=Rung.ENGINEER, email="z@vendor.example", **hours
            )
        )
    sign_as(paper, login="zhou", at=NOW)

    (found,) = paper_detail(paper).signatures
    assert (found.signer, found.reason, found.verdict) == ("周示例", "故障处理报告", Verdict.INTACT)


def test_a_list_shows_what_is_signed(paper: int) -> None:
    assert [row.kinds for row in list_papers(Wish()).rows] == ["pdf"]
    sign_as(paper, login="zhou", at=NOW)

    assert {*list_papers(Wish()).rows[0].kinds.split()} == {"pdf", "signed"}


def returned(**changes):
    now = datetime.now(UTC)
    day = now.astimezone(BEIJING).date()
    return {"signer": "王示例", "signed_on": day, "by": "zhou", "at": now} | changes


def test_what_came_back_is_kept_once_with_signer_and_day(paper: int) -> None:
    said = returned()
    first = file_signed_return(paper, SCAN, **said)
    second = file_signed_return(paper, SCAN, **said)

    assert first == second
    (found,) = paper_detail(paper).returned
    assert (found.signer, found.signed_on, found.name) == ("王示例", said["signed_on"], "签回.png")
    assert returned_file(paper, first).body == SCAN.body
    assert (count(SignedReturn), count(EvidenceFile), count(AuditEntry)) == (1, 1, 1)


def test_a_returned_pdf_shows_the_signatures_in_it(paper: int) -> None:
    sign_as(paper, login="zhou", at=NOW)
    signed = read_evidence("签回.pdf", paper_file(paper, "signed").body)
    file_signed_return(paper, signed, **returned())

    (found,) = paper_detail(paper).returned
    assert [one.signer for one in found.signatures] == ["zhou"]


def test_a_return_of_another_time_or_of_an_unknown_paper_is_refused(paper: int) -> None:
    with pytest.raises(InputError, match="不能晚于今天"):
        file_signed_return(paper, SCAN, **returned(signed_on=date(2999, 1, 1)))
    with pytest.raises(InputError, match="不能早于文书生成之日"):
        file_signed_return(paper, SCAN, **returned(signed_on=date(2020, 1, 1)))
    with pytest.raises(InputError, match="没有这份文书"):
        file_signed_return(paper + 1, SCAN, **returned())
    with pytest.raises(InputError, match="没有这份文件"):
        returned_file(paper, 1)
    assert count(SignedReturn) == 0


def test_what_was_signed_cannot_be_changed_in_the_records(paper: int) -> None:
    sign_as(paper, login="zhou", at=NOW)

    with pytest.raises(TypeError, match="append-only"), transaction() as session:
        session.scalars(select(PaperFile).where(PaperFile.kind == FileKind.SIGNED)).one().body = b""
