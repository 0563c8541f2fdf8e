import logging
import re
import subprocess
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from jinja2 import UndefinedError
from pypdf import PdfReader

from mailcare.papers.render import PaperError, print_pdf, render_html
from mailcare.papers.survey import AskedCase, survey_sheet
from tests.papers import sample

GOOD = sample.report(sample.ALL_GOOD)


def with_more(body: str) -> str:
    html = render_html(GOOD)
    assert "</body>" in html
    return html.replace("</body>", f"{body}</body>")


def text_of(pdf: bytes) -> str:
    return "".join(page.extract_text() for page in PdfReader(BytesIO(pdf)).pages)


def test_a_customers_markup_is_printed_and_never_run(html):
    assert sample.SCRIPT not in html
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" in html


def test_the_html_needs_no_other_file(html):
    assert "<script" not in html
    assert "<link" not in html
    assert "src=" not in html
    assert "url(" not in html
    assert "<input" not in html


def test_a_name_that_the_content_lacks_is_an_error():
    content = {key: value for key, value in GOOD.content.items() if key != "counts"}
    with pytest.raises(UndefinedError, match="counts"):
        render_html(replace(GOOD, content=content))


def test_a_value_that_is_none_never_reaches_the_paper():
    with pytest.raises(PaperError, match="空值"):
        render_html(replace(GOOD, content={**GOOD.content, "system": None}))


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:9/a.png", "https://vendor.example/a.png", "file:///etc/hostname"]
)
def test_nothing_outside_of_the_html_is_fetched(address):
    with pytest.raises(PaperError, match="disallowed protocol"):
        print_pdf(with_more(f'<img src="{address}">'))


def rows(name: str, count: int) -> str:
    cells = (f'<tr><td style="height: 60mm">{name}{n}</td></tr>' for n in range(count))
    return f"<table><thead><tr><th>head</th></tr></thead><tbody>{''.join(cells)}</tbody></table>"


def test_no_row_of_a_table_that_breaks_stands_alone_and_its_head_is_repeated():
    four_fit = f'<div class="new-page">{rows("last", 5)}</div>'
    one_fits = (
        f'<div class="new-page"><div style="height: 150mm">above</div>{rows("first", 3)}</div>'
    )
    tall = f'<tr class="long"><td>tall{"文" * 4000}</td></tr><tr><td>last9</td></tr>'
    breaks = f'<div class="new-page">{rows("", 0).replace("<tbody>", f"<tbody>{tall}")}</div>'
    case = AskedCase("示例银行", "", "", "", sample.STARTED_AT, sample.FINISHED_AT)
    sheet = render_html(survey_sheet(case, number="DC-1", vendor=""))
    pdf = PdfReader(
        BytesIO(print_pdf(sheet.replace("</body>", f"{four_fit}{one_fits}{breaks}</body>")))
    )
    told = [
        re.findall(r"head|above|last\d|first\d|tall", page.extract_text()) for page in pdf.pages
    ]
    assert told == [
        [],
        ["head", "last0", "last1", "last2"],
        ["head", "last3", "last4"],
        ["above"],
        ["head", "first0", "first1", "first2"],
        ["head", "tall"],
        ["head", "last9"],
    ]


def test_whatever_weasyprint_complains_about_is_an_error():
    with pytest.raises(PaperError, match="no-such-property"):
        print_pdf(with_more('<p style="no-such-property: 1">x</p>'))


def test_a_warning_is_heard_at_any_log_level():
    logging.getLogger("weasyprint").setLevel(logging.CRITICAL)
    with pytest.raises(PaperError, match="no-such-property"):
        print_pdf(with_more('<p style="no-such-property: 1">x</p>'))


def test_the_same_document_gives_the_same_bytes(pdf):
    assert print_pdf(render_html(sample.report())) == pdf


def test_only_the_papers_own_fonts_are_embedded_and_as_subsets(pdf):
    fonts = PdfReader(BytesIO(pdf)).pages[0]["/Resources"]["/Font"]
    names = {fonts[key]["/BaseFont"] for key in fonts}
    assert names
    families = {name.partition("+")[2].removesuffix("-Bold") for name in names}
    assert families == {
        "Noto-Serif-CJK-SC", "Noto-Sans-CJK-SC", "DejaVu-Sans-Mono", "DejaVu-Sans",
    }  # fmt: skip
    assert len(pdf) < 2_000_000


def test_a_missing_font_is_an_error_that_names_the_package(tmp_path, monkeypatch):
    config = tmp_path / "fonts.conf"
    folder = "/usr/share/fonts/truetype/dejavu"
    assert Path(folder).is_dir()
    config.write_text(
        f"<fontconfig><dir>{folder}</dir><cachedir>{tmp_path}</cachedir></fontconfig>"
    )
    monkeypatch.setenv("FONTCONFIG_FILE", str(config))
    with pytest.raises(PaperError, match="apt-get install fonts-noto-cjk") as caught:
        print_pdf(render_html(GOOD))
    assert "Noto Serif CJK SC" in str(caught.value)


def test_a_character_that_the_fonts_lack_is_printed_as_its_code():
    text = text_of(print_pdf(with_more("<p>泰文 ก 完</p>")))
    assert "泰文〔U+0E01〕完" in text.replace(" ", "")


def test_every_common_character_is_extracted_as_itself():
    rows = [bytes([0xA1 + row, 0xA1 + cell]) for row in range(15, 87) for cell in range(94)]
    common = "".join(row.decode("gb2312", "ignore") for row in rows)
    assert len(common) > 6700
    text = text_of(print_pdf(with_more(f"<p>开始{common}{sample.RARE}结束</p>")))
    told = "".join(text.split("开始", 1)[1].split("结束", 1)[0].split())
    # The footers of the pages in between are the only other text.
    for page in range(1, 20):
        told = told.replace(f"第{page}页/共", "")
    assert set(common + sample.RARE) - set(told) == set()


def test_the_metadata_tell_title_author_and_the_day_of_the_inspection(pdf):
    metadata = PdfReader(BytesIO(pdf)).metadata
    assert metadata.title == f"巡检报告　示例银行　{sample.NUMBER}"
    assert metadata.author == "示例软件服务有限公司"
    assert metadata.creation_date == sample.FINISHED_AT


def test_every_page_has_its_number_and_the_documents(pages):
    assert len(pages) > 5
    for number, page in enumerate(pages, start=1):
        assert f"第{number}页/共{len(pages)}页" in page.replace(" ", "")
        assert sample.NUMBER in page


def test_poppler_finds_the_customer_too(pdf, tmp_path):
    (tmp_path / "report.pdf").write_bytes(pdf)
    words = ["pdftotext", str(tmp_path / "report.pdf"), "-"]
    text = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    for word in ("巡检报告", "客户名称", "客户签字（盖章）", "𠮷", "王喆"):
        assert word in text
