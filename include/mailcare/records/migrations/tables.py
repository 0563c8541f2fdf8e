"""The parts that migrations make tables of, named as `records.base` names them."""

from typing import Any

import sqlalchemy as sa
from alembic import op


def create(table: str, *items: sa.schema.SchemaItem) -> None:
    """Create a table with its `id` and `created_at` beside the given columns and constraints."""
    op.create_table(
        table,
        sa.Column("id", sa.Integer(), nullable=False),
        moment("created_at", server_default=sa.func.current_timestamp()),
        *items,
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
    )


def index(table: str, *columns: str) -> None:
    """Create an index, named as `records.base` names it."""
    op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns))


def column(name: str, type_: sa.types.TypeEngine[Any], *, nullable: bool = False) -> sa.Column[Any]:
    """Return a column."""
    return sa.Column(name, type_, nullable=nullable)


def text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    """Return a text column."""
    return sa.Column(name, sa.Text(), nullable=nullable)


def moment(
    name: str, *, nullable: bool = False, server_default: sa.ColumnElement[Any] | None = None
) -> sa.Column[Any]:
    """Return a column for a moment."""
    return sa.Column(
        name, sa.DateTime(timezone=True), nullable=nullable, server_default=server_default
    )


def word(
    table: str, name: str, kind: str, words: tuple[str, ...], *, nullable: bool = False
) -> tuple[sa.Column[str], sa.CheckConstraint]:
    """Return a column for an enumeration's words, and the check that holds it to them."""
    listed = ", ".join(f"'{word}'" for word in words)
    return (
        sa.Column(name, sa.String(32), nullable=nullable),
        check(table, kind, f"{name} IN ({listed})"),
    )


def reference(
    table: str, column: str, parent: str
) -> tuple[sa.Column[int], sa.ForeignKeyConstraint]:
    """Return a column that refers to another table, and its foreign key."""
    return _reference(table, column, parent, nullable=False)


def optional_reference(
    table: str, column: str, parent: str
) -> tuple[sa.Column[int], sa.ForeignKeyConstraint]:
    """Return a column that may refer to another table, and its foreign key."""
    return _reference(table, column, parent, nullable=True)


def _reference(
    table: str, column: str, parent: str, *, nullable: bool
) -> tuple[sa.Column[int], sa.ForeignKeyConstraint]:
    return (
        sa.Column(column, sa.Integer(), nullable=nullable),
        sa.ForeignKeyConstraint([column], [f"{parent}.id"], name=f"fk_{table}_{column}_{parent}"),
    )


def unique(table: str, *columns: str) -> sa.UniqueConstraint:
    """Return a unique constraint."""
    return sa.UniqueConstraint(*columns, name=f"uq_{table}_{'_'.join(columns)}")


def check(table: str, name: str, condition: str) -> sa.CheckConstraint:
    """Return a check."""
    return sa.CheckConstraint(condition, name=op.f(f"ck_{table}_{name}"))
