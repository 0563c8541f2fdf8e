"""The sheet before the trip and the report after it, printed from the records."""

import hashlib
from io import BytesIO

import pytest
from pypdf import PdfReader
from sqlalchemy import select

from mailcare.errors import InputError
from mailcare.papers.keeping import latest_paper, paper_file
from mailcare.records.papers import FileKind, Paper, PaperFile
from mailcare.records.session import reading
from mailcare.systems.steps import import_site
from mailcare.visits import steps
from tests.inspection.samples import LAB_SITE
from tests.papers.sample import photo
from tests.visits import desk
from tests.visits.onsite_desk import SITE, completed_visit

pytestmark = pytest.mark.usefixtures("desk_records", "clock")
DATABASES = ["sqlite"]


def body_of(paper: int) -> bytes:
    return paper_file(paper, FileKind.PDF).body


def text_of(paper: int) -> str:
    pages = PdfReader(BytesIO(body_of(paper))).pages
    return "".join(page.extract_text() for page in pages).replace("\n", "")


def test_the_sheet_says_where_to_go_and_what_to_look_at(clock):
    import_site(LAB_SITE, recorded_by="test")
    number = desk.planned_visit(systems=[SITE])
    desk.assign(number)
    desk.confirm(number)
    paper = steps.print_sheet(number)
    told = text_of(paper)
    for word in ("现场巡检单", "示例银行", "2026-05-11", "林示例", "需现场查看的项目",
                 "本系统还没有巡检记录", "培训与交流提纲"):  # fmt: skip
        assert word in told, word
    clock.shift(3600)
    assert steps.print_sheet(number) == paper


def test_the_report_tells_of_three_days_and_is_signed_once(clock):
    number = completed_visit(clock)
    visit = desk.visit(number).id
    paper = steps.render_report(visit)
    assert b"/DCTDecode" in body_of(paper)
    assert steps.render_report(visit) == paper
    told = text_of(paper)
    for word in (
        *("客户方填写", "现场测得", "示例市示例路 1 号机房", "指示灯全绿", "温度 43 ℃", "故障排除"),
        *("队列查看与服务启停", "王示例、赵示例", "清理队列", "客户意见", "使用率 12 %"),
        *("图 1", "机柜正面", hashlib.sha256(photo((640, 480))).hexdigest()),
    ):
        assert word in told, word
    kept = latest_paper(number)
    assert kept is not None
    assert (kept.id, kept.version) == (paper, 1)
    with reading() as session:
        kinds = session.scalars(select(PaperFile.kind).where(PaperFile.paper_id == paper)).all()
        templates = session.scalars(select(Paper.template)).all()
    assert FileKind.SIGNED in kinds
    assert "survey/sheet.html" in templates


def test_a_visit_that_goes_on_has_no_report():
    import_site(LAB_SITE, recorded_by="test")
    visit = desk.visit(desk.planned_visit(systems=[SITE])).id
    with pytest.raises(InputError, match="只有已完成"):
        steps.render_report(visit)
