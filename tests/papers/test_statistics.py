from io import BytesIO

import pytest
from openpyxl import Workbook, load_workbook

from mailcare.inspection.check import Finding, Severity, Target, Unmeasured
from mailcare.papers.statistics import counts_by_area, measures, results_table, statistics_xlsx
from mailcare.papers.wording import measure_of
from tests.papers import sample


def workbook(results=sample.RESULTS, **about: str) -> Workbook:
    return load_workbook(BytesIO(statistics_xlsx(results, sample.CHECKS, about=about)))


def saying(summary: str) -> tuple[Finding]:
    return (Finding("dns.mx", Target(), Severity.OK, summary),)


def test_results_are_counted_by_area_and_state():
    table = counts_by_area(sample.items_of())
    assert list(table.columns) == ["严重", "警告", "提示", "正常", "未测得", "需人工", "不适用"]
    assert list(table.loc["邮件服务"]) == [3, 0, 0, 5, 1, 0, 0]
    assert table.loc["合计"].sum() == len(sample.RESULTS)


def test_every_measured_number_is_a_row_with_its_unit():
    table = measures(sample.items_of())
    numbers = sum(len(one.metrics) for one in sample.RESULTS if isinstance(one, Finding))
    assert len(table) == numbers > 30
    row = table[(table["对象"] == "mx1 /var/vmail") & (table["指标"] == "使用率")].iloc[0]
    assert (row["数值"], row["单位"], row["结论"]) == (97.0, "%", "严重")


def test_what_could_not_be_measured_has_no_number():
    unmeasured = (Unmeasured("hardware.cpu", Target("mx1"), "没有回复"),)
    assert measures(sample.items_of(unmeasured)).empty


@pytest.mark.parametrize(
    ("metric", "told"),
    [
        ("used_pct", ("使用率", "%")),
        ("days_left", ("剩余有效期", "天")),
        ("delay_s", ("邮件投递用时", "秒")),
        ("free_bytes", ("剩余空间", "字节")),
        ("brand_new_ms", ("brand_new", "毫秒")),
        ("brand_new", ("brand_new", "")),
    ],
)
def test_a_metric_is_told_in_words_where_they_are_known(metric, told):
    assert measure_of(metric) == told


def test_empty_results_make_empty_tables():
    assert list(counts_by_area(()).loc["合计"]) == [0] * 7
    assert measures(()).empty
    assert results_table(()).empty
    assert workbook(()).sheetnames == ["汇总", "数值", "检查结果"]


def test_the_file_has_three_sheets_with_frozen_headers():
    book = workbook(客户名称="示例银行")
    assert book.sheetnames == ["汇总", "数值", "检查结果"]
    assert [cell.value for cell in book["汇总"][1][:2]] == ["客户名称", "示例银行"]
    assert [cell.value for cell in book["汇总"][3][:3]] == ["领域", "严重", "警告"]
    assert [sheet.freeze_panes for sheet in book] == ["A4", "A2", "A2"]
    assert book["检查结果"].max_row == len(sample.RESULTS) + 1


@pytest.mark.parametrize("mark", ["=", "+", "-", "@"])
def test_text_that_looks_like_a_formula_stays_text(mark):
    text = f'{mark}HYPERLINK("http://evil.example","x")'
    cell = workbook(saying(text))["检查结果"]["F2"]
    assert cell.value == text
    assert cell.data_type == "s"
    assert cell.quotePrefix


def test_numbers_stay_numbers():
    cell = workbook()["数值"]["E2"]
    assert isinstance(cell.value, int | float)
    assert cell.data_type == "n"


def test_control_characters_and_endless_texts_fit_into_cells():
    cell = workbook(saying("\x1b[31m" + "长" * 40_000))["检查结果"]["F2"]
    assert cell.value.startswith("\\x1b[31m长")
    assert len(cell.value) == 32_767


def test_with_an_earlier_inspection_a_sheet_tells_what_changed():
    results = (*sample.ALL_GOOD, Finding("dns.mx", Target(), Severity.WARNING, "MX 指向一台主机"))
    was = Finding("dns.mx", Target(), Severity.OK, "正常")
    past = (sample.years_ago(1, (*sample.ALL_GOOD, was)),)
    body = statistics_xlsx(results, sample.CHECKS, past=past)
    sheet = load_workbook(BytesIO(body))["比较"]
    rows = [[cell.value for cell in row] for row in sheet.iter_rows()]
    assert rows[0] == ["变化", "领域", "检查项", "对象", "上次", "本次", "说明"]
    assert rows[1][:6] == ["新增", "域名解析", "MX 记录", "整个系统", "正常", "警告"]
    assert len(rows) == 2
