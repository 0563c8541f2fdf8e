import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, Inspector, create_engine, event, inspect, text

from mailcare.errors import InputError, Unavailable
from mailcare.records.customers import Customer
from mailcare.records.schema import METADATA, downgrade, upgrade
from mailcare.records.session import engine_for, reading, transaction

ROOT = Path(__file__).parents[2]
OWN_TABLE = "alembic_version"  # Alembic's, empty when nothing is applied


@pytest.fixture
def empty_engine(empty_database_url: str) -> Iterator[Engine]:
    engine = engine_for(empty_database_url)
    yield engine
    engine.dispose()


def test_head_has_every_table_of_the_models(engine: Engine) -> None:
    tables = set(inspect(engine).get_table_names()) - {OWN_TABLE}

    assert len(tables) > 20
    assert tables == set(METADATA.tables)


def test_going_back_to_the_base_leaves_no_table(empty_database_url: str) -> None:
    upgrade(empty_database_url)
    downgrade(empty_database_url, "base")

    engine = engine_for(empty_database_url)
    assert set(inspect(engine).get_table_names()) <= {OWN_TABLE}
    upgrade(empty_database_url)
    assert "customers" in inspect(engine).get_table_names()
    engine.dispose()


def test_upgrading_twice_changes_nothing_and_keeps_the_rows(
    database_url: str, engine: Engine
) -> None:
    with transaction(engine) as session:
        session.add(Customer(name="示例银行"))
    before = _shape(inspect(engine))

    upgrade(database_url)

    assert _shape(inspect(engine)) == before
    with reading(engine) as session:
        assert session.query(Customer).one().name == "示例银行"


def test_alembic_finds_no_difference_between_head_and_models(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, METADATA) == []


def test_alembic_would_find_a_missing_column(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE contacts DROP COLUMN phone"))
        differences = compare_metadata(MigrationContext.configure(connection), METADATA)

    assert [row[:3] for row in differences] == [("add_column", None, "contacts")]


def test_head_equals_the_models_down_to_checks_and_names(
    empty_database_url: str, empty_engine: Engine
) -> None:
    # Alembic compares no CHECK; the models' own tables, created and read back, are the measure.
    upgrade(empty_database_url)
    migrated = _shape(inspect(empty_engine))
    downgrade(empty_database_url, "base")
    METADATA.create_all(empty_engine)
    modelled = _shape(inspect(empty_engine))

    assert len(modelled["services"]["checks"]) == 3
    assert migrated == modelled


def test_a_failing_migration_leaves_the_database_as_it_was(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables_made = []

    def break_off(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        if statement.lstrip().startswith("CREATE TABLE papers"):
            raise RuntimeError("power cut")
        if statement.lstrip().startswith("CREATE TABLE"):
            tables_made.append(statement)

    event.listen(Engine, "before_cursor_execute", break_off)
    try:
        with pytest.raises(RuntimeError, match="power cut"):
            upgrade(empty_database_url)
    finally:
        event.remove(Engine, "before_cursor_execute", break_off)

    engine = engine_for(empty_database_url)
    assert len(tables_made) > 5
    assert inspect(engine).get_table_names() == []
    engine.dispose()


def test_upgrades_started_at_once_wait_for_each_other(
    empty_database_url: str, empty_engine: Engine
) -> None:
    words = "import sys; from mailcare.records.schema import upgrade; upgrade(sys.argv[1])"
    include = {"PYTHONPATH": str(ROOT / "include"), "PATH": os.environ["PATH"]}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", words, empty_database_url], env=include, stderr=subprocess.PIPE
        )
        for _ in range(3)
    ]

    assert [one.communicate(timeout=60)[1] for one in started] == [b""] * 3
    assert len(inspect(empty_engine).get_table_names()) == len(METADATA.tables) + 1


def test_reading_before_the_first_upgrade_says_what_to_do(empty_engine: Engine) -> None:
    with (
        pytest.raises(InputError, match="mailcare db upgrade"),
        reading(empty_engine) as session,
    ):
        session.query(Customer).all()


def test_upgrading_an_unreachable_server_can_be_tried_again(tmp_path: object) -> None:
    with pytest.raises(Unavailable, match="无法连接") as caught:
        upgrade(f"postgresql://mailcare:geheim@/none?host={tmp_path}")

    assert not caught.value.permanent
    assert "geheim" not in str(caught.value)


def test_a_percent_sign_in_the_folder_is_no_trouble(tmp_path: object) -> None:
    url = f"sqlite:///{tmp_path}/50%/深/mailcare.db"

    upgrade(url)

    plain = create_engine(url)
    assert "customers" in inspect(plain).get_table_names()
    plain.dispose()


def _shape(inspector: Inspector) -> dict[str, dict[str, list[str]]]:
    """Return, per table, everything the server tells about it, in a comparable order."""
    return {
        table: {
            "columns": sorted(_column(one) for one in inspector.get_columns(table)),
            "checks": sorted(str(one) for one in inspector.get_check_constraints(table)),
            "uniques": sorted(_text(one) for one in inspector.get_unique_constraints(table)),
            "keys": sorted(_text(one) for one in inspector.get_foreign_keys(table)),
            "indexes": sorted(_text(one) for one in inspector.get_indexes(table)),
            "primary": [_text(inspector.get_pk_constraint(table))],
        }
        for table in inspector.get_table_names()
    }


def _column(column: dict) -> str:
    # A table that SQLite copied writes its default in brackets.
    default = (column["default"] or "").strip("()")
    return f"{column['name']} {column['type']!r} null={column['nullable']} default={default}"


def _text(described: dict) -> str:
    # What SQLAlchemy reads back of a partial index is an object that shows its address.
    plain = {
        key: {name: str(one) for name, one in value.items()} if isinstance(value, dict) else value
        for key, value in described.items()
    }
    return str(sorted(plain.items(), key=lambda item: item[0]))
