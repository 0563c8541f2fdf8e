import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import Engine, func, select, text

from mailcare.listing import Wish
from mailcare.papers.document import Document
from mailcare.papers.keeping import Render, keep_paper, latest_paper, pages
from mailcare.papers.steps import list_papers, paper_file
from mailcare.records.customers import Customer, System
from mailcare.records.papers import FileKind, Paper
from mailcare.records.schema import downgrade, upgrade
from mailcare.records.session import engine_for, reading, transaction
from tests.papers import sample
from tests.records.rows import add_system

LETTER = Document("ND-2026-00001", "review/report.html", 1, {"total": 3})


@pytest.fixture(autouse=True)
def database(database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("MAILCARE_DB_URL", database_url)
    return database_url


def rendered(body: bytes = b"%PDF-1.7 paper") -> Render:
    return lambda: [(FileKind.PDF, body)]


def unwanted() -> Iterator[tuple[FileKind, bytes]]:
    raise AssertionError("rendered a second time")
    yield


def test_equal_content_is_kept_once_and_never_rendered_again() -> None:
    first = keep_paper(LETTER, rendered(), system=None, customer=None)
    second = keep_paper(LETTER, unwanted, system=None, customer=None)

    assert first == second
    with reading() as session:
        assert session.scalar(select(func.count(Paper.id))) == 1


def test_changed_content_is_the_next_version_of_the_same_number() -> None:
    keep_paper(LETTER, rendered(), system=None, customer=None)
    changed = keep_paper(
        replace(LETTER, content={"total": 4}), rendered(), system=None, customer=None
    )

    latest = latest_paper(LETTER.number)
    assert latest is not None
    assert (latest.id, latest.version) == (changed, 2)
    assert latest_paper("ND-2026-99999") is None


def test_a_paper_about_a_system_is_about_its_customer_too() -> None:
    with transaction() as session:
        system = add_system(session)
        owner = session.get_one(System, system).customer_id
    kept = keep_paper(LETTER, rendered(), system=system, customer=None)

    with reading() as session:
        assert session.get_one(Paper, kept).customer_id == owner


def test_papers_of_a_system_a_customer_and_the_desk_stand_in_one_list() -> None:
    with transaction() as session:
        system = add_system(session)
        session.add(other := Customer(name="另一家银行"))
        session.flush()
        customer = other.id
    keep_paper(replace(LETTER, number="XJ-2026-00001"), rendered(), system=system, customer=None)
    keep_paper(replace(LETTER, number="DC-2026-00001"), rendered(), system=None, customer=customer)
    keep_paper(LETTER, rendered(), system=None, customer=None)

    rows = {row.number: (row.system, row.customer) for row in list_papers(Wish()).rows}

    assert rows == {
        "XJ-2026-00001": ("企业邮件系统", "示例银行 shili-bank"),
        "DC-2026-00001": (None, "另一家银行"),
        "ND-2026-00001": (None, None),
    }
    found = list_papers(Wish(text="另一家")).rows
    assert [row.number for row in found] == ["DC-2026-00001"]


def test_a_file_is_handed_out_as_it_was_kept() -> None:
    kept = keep_paper(LETTER, rendered(b"%PDF-1.7 whole"), system=None, customer=None)

    file = paper_file(kept, "pdf")
    assert (file.name, file.body) == ("ND-2026-00001-v1.pdf", b"%PDF-1.7 whole")
    with reading() as session:
        stored = session.get_one(Paper, kept).files
        assert [one.sha256 for one in stored] == [hashlib.sha256(b"%PDF-1.7 whole").hexdigest()]


def test_two_who_keep_different_content_at_once_get_versions_one_after_the_other() -> None:
    together = threading.Barrier(2)
    kept: list[int] = []

    def keep(total: int) -> None:
        def files() -> Iterator[tuple[FileKind, bytes]]:
            together.wait(30)
            yield FileKind.PDF, b"%PDF-1.7"

        document = replace(LETTER, content={"total": total})
        kept.append(keep_paper(document, files, system=None, customer=None))

    both = [threading.Thread(target=keep, args=(total,)) for total in (1, 2)]
    for one in both:
        one.start()
    for one in both:
        one.join(60)

    assert len(set(kept)) == 2
    with reading() as session:
        assert sorted(session.scalars(select(Paper.version))) == [1, 2]


def test_a_document_is_rendered_as_html_and_pdf() -> None:
    files = dict(pages(sample.report()))

    assert set(files) == {FileKind.HTML, FileKind.PDF}
    assert files[FileKind.PDF].startswith(b"%PDF-")


def test_papers_from_before_get_the_customer_of_their_system(empty_database_url: str) -> None:
    upgrade(empty_database_url, "0005")
    engine = engine_for(empty_database_url)
    with engine.begin() as connection:
        for statement in (
            "INSERT INTO customers (id, name, version) VALUES (7, '示例银行', 1)",
            "INSERT INTO systems (id, customer_id, site, title, profile, definition)"
            " VALUES (3, 7, 'shili', '企业邮件系统', 'generic', '{}')",
            "INSERT INTO papers (id, system_id, number, version, template, template_version,"
            " content, fingerprint) VALUES (1, 3, 'XJ-2026-00001', 1, 't', '1', '{}', 'f')",
            "INSERT INTO paper_files (paper_id, kind, sha256, size_bytes, body)"
            f" VALUES (1, 'pdf', 'x', 1, {_bytes(engine)})",
        ):
            connection.execute(text(statement))

    upgrade(empty_database_url)
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT customer_id, system_id FROM papers")).all()
        assert [tuple(row) for row in rows] == [(7, 3)]
        assert connection.scalar(text("SELECT count(*) FROM paper_files")) == 1

    downgrade(empty_database_url, "0005")
    engine.dispose()


def _bytes(engine: Engine) -> str:
    return "X'61'" if engine.name == "sqlite" else "'\\x61'"
