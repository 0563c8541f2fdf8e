"""Forms that are refused beside the field that is to blame, with nothing written."""

import re

from fastapi.testclient import TestClient
from sqlalchemy import func, select

from mailcare.records.base import Base
from mailcare.records.session import reading

TEXT, LARGE = ("a.jpg", b"no picture"), ("a.jpg", b"\xff\xd8\xff" + bytes(20 * 1024**2))
LONG = "长" * 5000


def recorded() -> dict[str, int]:
    """Return how many rows each table has."""
    tables = Base.metadata.sorted_tables
    with reading() as session:
        return {one.name: session.scalar(select(func.count()).select_from(one)) for one in tables}


def refuse_each(client: TestClient, address: str, forms: tuple) -> None:
    """Send each form and see it refused beside its field, in Chinese, with nothing written.

    A form is the path below `address`, what it holds, its file, and the field.
    """
    before = recorded()
    for path, data, file, field in forms:
        files = {"file": file} if file else None
        page = client.post(f"{address}/{path}", data=data, files=files)
        said = re.findall(rf'id="{re.escape(field)}-error">([^<]+)<', page.text)
        assert (page.status_code, len(said)) == (422, 1), (path, data, field, page.text)
        assert "不符合要求" not in said[0], said  # the words of a library that speaks English
    assert recorded() == before
