"""Bring a database to a version of the schema; the migrations are part of the package.

A whole upgrade is one transaction on both databases: a failure leaves the version that was there.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, event

from mailcare.records import (
    alerts,
    backups,
    calendars,
    contracts,
    customers,
    deliveries,
    faults,
    inspections,
    job_runs,
    papers,
    people,
    received,
    reviews,
    surveys,
    visits,
)
from mailcare.records.base import Base
from mailcare.records.session import engine_for, explained

AREAS = (
    alerts,
    backups,
    calendars,
    contracts,
    customers,
    deliveries,
    faults,
    inspections,
    job_runs,
    papers,
    people,
    received,
    reviews,
    surveys,
    visits,
)  # imported so that METADATA has their tables
METADATA = Base.metadata
MIGRATIONS = Path(__file__).parent / "migrations"
UPGRADE_LOCK = 0x6D61696C  # "mail": PostgreSQL's advisory lock of one upgrade at a time


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the database up to `revision`; one that is there already is left as it is.

    Raise `Unavailable` where it is locked, full or out of reach.
    """
    with _migrating(url) as config:
        command.upgrade(config, revision)


def downgrade(url: str, revision: str) -> None:
    """Bring the database back to `revision`, or to nothing with `base`; what is cut off is lost."""
    with _migrating(url) as config:
        command.downgrade(config, revision)


def propose_revision(url: str, message: str) -> None:
    """Write a new migration from what the models have more than the database at `url`."""
    with _migrating(url) as config:
        command.revision(config, message, autogenerate=True)


@contextmanager
def _migrating(url: str) -> Iterator[Config]:
    engine = engine_for(url)
    if engine.name == "sqlite":
        event.listen(engine, "connect", _suspend_foreign_keys)
    try:
        with explained(engine), engine.begin() as connection:
            _wait_for_other_upgrades(connection)
            yield _config(connection)
            _check_foreign_keys(connection)
    finally:
        engine.dispose()


def _suspend_foreign_keys(raw: sqlite3.Connection, _record: object) -> None:
    # SQLite changes a table by copying and dropping it, and a drop would take its children along.
    raw.execute("PRAGMA foreign_keys = OFF")


def _wait_for_other_upgrades(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({UPGRADE_LOCK})")


def _check_foreign_keys(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        assert not broken, f"a migration broke foreign keys: {broken}"


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
