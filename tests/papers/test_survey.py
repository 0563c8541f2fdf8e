import re
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO

import pytest
from pypdf import PdfReader

from mailcare.papers.render import print_pdf, render_html
from mailcare.papers.survey import AskedCase, survey_sheet

CASE = AskedCase(
    customer="示例银行",
    contact="王示例　0000-1234",
    description="GZ-2026-00001　外发邮件大量退信",
    outcome="已修复，客户确认恢复",
    started_at=datetime(2026, 2, 27, 1, 5, tzinfo=UTC),
    finished_at=datetime(2026, 2, 27, 16, 40, tzinfo=UTC),
)
FIELDS = (
    "客户名称", "联系人及联系方式", "故障说明", "服务完成情况", "服务起始时间", "服务完成时间",
    "服务满意度", "服务态度", "技术水平", "服务效果", "意见与建议",
    "客户签字（盖章）：", "工程师签字：", "说明：", "采用打分制：",
)  # fmt: skip


@pytest.fixture(scope="module")
def pages() -> list[str]:
    document = survey_sheet(CASE, number="DC-2026-00001", vendor="示例维保")
    pdf = print_pdf(render_html(document))
    return [page.extract_text() for page in PdfReader(BytesIO(pdf)).pages]


def test_the_form_is_one_page_with_every_field_in_its_order(pages):
    assert len(pages) == 1
    places = [pages[0].index(field) for field in FIELDS]
    assert places == sorted(places)
    assert "DC-2026-00001" in pages[0]


def test_the_form_stays_one_page_whatever_the_case_was_about():
    told = replace(CASE, description="外发邮件大量退信。\n" * 400, outcome="清理队列，" * 800)
    document = survey_sheet(told, number="DC-2026-00001", vendor="示例维保")
    [page] = PdfReader(BytesIO(print_pdf(render_html(document)))).pages
    assert "工程师签字：" in page.extract_text()


def test_all_is_filled_in_but_scores_and_comments(pages):
    text = pages[0]
    for said in (
        "示例银行",
        "王示例",
        "外发邮件大量退信",
        "已修复",
        "2026 年 2 月 27 日 9 时",
        "2026 年 2 月 28 日 0 时",
    ):
        assert said in text
    assert len(re.findall(r"[(（]\s*[)）]\s*分", text)) == 4


def test_the_words_of_the_scores_are_those_of_the_plan(pages):
    plain = "".join(pages[0].split())
    assert "5分：表示很好，4分：表示好，3分：表示一般，2分：表示较差" in plain
    assert "1分：表示很差，0分：表示恶性事件" in plain


def test_what_is_not_known_is_crossed_out():
    blank = AskedCase("示例银行", "", "", "", CASE.started_at, CASE.finished_at)
    html = render_html(survey_sheet(blank, number="DC-2026-00002", vendor=""))
    assert html.count('<td colspan="3">/</td>') == 3
