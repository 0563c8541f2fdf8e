"""The console inside a real api-server: cookie, Bearer, foreign pages, and a story in a browser."""

import shutil
from collections.abc import Iterator
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from pypdf import PdfReader

from mailcare.papers.pades import verify
from mailcare.records.schema import upgrade
from tests.console.servers import SITE_NAME, Server, api_server, fill, using
from tests.surroundings import without
from tests.surveys import desk as survey_desk

CHROMIUM = "/usr/bin/chromium"
WAIT_MS = 30_000


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("airflow")
    database = f"sqlite:///{home / 'mailcare.db'}"
    upgrade(database)
    with using(database):
        fill()
        with api_server(home, database) as running:
            yield running


def bearer(server: Server, login: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {server.token(login)}"}


def ask(server: Server, path: str, **options) -> httpx.Response:
    return httpx.get(f"{server.url}/mailcare{path}", timeout=60, **options)


def test_the_plugin_is_loaded_and_in_the_navigation(server):
    headers = bearer(server, "boss")
    errors = httpx.get(f"{server.url}/api/v2/plugins/importErrors", headers=headers, timeout=60)
    assert errors.json()["total_entries"] == 0
    plugins = httpx.get(f"{server.url}/api/v2/plugins", headers=headers, timeout=60).json()
    ours = next(one for one in plugins["plugins"] if one["name"] == "mailcare")
    assert ours["external_views"][0]["href"] == "/mailcare/"


def test_nobody_and_a_forged_or_expired_login_get_a_sentence(server):
    for options in ({}, {"cookies": {"_token": "forged"}}):
        answer = ask(server, "/customers", **options)
        assert answer.status_code in {401, 403}
        assert "登录" in answer.text
        assert "示例银行" not in answer.text


def test_cookie_and_bearer_both_show_our_own_page(server):
    for options in (
        {"headers": bearer(server, "boss")},
        {"cookies": {"_token": server.token("boss")}},
    ):
        answer = ask(server, "/customers", **options)
        assert answer.status_code == 200
        assert "示例银行" in answer.text
        assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]


def test_viewers_have_no_permission_and_users_without_a_role_see_what_to_do(server):
    viewer = ask(server, "/customers", headers=bearer(server, "viewer"))
    assert viewer.status_code == 403
    assert "示例银行" not in viewer.text
    stranger = ask(server, "/customers", headers=bearer(server, "stranger"))
    assert stranger.status_code == 403
    assert "mailcare staff grant stranger manager" in stranger.text


def test_a_foreign_page_cannot_use_somebodys_cookie(server):
    data = {"login": "evil", "role": "manager"}
    cookies = {"_token": server.token("boss")}
    for headers in (
        {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "null"},
        {},
    ):
        url = f"{server.url}/mailcare/staff/grant"
        answer = httpx.post(url, data=data, cookies=cookies, headers=headers, timeout=60)
        assert answer.status_code == 403
    page = ask(server, "/staff", cookies=cookies)
    assert page.status_code == 200
    assert "evil" not in page.text


def test_a_fault_from_declaration_to_the_signed_report_in_a_browser(server, tmp_path):
    if not Path(CHROMIUM).exists():
        without("Debian's chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium") or CHROMIUM, args=["--no-sandbox"]
        )
        phone = {"width": 390, "height": 844}
        context = browser.new_context(viewport=phone, locale="zh-CN")  # as from a customer's site
        context.set_default_timeout(WAIT_MS)
        token = {"name": "_token", "value": server.token("engineer"), "url": server.url}
        context.add_cookies([token])
        page = context.new_page()
        page.goto(f"{server.url}/mailcare/faults")
        declare_fault(page)
        follow_fault(page, tmp_path)
        write_report(page)
        desk = browser.new_context(viewport={"width": 1280, "height": 900}, locale="zh-CN")
        desk.set_default_timeout(WAIT_MS)
        desk.add_cookies([token | {"value": server.token("boss")}])
        signed = approve_report(desk.new_page(), page.url)
        browser.close()
    [signature] = verify(signed, ())
    assert (signature.signer, signature.verdict) == ("engineer", "intact")
    text = PdfReader(BytesIO(signed)).pages[0].extract_text()  # the form keeps to one page
    assert "重启了投递服务" in text
    assert "☑ P2" in text


def declare_fault(page) -> None:
    page.get_by_role("link", name="申报故障").click()
    page.get_by_label("系统", exact=True).fill(SITE_NAME)
    page.get_by_label("P1 一级").check()
    page.get_by_label("故障描述").fill("全行无法收发邮件")
    page.get_by_label("联系人").fill("王示例")
    page.get_by_label("联系方式").fill("分机 1000")
    page.get_by_role("button", name="申报故障").click()
    page.get_by_text("已登记。").wait_for()
    page.get_by_role("link", name="故障", exact=True).click()
    page.get_by_text("待受理").wait_for()
    assert page.get_by_text("还剩").count()
    page.get_by_role("link", name="GZ-").first.click()


def follow_fault(page, folder: Path) -> None:
    evidence = folder / "window.pdf"
    evidence.write_bytes(b"%PDF-1.4 the customer's change window")
    record(page, "受理")
    record(page, "首次联系")
    record(page, "暂停", choose=("暂停原因", "等待客户变更窗口"), remark="今晚", file=evidence)
    assert page.get_by_text(sha256(evidence.read_bytes()).hexdigest()).count() == 1
    record(page, "恢复")
    record(page, "变更级别", choose=("新级别", "P2"), remark="仅外发受影响")
    record(page, "处理完成", choose=("处理结果", "替代方法"))
    page.get_by_text("已处理，待送报告").wait_for()
    record(page, "处理完成")
    assert page.locator(".history li").count() >= 8
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def write_report(page) -> None:
    page.get_by_role("link", name="故障处理报告").click()
    page.get_by_role("button", name="起草报告").click()
    page.get_by_label("处理方法").fill("")
    page.get_by_role("button", name="提交审核").click()
    page.locator("#method-error").wait_for()
    page.get_by_label("处理方法").fill("重启了投递服务")
    page.get_by_role("button", name="提交审核").click()
    page.get_by_text("已提交审核。").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def approve_report(page, url: str) -> bytes:
    page.goto(url.partition("?")[0])
    page.get_by_role("button", name="通过，签发").click()
    page.get_by_text("已审核。").wait_for()
    page.get_by_role("link", name="文书与签字").click()
    page.get_by_text("签字后未改动").wait_for()
    with page.expect_download() as found:
        page.get_by_role("link", name="签字 PDF").click()
    return Path(found.value.path()).read_bytes()


def record(page, doing: str, *, choose=None, remark="", file=None) -> None:
    page.locator(".doings summary", has_text=doing).click()
    form = page.locator(".doings details[open] form")
    if choose:
        field, said = choose
        options = form.get_by_label(field).locator("option").all_inner_texts()
        form.get_by_label(field).select_option(next(one for one in options if said in one))
    if doing == "变更级别":
        form.get_by_label("变更原因").select_option("定级更正")
    form.get_by_label("依据或说明").fill(remark)
    if file:
        form.get_by_label("附件").set_input_files(file)
    form.get_by_role("button", name="登记").click()
    page.get_by_text("已登记。").wait_for()


def test_a_survey_call_from_no_answer_to_the_figures_in_a_browser(server):
    if not Path(CHROMIUM).exists():
        without("Debian's chromium")
    from playwright.sync_api import sync_playwright

    survey_desk.ask(survey_desk.ended(1, subject="GZ-2026-09999", handled_by=("engineer",)))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium") or CHROMIUM, args=["--no-sandbox"]
        )
        context = browser.new_context(locale="zh-CN")
        context.set_default_timeout(WAIT_MS)
        token = {"name": "_token", "value": server.token("colleague"), "url": server.url}
        context.add_cookies([token])
        page = context.new_page()
        page.goto(f"{server.url}/mailcare/calls")
        page.get_by_role("link", name="GZ-2026-09999").click()
        call_in_vain(page)
        record_marks(page)
        browser.close()


def call_in_vain(page) -> None:
    page.get_by_text("您对本次的「技术水平」打几分？").wait_for()
    assert page.locator('.scores input[type="radio"]:checked').count() == 0
    page.get_by_label("约定再打").first.check()
    page.get_by_role("button", name="登记回访").click()
    page.get_by_role("alert").get_by_text("请填写再打时间").wait_for()
    page.get_by_label("未接通").check()
    page.get_by_role("button", name="登记回访").click()
    page.get_by_text("已登记。").wait_for()


def record_marks(page) -> None:
    for question, score in (("服务满意度", "5 很好"), ("服务态度", "4 好"), ("技术水平", "未评")):
        page.get_by_role("group", name=question).get_by_label(score).check()
    page.get_by_label("意见与建议").fill("回复很快")
    page.get_by_role("button", name="保存").click()
    page.get_by_text("5 分（很好）").wait_for()
    assert page.locator("dl.facts").get_by_text("未评", exact=True).count() == 2
    page.get_by_role("link", name="满意度", exact=True).click()
    page.get_by_text("没有符合的记录").wait_for()
    page.get_by_role("link", name="统计").click()
    page.get_by_text("回复很快").wait_for()
    assert page.locator(".chart svg").count() == 1
