from dataclasses import replace
from datetime import date
from decimal import Decimal
from io import BytesIO

import pytest
from openpyxl import load_workbook
from pypdf import PdfReader

from mailcare.contracts.promises import promises
from mailcare.contracts.terms import Terms
from mailcare.deadlines import Promise, Unit
from mailcare.papers.render import print_pdf, render_html
from mailcare.papers.review import review_document, review_xlsx
from mailcare.reviews.advice import advice
from mailcare.reviews.desk import desk_sections
from mailcare.reviews.facts import BackupFact, ContractFact, DeskYear, Keeping
from mailcare.reviews.section import Section
from mailcare.reviews.sections import customer_sections
from tests.reviews.desk import CONTRACT, SPAN, clock, empty_year, fault, full_year

TITLES = [
    "承诺的内容", "完成的服务", "故障与时限", "巡检与趋势", "现场服务", "备份验证", "客户满意度",
    "来年建议", "续约建议",
]  # fmt: skip


def sections(year) -> dict[str, Section]:
    return {one.title: one for one in customer_sections(year)}


def grid(section: Section, title: str) -> tuple[tuple[object, ...], ...]:
    return next(one.rows for one in section.grids if one.title == title)


def printed(found, customer: str = "示例银行") -> str:
    document = review_document(
        found, number="ND-2026-00001", customer=customer, span=SPAN, vendor="示例维保"
    )
    return print_pdf(render_html(document))


@pytest.fixture(scope="module")
def text() -> str:
    pages = PdfReader(BytesIO(printed(customer_sections(full_year())))).pages
    return "\n".join(page.extract_text() for page in pages)


def test_a_year_without_anything_says_so_part_by_part():
    found = sections(empty_year())

    assert list(found) == TITLES
    for title in TITLES[1:7]:
        assert "没有" in found[title].says[0], title
        assert found[title].grids == ()
        assert found[title].charts == ()
    assert printed(found.values()).startswith(b"%PDF")


def test_the_paper_tells_promise_deed_clocks_and_prices_in_order(text):
    places = [text.index(f"、{title}") for title in TITLES]
    assert places == sorted(places)
    for said in ("示例银行", "ND-2026-00001", "GZ-2026-00002", "违约", "1 天 6 小时", "希望更快",
                 "客户签字（盖章）", "第 1 页 / 共"):  # fmt: skip
        assert said in text


def test_the_promises_of_time_are_those_that_the_contract_names():
    usual = promises(1)
    harder = replace(
        usual,
        response_minutes=5,
        resolution=(
            Promise(4, Unit.HOURS), Promise(8, Unit.HOURS), Promise(1, Unit.DAYS),
            Promise(2, Unit.DAYS, is_soft=True),
        ),
        report_workdays=1,
    )  # fmt: skip
    told = [
        grid(sections(empty_year(promises=one))["承诺的内容"], "时限约定")
        for one in (usual, harder)
    ]
    assert [dict(one)["处理 三级"] for one in told] == ["一般 5 天（目标）", "1 天内"]
    assert [said for _, said in told[1]] == [
        "申报起 5 分钟内电话响应，7×24×365", "申报起 4 小时内提供解决方案或替代方法",
        "申报起 8 小时内提供解决方案或替代方法", "1 天内", "一般 2 天（目标）",
        "处理完毕次日起算，第 1 个工作日 24:00 前送达",
    ]  # fmt: skip
    assert [title for title, _ in told[0]] == [
        "响应", "处理 一级", "处理 二级", "处理 三级", "处理 四级", "报告",
    ]  # fmt: skip


def test_clocks_kept_and_broken_are_counted():
    says = sections(full_year())["故障与时限"].says
    assert says[0] == "申报故障 2 起。"
    assert "响应时限：按时 2 次，违约 0 次，超目标 0 次，计时中 0 次；按时率 100%。" in says
    assert "处理时限：按时 1 次，违约 1 次，超目标 0 次，计时中 0 次；按时率 50%。" in says


def test_a_target_that_was_missed_is_no_breach_and_an_open_clock_counts_nowhere():
    soft = fault(
        3, "P3", clocks=(clock("resolution", Keeping.OVER_TARGET), clock("report", Keeping.OPEN))
    )
    says = sections(empty_year(faults=(soft,)))["故障与时限"].says
    assert "处理时限：按时 0 次，违约 0 次，超目标 1 次，计时中 0 次；按时率 0%。" in says
    assert "报告时限：按时 0 次，违约 0 次，超目标 0 次，计时中 1 次；按时率 /。" in says


def test_a_fault_beyond_the_contract_is_marked():
    section = sections(empty_year(faults=(fault(is_outside=True),)))["故障与时限"]
    assert "其中合同外 1 起" in section.says[0]
    assert "（合同外）" in grid(section, "逐起")[0][3]


def test_the_price_table_is_the_contracts_own():
    rows = grid(sections(full_year())["续约建议"], "价格")
    assert [row[2] for row in rows] == ["6,000 元/年", "12,000 元/次", None]
    assert [row[3] for row in rows] == [1, 2, None]
    assert [row[4] for row in rows] == ["6,000", "24,000", "30,000"]

    dearer = replace(CONTRACT, terms=Terms(2, 1, True, Decimal(7500), Decimal(12345)))
    rows = grid(sections(replace(full_year(), contract=dearer))["续约建议"], "价格")
    assert rows[-1][4] == "19,845"


def test_the_renewal_is_proposed_for_the_year_after_the_contract():
    assert "2027-01-01 至 2027-12-31" in sections(empty_year())["续约建议"].says[0]
    longer = replace(CONTRACT, ends_on=date(2027, 12, 31))
    said = sections(replace(empty_year(), contract=longer))["续约建议"].says[0]
    assert "现合同有效至 2027-12-31" in said


def test_advice_follows_from_what_the_year_has_shown():
    told = advice(full_year())
    assert told[0].startswith("磁盘：/var 已用 97%")
    assert any("3 项未能测得" in one for one in told)
    assert any("处理时限有 1 次违约" in one for one in told)
    assert any("现场巡检尚有 1 次未安排" in one for one in told)
    assert any("备份验证" in one for one in told)
    assert any("满意度平均 3.33 分" in one for one in told)


def test_a_copy_that_did_not_pass_is_told_with_its_counts():
    levels = {"L0": "PASS", "L1": "FAIL"}
    counts = {"PASS": 3, "FAIL": 1}
    backup = BackupFact("总行", "每日全量", counts, date(2026, 11, 1), "FAIL", levels)
    year = empty_year(backups=(backup,))
    section = sections(year)["备份验证"]
    assert grid(section, "逐个副本") == (("总行", "每日全量", 3, 1, 0, 0),)
    last = ("总行", "每日全量", "2026-11-01", "不通过", "L0 通过，L1 不通过")
    assert grid(section, "最近一次") == (last,)
    assert any("不能证明可以恢复" in one for one in advice(year))


def test_an_easy_year_needs_no_advice():
    backups = (BackupFact("总行", "每日全量", {"PASS": 12}, date(2026, 11, 1), "PASS"),)
    assert advice(empty_year(backups=backups)) == (
        "本年度没有需要特别处理的问题，建议按现有方案继续。",
    )


def test_the_excel_file_has_every_table_and_no_formula():
    year = full_year()
    odd = replace(year.faults[0], description="=1+1")
    found = customer_sections(replace(year, faults=(odd,)))
    book = load_workbook(BytesIO(review_xlsx(found)))

    assert len(book.sheetnames) == 1 + sum(len(one.grids) for one in found)
    sheet = book["故障与时限-逐起"]
    assert sheet["D2"].value == "=1+1"
    assert sheet["D2"].data_type == "s"
    assert book["承诺的内容-按次计的服务"]["C2"].value == 1


def test_the_desks_year_tells_contracts_load_and_satisfaction_and_is_signed_by_nobody():
    year = full_year()
    desk = DeskYear(
        SPAN,
        (
            ContractFact(
                "HT-1", "示例银行", SPAN.first_on, SPAN.last_on, CONTRACT.terms.yearly_cny
            ),
            ContractFact(
                "HT-2", "另一客户", SPAN.first_on, date(2027, 6, 1), CONTRACT.terms.remote_cny
            ),
        ),
        year.services,
        year.faults,
        year.visits,
        year.surveys,
    )
    found = {one.title: one for one in desk_sections(desk)}
    assert "年费合计 36,000 元" in found["合同"].says[0]
    assert "年内到期 1 份" in found["合同"].says[0]
    assert grid(found["工程师工作量"], "逐人") == (("li", 2, 1, 0), ("lin", 0, 0, 1))
    assert grid(found["服务"], "按种类")[1] == ("备份验证", 1, 0, 0, 0, 1)
    pages = PdfReader(BytesIO(printed(found.values(), ""))).pages
    assert "客户签字" not in "".join(page.extract_text() for page in pages)


def test_a_desk_without_anything_says_so():
    found = desk_sections(DeskYear(SPAN, (), (), (), (), ()))
    assert all("没有" in one.says[0] for one in found)
