"""A visit on a phone-sized screen: the customer answers, the engineer fills in three days."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import time_machine
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from mailcare.contracts.steps import plan_due
from mailcare.delivery.sealing import unsealed
from mailcare.records.visits import VisitState
from mailcare.visits import steps
from tests.console.servers import free_port
from tests.surroundings import without
from tests.visits import desk
from tests.visits.onsite_desk import PNG

CHROMIUM = "/usr/bin/chromium"
WAIT_MS = 30_000
PHONE = {"width": 390, "height": 844}
DATABASES = ["sqlite"]


@contextmanager
def serving(app) -> Iterator[str]:
    """Serve an application on this machine, in a thread."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(30)


@contextmanager
def phone() -> Iterator:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium") or CHROMIUM, args=["--no-sandbox"]
        )
        context = browser.new_context(
            viewport=PHONE, is_mobile=True, has_touch=True, locale="zh-CN"
        )
        context.set_default_timeout(WAIT_MS)
        yield context.new_page()
        browser.close()


def proposed() -> tuple[str, str]:
    """Plan the contract's visit and propose days; return its number and the customer's link."""
    plan_due(today=date(2026, 4, 1))
    [number] = desk.open_visits()
    desk.hire(desk.STAFF["engineer"])
    desk.assign(number)
    desk.propose(number)
    [letter] = [one for one in desk.letters("admin@shili-bank.example") if one.body]
    text = unsealed(letter.body, letter.key)
    return number, text.partition("https://service.vendor.example")[2].split()[0]


def fits(page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_visit_is_answered_and_filled_in_on_a_phone(app, login, monkeypatch, tmp_path):
    if not Path(CHROMIUM).exists():
        without("Debian's chromium")
    from mailcare.console.answering import create_answering

    monkeypatch.setenv("MAILCARE_HOME", str(tmp_path))
    monkeypatch.setenv("MAILCARE_PUBLIC_URL", "https://service.vendor.example")
    monkeypatch.setenv("MAILCARE_SENDER", "service@vendor.example")
    login("engineer")
    mounts = [Mount("/mailcare-visit", create_answering()), Mount("/mailcare", app)]
    with (
        serving(Starlette(routes=mounts)) as url,
        phone() as page,
        time_machine.travel("2026-04-01T09:00:00+08:00") as clock,
    ):
        number, link = proposed()
        answer_as_customer(page, f"{url}{link}")
        clock.move_to(f"{desk.FIRST}T09:00:00+08:00")
        steps.start_visit(number, by="engineer")
        fill_in(page, f"{url}/mailcare/visits/{number}", tmp_path)
    assert desk.visit(number).state is VisitState.COMPLETED
    detail = steps.visit_detail(number)
    assert (len(detail.photos), len(detail.trainings)) == (1, 1)


def follow(page, link) -> None:
    with page.expect_navigation():  # a click does not wait for the page that it asks for
        link.click()


def answer_as_customer(page, url: str) -> None:
    page.goto(url)
    assert fits(page)
    page.get_by_role("radio").first.check()
    page.get_by_label("您的姓名").fill("王示例")
    page.get_by_role("button", name="提交").click()
    page.get_by_text("您的答复已登记").wait_for()


def fill_in(page, visit: str, folder: Path) -> None:
    photo = folder / "rack.png"
    photo.write_bytes(PNG)
    page.goto(visit)
    assert fits(page)
    follow(page, page.get_by_role("link", name="硬件设备运行情况"))
    assert fits(page)
    look(page, "设备及温度", photo=photo)
    page.goto(f"{visit}/day/2")
    assert fits(page)
    look(page, "邮件系统版本")
    page.goto(visit)
    page.get_by_label("课时（小时）").fill("2.5")
    page.get_by_label("参加人员").fill("王示例、赵示例")
    page.get_by_label("培训内容").fill("界面与队列")
    page.locator("#training").get_by_role("button", name="保存").click()
    page.get_by_text("王示例、赵示例").wait_for()
    page.get_by_label("本次处理内容").fill("清理队列")
    page.locator("section", has_text="处理记录").get_by_role("button", name="保存").click()
    page.get_by_text("已登记。").wait_for()
    page.get_by_role("button", name="完成现场巡检").click()
    page.get_by_text("已完成").first.wait_for()


def look(page, title: str, *, photo: Path | None = None) -> None:
    if page.locator("details").count():
        page.locator("summary").click()
    follow(page, page.locator("li.item", has_text=title).first.get_by_role("link"))
    assert fits(page)
    page.get_by_label("正常").check()
    if page.get_by_label("温度").count():
        page.get_by_label("温度").fill("41")
    page.get_by_label("现场所见").fill("无异常")
    if photo:
        page.get_by_label("照片").set_input_files(photo)
    page.get_by_role("button", name="保存").click()
    page.get_by_text("已登记。").wait_for()
