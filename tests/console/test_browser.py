"""Every page in a browser, on a laptop and on a phone, and its work done by keyboard alone."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import time_machine
from starlette.applications import Starlette
from starlette.routing import Mount

from mailcare.contracts.forms import CustomerForm, read_form
from mailcare.contracts.steps import enter_customer
from tests.backup.copies import cover, declare, looked
from tests.console.furnished import NOW, furnish, pages
from tests.console.test_visit_on_a_phone import CHROMIUM, PHONE, WAIT_MS, serving
from tests.surroundings import without

DATABASES = ["sqlite"]
LAPTOP = {"width": 1280, "height": 800}
# What a person could not reach: wider than the window, out of it, or never focused.
AMISS = """() => {
  const wide = document.documentElement.scrollWidth - window.innerWidth
  const wrong = wide > 0 ? [`${wide} px too wide`] : []
  for (const one of document.querySelectorAll('a, button, input, select, textarea, summary')) {
    if (one.type === 'hidden' || !one.checkVisibility()) continue
    const name = one.outerHTML.slice(0, 80)
    const box = one.getBoundingClientRect()
    const scrolls = one.closest('nav, .scroll, pre')
    if (!scrolls && !one.matches('.skip') && (box.left < -1 || box.right > window.innerWidth + 1))
      wrong.push(`out of the window: ${name}`)
    one.focus({preventScroll: true, focusVisible: true})
    if (document.activeElement !== one || one.tabIndex > 0) wrong.push(`not in turn: ${name}`)
    else if (getComputedStyle(one).outlineStyle === 'none') wrong.push(`unseen focus: ${name}`)
  }
  return wrong
}"""

# The words of verdicts that stand on more than one line, after how many were looked at.
BROKEN = """() => {
  const broken = []
  const all = document.querySelectorAll('td .verdict')
  for (const one of all) {
    const range = document.createRange()
    range.setStart(one.firstChild, 0)
    range.setEnd(one.firstChild, one.textContent.split('（')[0].length)
    const lines = new Set([...range.getClientRects()].map(box => Math.round(box.top)))
    if (lines.size > 1) broken.push(one.textContent)
  }
  return [all.length, broken]
}"""


@contextmanager
def browser_page(**options) -> Iterator:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium") or CHROMIUM, args=["--no-sandbox"]
        )
        page = browser.new_page(**options)
        page.set_default_timeout(WAIT_MS)
        yield page
        browser.close()


@pytest.fixture
def url(app, login) -> Iterator[str]:
    if not Path(CHROMIUM).exists():
        without("Debian's chromium")
    with time_machine.travel(NOW):
        furnish(login("boss"))
        for number in range(60):
            entered = {
                "name": f"第{number:02}农村商业银行股份有限公司",
                "contacts": [{"name": "赵"}],
            }
            enter_customer(read_form(CustomerForm, entered), by="test")
        with serving(Starlette(routes=[Mount("/mailcare", app)])) as url:
            yield f"{url}/mailcare"


def test_every_page_fits_and_all_on_it_is_reached(app, url):
    with browser_page(locale="zh-CN") as page:
        amiss = {}
        for path in pages(app):
            page.goto(f"{url}{path}")
            for size in (LAPTOP, PHONE):
                page.set_viewport_size(size)
                if wrong := page.evaluate(AMISS):
                    amiss[size["width"], path] = wrong
    assert amiss == {}


def test_no_verdict_on_a_copy_is_broken_across_lines(url, tmp_path):
    declare(tmp_path, *(f"nightly-{number}" for number in range(4)), policy="L4: 7, L5: 31")
    cover("bank")
    every = ("L0", "L1", "L2", "L3", "L4", "L5")
    long_ago, said = datetime(2026, 10, 1, tzinfo=UTC), "没有有效的授权，" * 12
    for number, verdict in enumerate(("PASS", "FAIL", "NOT_RUN")):
        levels = dict.fromkeys(every, verdict)
        looked(f"nightly-{number}", long_ago, reason=said, **levels)
    with browser_page(locale="zh-CN") as page:
        page.goto(f"{url}/backups?sort=verdict")
        for size in (LAPTOP, PHONE):
            page.set_viewport_size(size)
            assert page.evaluate(BROKEN) == [4 * 7, []]
            assert page.evaluate(AMISS) == []


def test_a_customer_is_found_sorted_paged_and_changed_by_keyboard_alone(url):
    with browser_page(locale="zh-CN", viewport=LAPTOP) as page:
        page.goto(f"{url}/customers")
        page.keyboard.press("Tab")
        assert focused(page) == "跳到正文"
        page.keyboard.press("Enter")
        tab_to(page, "名称")  # beyond the navigation, in order
        page.keyboard.press("Enter")
        page.locator('th[aria-sort="ascending"]').wait_for()
        tab_to(page, "下一页")
        page.keyboard.press("Enter")
        page.locator("[rel=prev]").wait_for()
        page.locator("[type=search]").focus()
        page.keyboard.type("第07")
        page.keyboard.press("Enter")
        page.wait_for_url("**q=**")
        tab_to(page, "第07农村商业银行股份有限公司")
        page.keyboard.press("Enter")
        page.wait_for_url("**/customers/*")
        tab_to(page, "编辑")
        page.keyboard.press("Enter")
        page.wait_for_url("**/change")
        page.get_by_label("名称").focus()
        page.keyboard.press("End")
        page.keyboard.type("（改）")
        page.keyboard.press("Enter")
        page.get_by_text("已保存。").wait_for()
        assert page.locator("h1").inner_text() == "第07农村商业银行股份有限公司（改）"


def focused(page) -> str:
    return page.evaluate("document.activeElement.innerText || ''")


def tab_to(page, text: str) -> None:
    for _ in range(100):
        page.keyboard.press("Tab")
        if focused(page) == text:
            return
    raise AssertionError(f"never reached: {text}")
