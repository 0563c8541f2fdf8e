import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy import Engine, event, select
from sqlalchemy.orm import Session

from mailcare.errors import InputError, MailcareError, Unavailable
from mailcare.records.customers import Customer, System
from mailcare.records.session import engine_for, reading, transaction
from tests.databases import Cluster
from tests.records.rows import add_inspection, add_system, reply

SQLITE_ONLY = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
POSTGRESQL_ONLY = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def test_a_transaction_that_fails_keeps_nothing(engine: Engine) -> None:
    with pytest.raises(ZeroDivisionError), transaction(engine) as session:
        add_system(session) / 0

    assert _customers(engine) == []


def test_a_row_is_still_readable_after_its_transaction(engine: Engine) -> None:
    with transaction(engine) as session:
        session.add(Customer(name="示例银行"))
    with reading(engine) as session:
        customer = session.scalars(select(Customer)).one()

    assert customer.name == "示例银行"


def test_reading_keeps_nothing(engine: Engine) -> None:
    with reading(engine) as session:
        session.add(Customer(name="示例银行"))

    assert _customers(engine) == []


def test_a_reader_sees_one_state_while_another_writes(engine: Engine) -> None:
    with reading(engine) as session:
        before = session.scalars(select(Customer.name)).all()
        with transaction(engine) as other:
            other.add(Customer(name="示例银行"))
        assert session.scalars(select(Customer.name)).all() == before

    assert _customers(engine) == ["示例银行"]


def test_the_operators_database_is_opened_where_none_is_named(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILCARE_DB_URL", database_url)

    with transaction() as session:
        session.add(Customer(name="示例银行"))
    with reading() as session:
        assert session.scalars(select(Customer.name)).all() == ["示例银行"]
        session.get_bind().dispose()


def test_a_locked_database_can_be_tried_again(database_url: str, engine: Engine) -> None:
    with (
        _writer(database_url),
        pytest.raises(Unavailable, match="占用") as caught,
        transaction(engine) as session,
    ):
        session.add(Customer(name="示例银行"))

    assert not caught.value.permanent
    assert _customers(engine) == []


def test_a_reader_does_not_wait_for_a_writer(database_url: str, engine: Engine) -> None:
    with transaction(engine) as session:
        session.add(Customer(name="示例银行"))

    with _writer(database_url) as write:
        write("INSERT INTO customers (name) VALUES ('第二银行')")
        assert _customers(engine) == ["示例银行"]


@SQLITE_ONLY
def test_two_writers_that_read_first_wait_for_each_other(database_url: str) -> None:
    # With a plain BEGIN the second to write would fail at once with a stale snapshot.
    engine = engine_for(database_url, busy_timeout_s=30)
    together = threading.Barrier(2, timeout=30)

    def read_then_write(name: str) -> None:
        together.wait()
        with transaction(engine) as session:
            known = len(session.scalars(select(Customer)).all())
            session.add(Customer(name=f"{name} {known}"))

    threads = [threading.Thread(target=read_then_write, args=(name,)) for name in ("甲", "乙")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert sorted(name[-1] for name in _customers(engine)) == ["0", "1"]


@SQLITE_ONLY
def test_a_full_disk_loses_nothing_that_was_there(engine: Engine) -> None:
    with transaction(engine) as session:
        inspection = add_inspection(session)

    event.listen(engine, "connect", _no_room)
    with pytest.raises(Unavailable, match="磁盘已满") as caught, transaction(engine) as session:
        session.add(reply(inspection, text="x" * 5_000_000))
    event.remove(engine, "connect", _no_room)

    assert not caught.value.permanent
    with transaction(engine) as session:
        session.add(reply(inspection, text="x" * 5_000_000))


@SQLITE_ONLY
def test_sqlite_checks_references_and_writes_ahead(engine: Engine) -> None:
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 500


def test_a_file_that_is_no_database_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "mailcare.db").write_text("customers: none\n" * 100)

    with (
        pytest.raises(MailcareError, match="不是可用的数据库") as caught,
        reading(engine_for(f"sqlite:///{tmp_path}/mailcare.db")) as session,
    ):
        session.scalars(select(System)).all()

    assert caught.value.permanent
    assert "mailcare.db" in str(caught.value)


def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    engine_for(f"sqlite:///{tmp_path}/var/lib/mailcare.db")

    assert stat.S_ISDIR((tmp_path / "var/lib").stat().st_mode)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(InputError, match="file/data"):
        engine_for(f"sqlite:///{tmp_path}/file/data/mailcare.db")


@pytest.mark.parametrize(
    "url", ["mysql://root:geheim@db/mailcare", "no url, geheim", "sqlite://", "sqlite:///:memory:"]
)
def test_another_database_is_refused_without_repeating_the_password(url: str) -> None:
    with pytest.raises(InputError, match="数据库") as caught:
        engine_for(url)

    assert "geheim" not in str(caught.value)


@POSTGRESQL_ONLY
def test_a_connection_that_the_server_cuts_can_be_tried_again(
    postgresql_cluster: Cluster, engine: Engine
) -> None:
    def cut(session: Session) -> None:
        session.add(Customer(name="示例银行"))
        session.flush()
        postgresql_cluster.cut(str(engine.url.database))

    with pytest.raises(Unavailable, match="无法连接") as caught, transaction(engine) as session:
        cut(session)

    assert not caught.value.permanent
    assert _customers(engine) == []


@POSTGRESQL_ONLY
def test_an_idle_connection_that_was_cut_is_replaced_unnoticed(
    postgresql_cluster: Cluster, engine: Engine
) -> None:
    assert _customers(engine) == []

    postgresql_cluster.cut(str(engine.url.database))

    assert _customers(engine) == []


def _customers(engine: Engine) -> list[str]:
    with reading(engine) as session:
        return list(session.scalars(select(Customer.name)))


def _no_room(raw: sqlite3.Connection, _record: object) -> None:
    raw.execute("PRAGMA max_page_count = 100")


@contextmanager
def _writer(url: str) -> Iterator:
    """Hold what a second writer needs: SQLite's write lock, or PostgreSQL's customers."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as one:
            one.execute("BEGIN IMMEDIATE")
            yield one.execute
            one.execute("ROLLBACK")
        return
    with closing(psycopg2.connect(url)) as one:
        one.cursor().execute("LOCK TABLE customers IN SHARE ROW EXCLUSIVE MODE")
        yield one.cursor().execute
        one.rollback()
