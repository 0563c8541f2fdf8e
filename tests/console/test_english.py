"""English is whole on every page: what stays Chinese is what people entered and what checks say."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from html import unescape
from urllib.parse import urlencode

import time_machine
from fastapi.testclient import TestClient
from sqlalchemy import select

from mailcare.records.base import Base
from mailcare.records.session import reading
from mailcare.visits.details import Item
from mailcare.visits.steps import day_items
from tests.console.furnished import NOW, VALUES, furnish, pages

DATABASES = ["sqlite"]
CHINESE = re.compile(r"[一-鿿]")
ATTRIBUTES = re.compile(r'\b(?:title|placeholder|aria-label|data-title)="([^"]*)"')
EDITED = re.compile(r"<textarea.*?</textarea>|<(?:style|metadata).*?</(?:style|metadata)>", re.S)
OURS = {"notices"}  # what the product itself wrote into the records
FIRST = "2026-12-07"
VISIT_ACTS = (
    ("answer", {"chosen": FIRST, "said_by": "王示例"}),
    ("start", {}),
    (
        "training",
        {
            "topic": "screens",
            "taught_on": FIRST,
            "hours": "2",
            "content": "界面",
            "attendees": "王示例",
        },
    ),
)
OTHER_LANGUAGE = "中文"  # the way back


def entered() -> set[str]:
    """Return every text of the records, and each line and word of one, but the product's own."""
    found: set[str] = set()
    with reading() as session:
        for table in Base.metadata.sorted_tables:
            if table.name not in OURS:
                for row in session.execute(select(table)):
                    for value in row:
                        found.update(_texts(value))
    assert len(found) > 100
    return found


def _texts(value: object) -> set[str]:
    if isinstance(value, bytes) or value is None:
        return set()
    if isinstance(value, dict | list):
        below = value.values() if isinstance(value, dict) else value
        shown = json.dumps(value, ensure_ascii=False)
        return {shown, shown[:60]}.union(*map(_texts, below))
    return {str(value), *str(value).splitlines(), *re.split(r"[；\s]", str(value))}


def said(page: str) -> list[str]:
    """Return the texts of a page: between its tags and in its attributes."""
    body = EDITED.sub("", page.partition("<body")[2])
    return [
        unescape(one).strip() for one in (*re.split(r"<[^>]*>", body), *ATTRIBUTES.findall(body))
    ]


def unsaid(client: TestClient, path: str, data: list[str]) -> set[str]:
    """Return what a page says in Chinese besides what was entered, the longest first in `data`."""
    page = client.get(path, headers={"Accept-Language": "en"})
    assert page.status_code == 200, path
    found = set()
    for text in said(page.text):
        left = text
        for one in data:
            left = left.replace(one, "")
        if CHINESE.search(left) and text != OTHER_LANGUAGE:
            found.add(text)
    return found


def chinese_data() -> list[str]:
    return sorted((one for one in entered() if CHINESE.search(one)), key=len, reverse=True)


def checks_say(items: Sequence[Item]) -> Iterator[str]:
    """Yield what the checks say of themselves and what they found, Chinese as on the papers."""
    for one in items:
        yield from (one.check.title, one.check.question, one.says, str(one.target))
        yield from (title for _, title, _ in one.numbers)


def test_every_page_says_in_english_whatever_nobody_entered(app, login):
    with time_machine.travel(NOW, tick=False):
        client = login("boss")
        furnish(client)
        data = chinese_data()
        ours = {path: unsaid(client, path, data) for path in pages(app)}
    assert {path: one for path, one in ours.items() if one} == {}


def test_a_visit_says_in_english_how_it_stands_and_what_is_refused(login):
    with time_machine.travel(NOW, tick=False) as clock:
        client = login("boss")
        furnish(client)
        visit = f"/visits/{VALUES['number']}"
        for path, data in VISIT_ACTS:
            if path == "start":
                clock.move_to(f"{FIRST}T09:00:00+08:00")
            answer = client.post(f"{visit}/{path}", data=data)
            assert answer.status_code == 303, (path, answer.text)
            assert unsaid(client, visit, chinese_data()) == set()
        items = day_items(VALUES["number"])
        place = {"check": items[0].check.name, **asdict(items[0].target)}
        data = sorted({*chinese_data(), *checks_say(items)}, key=len, reverse=True)
        for page in ("day/1", "day/2", f"look?{urlencode(place)}"):
            assert unsaid(client, f"{visit}/{page}", data) == set()
        refused = client.post(f"{visit}/complete", headers={"Accept-Language": "en"})
        assert refused.status_code == 422
        assert "nothing is recorded yet of: hardware" in refused.text
        assert "nothing is recorded yet of: performance of the system" in refused.text
