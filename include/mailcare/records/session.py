"""Open the product's own database, and say what went wrong with it in a person's words.

SQLite (a file, in WAL mode) or PostgreSQL. A write takes SQLite's write lock when it begins, so
that two writers wait for each other instead of failing half-way; a read does not wait for them.
"""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from mailcare.errors import InputError, MailcareError, Unavailable
from mailcare.settings import read_settings

DRIVERS = {"sqlite": "sqlite+pysqlite", "postgresql": "postgresql+psycopg2"}
CONNECT_TIMEOUT_S = 10
LOOKED_FOR_EVERY_S = 0.12  # SQLite's busy handler sleeps for 0.1 s at most between two looks
DEFERRED = "sqlite_deferred"  # an execution option of ours: begin without the write lock

SQLITE_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
SQLITE_LOST = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR)
SQLITE_BROKEN = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)
SQLITE_UNKNOWN = ("no such table", "no such column")  # both have the code of any wrong statement
POSTGRESQL_BUSY = ("55P03", "40P01", "40001")  # lock timeout, deadlock, serialisation failure
POSTGRESQL_FULL = "53100"
POSTGRESQL_UNKNOWN = ("42P01", "42703")  # no such table, no such column


def engine_for(url: str, *, busy_timeout_s: float = 10.0) -> Engine:
    """Return an engine for an SQLAlchemy URL; a missing folder of an SQLite file is made.

    `busy_timeout_s` is how long a statement waits for another one's lock. Raise `InputError` for
    a URL that names neither database.
    """
    target = _target(url)
    if target.get_backend_name() == "sqlite":
        return _sqlite_engine(target, busy_timeout_s)
    engine = create_engine(
        target,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={"connect_timeout": CONNECT_TIMEOUT_S},
    )
    lock_timeout = f"SET lock_timeout = {int(busy_timeout_s * 1000)}"
    event.listen(engine, "connect", lambda raw, _record: _prepare_postgresql(raw, lock_timeout))
    return engine


@contextmanager
def transaction(engine: Engine | None = None) -> Iterator[Session]:
    """Yield a session; commit at the end, roll back on any exception.

    Without `engine` the operator's database is opened. Raise `Unavailable` where the database is
    locked, full or out of reach: nothing of the transaction is kept, and another try may help.
    """
    chosen = engine or _operators_engine()
    with explained(chosen), Session(chosen, expire_on_commit=False) as session, session.begin():
        yield session


@contextmanager
def reading(engine: Engine | None = None) -> Iterator[Session]:
    """Yield a session that sees one state and keeps nothing; it never waits for a writer."""
    chosen = engine or _operators_engine()
    snapshot = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    options: dict[str, Any] = {DEFERRED: True} if chosen.name == "sqlite" else snapshot
    with explained(chosen), Session(chosen.execution_options(**options)) as session:
        yield session


def give_way(engine: Engine | None = None) -> None:
    """Leave SQLite's write lock alone until whoever waits for it has seen that it is free.

    For a long work, between two of its transactions. PostgreSQL's writers queue by themselves.
    """
    if (engine or _operators_engine()).name == "sqlite":
        time.sleep(LOOKED_FOR_EVERY_S)


@contextmanager
def explained(engine: Engine) -> Iterator[None]:
    """Turn the database's own trouble into an error with a sentence; let all others through."""
    try:
        yield
    except IntegrityError:
        raise
    except DBAPIError as error:
        translated = _explanation(error.orig, engine.url, lost=error.connection_invalidated)
        if translated is None:
            raise
        raise translated from error


def _target(url: str) -> URL:
    try:
        target = make_url(url)
    except ArgumentError:
        # The URL itself stays out of the message: it may hold a password.
        raise InputError("数据库地址不是有效的 URL", subject="MAILCARE_DB_URL") from None
    driver = DRIVERS.get(target.get_backend_name())
    if driver is None or (target.get_backend_name() == "sqlite" and not _file_of(target)):
        raise InputError(
            "数据库只能是 SQLite 文件（sqlite:///…）或 PostgreSQL（postgresql://…）",
            subject="MAILCARE_DB_URL",
        )
    # `postgresql://` means another driver since SQLAlchemy 2.1.
    return target.set(drivername=driver)


def _file_of(target: URL) -> str:
    name = target.database or ""
    return "" if name == ":memory:" else name


def _sqlite_engine(target: URL, busy_timeout_s: float) -> Engine:
    folder = Path(_file_of(target)).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"数据库目录无法创建（{error.strerror}）", subject=str(folder)) from error
    # A connection a transaction: an open SQLite file must not pass through a fork.
    engine = create_engine(
        target,
        poolclass=NullPool,
        hide_parameters=True,
        connect_args={"timeout": busy_timeout_s},
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(raw: sqlite3.Connection, _record: object) -> None:
    raw.isolation_level = None  # the driver begins nothing by itself; `_begin_sqlite` does
    raw.execute("PRAGMA journal_mode = WAL")
    raw.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: Connection) -> None:
    deferred = connection.get_execution_options().get(DEFERRED, False)
    connection.exec_driver_sql("BEGIN" if deferred else "BEGIN IMMEDIATE")


def _prepare_postgresql(raw: Any, lock_timeout: str) -> None:  # noqa: ANN401 - the driver's own
    with raw.cursor() as cursor:
        cursor.execute(lock_timeout)
    raw.commit()


def _operators_engine() -> Engine:
    return _engine_of_process(read_settings().database_url, os.getpid())


@lru_cache(maxsize=1)
def _engine_of_process(url: str, _pid: int) -> Engine:
    # The process is part of the key: a forked child must not share its parent's connections.
    return engine_for(url)


def _explanation(cause: BaseException | None, url: URL, *, lost: bool) -> MailcareError | None:
    subject = f"数据库 {url.render_as_string(hide_password=True)}"
    if isinstance(cause, sqlite3.Error):
        return _sqlite_explanation(cause, subject)
    return _postgresql_explanation(cause, subject, lost=lost)


def _sqlite_explanation(cause: sqlite3.Error, subject: str) -> MailcareError | None:
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF  # the low byte is the primary code
    if code in SQLITE_BUSY:
        return _busy(subject)
    if code == sqlite3.SQLITE_FULL:
        return _full(subject)
    if code in SQLITE_LOST:
        return _unreachable(cause, subject)
    if code == sqlite3.SQLITE_READONLY:
        return InputError("数据库文件不可写，请检查文件与目录的权限", subject=subject)
    if code in SQLITE_BROKEN:
        return InputError("文件不是可用的数据库或已损坏，请核对地址或从备份恢复", subject=subject)
    return _outdated(subject) if str(cause).startswith(SQLITE_UNKNOWN) else None


def _postgresql_explanation(
    cause: BaseException | None, subject: str, *, lost: bool
) -> MailcareError | None:
    code = getattr(cause, "pgcode", None)
    if code in POSTGRESQL_BUSY:
        return _busy(subject)
    if code == POSTGRESQL_FULL:
        return _full(subject)
    if code in POSTGRESQL_UNKNOWN:
        return _outdated(subject)
    # Class 57P: the server is being shut down; class 08: the connection broke.
    if lost or code is None or code.startswith(("57P", "08")):
        return _unreachable(cause, subject)
    return None


def _busy(subject: str) -> Unavailable:
    return Unavailable("数据库正被其他操作占用，本次未写入任何内容，请稍后重试", subject=subject)


def _full(subject: str) -> Unavailable:
    return Unavailable(
        "数据库所在磁盘已满，本次未写入任何内容，已有记录不受影响；请清理空间后重试",
        subject=subject,
    )


def _unreachable(cause: BaseException | None, subject: str) -> Unavailable:
    reason = str(cause).strip().partition("\n")[0]
    return Unavailable(f"无法连接或读写数据库（{reason}），请检查后重试", subject=subject)


def _outdated(subject: str) -> InputError:
    return InputError("数据库尚未建立或版本过旧，请先执行 mailcare db upgrade", subject=subject)
