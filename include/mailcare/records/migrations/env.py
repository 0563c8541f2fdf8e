"""Run the migrations over the connection that `mailcare.records.schema` hands in."""

from typing import Literal

from alembic import context
from sqlalchemy.types import TypeDecorator

from mailcare.records.schema import METADATA


def render_item(kind: str, item: object, _context: object) -> str | Literal[False]:
    """Write our own types as the plain ones beneath: a migration must not change with the code."""
    if kind == "type" and isinstance(item, TypeDecorator):
        return f"sa.{item.impl!r}"
    return False


def run_migrations() -> None:
    """Run what Alembic was asked for; the transaction is the caller's."""
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=METADATA,
        render_item=render_item,
        render_as_batch=True,  # SQLite changes a table by copying it
    )
    with context.begin_transaction():
        context.run_migrations()


run_migrations()
