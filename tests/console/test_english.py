"""English is whole on every page: what stays Chinese there is what people entered."""

import json
import re
from html import unescape

import pytest
import time_machine
from sqlalchemy import select

from mailcare.records.base import Base
from mailcare.records.session import reading
from tests.console.furnished import NOW, furnish, pages

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
CHINESE = re.compile(r"[一-鿿]")
ATTRIBUTES = re.compile(r'\b(?:title|placeholder|aria-label|data-title)="([^"]*)"')
EDITED = re.compile(r"<textarea.*?</textarea>|<(?:style|metadata).*?</(?:style|metadata)>", re.S)
OURS = {"notices"}  # what the product itself wrote into the records
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


def test_every_page_says_in_english_whatever_nobody_entered(app, login):
    with time_machine.travel(NOW, tick=False):
        client = login("boss")
        furnish(client)
        data = sorted((one for one in entered() if CHINESE.search(one)), key=len, reverse=True)
        ours: dict[str, set[str]] = {}
        for path in pages(app):
            page = client.get(path, headers={"Accept-Language": "en"})
            assert page.status_code == 200, path
            for text in said(page.text):
                left = text
                for one in data:
                    left = left.replace(one, "")
                if CHINESE.search(left) and text != OTHER_LANGUAGE:
                    ours.setdefault(path, set()).add(text)
    assert ours == {}
