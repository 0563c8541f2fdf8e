"""What every table has in common: names of constraints, portable types, append-only rows."""

# ruff: noqa: ARG002 - SQLAlchemy hands each type the dialect, wanted or not

import enum
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

from sqlalchemy import (
    JSON,
    DateTime,
    Dialect,
    Enum,
    LargeBinary,
    MetaData,
    Text,
    event,
    func,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.orm import DeclarativeBase, Mapped, Mapper, mapped_column
from sqlalchemy.types import TypeDecorator, TypeEngine

if TYPE_CHECKING:
    from sqlalchemy.sql.type_api import _BindProcessorType

WORD_LENGTH = 32  # room for words to come, so that a new one changes no column


class _SqliteMoment(sqlite.DATETIME):
    """A moment in UTC as SQLite keeps it: a text without a zone."""

    def bind_processor(self, dialect: Dialect) -> "_BindProcessorType[datetime]":
        """Return what writes the text of `DATETIME`, in half of its time."""
        return _text_of


def _text_of(value: datetime | None) -> str | None:
    if value is None:
        return None
    return datetime.combine(value, value.time()).isoformat(" ", "microseconds")


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: aware going in, aware UTC coming out, on both databases."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type that the database itself has."""
        return _SqliteMoment() if dialect.name == "sqlite" else self.impl_instance

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn the moment to UTC; raise `ValueError` for one without a zone."""
        if value is None:
            return None
        if value.utcoffset() is None:
            raise ValueError(f"a moment without a zone: {value.isoformat()}")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the zone back that SQLite does not store."""
        if value is None:
            return None
        if value.tzinfo is None:
            # `replace` takes four times as long, and every list reads thousands of moments.
            return datetime.combine(value, value.time(), UTC)
        return value.astimezone(UTC)


class Verbatim(TypeDecorator[str]):
    """Text kept as it came, as bytes: PostgreSQL's text type refuses NUL, UTF-8 half surrogates."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        """Encode any Python text without loss."""
        return None if value is None else value.encode("utf-8", "surrogatepass")

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:
        """Decode what `process_bind_param` wrote."""
        return None if value is None else bytes(value).decode("utf-8", "surrogatepass")


class Sentence(TypeDecorator[str]):
    """Text for people that may quote a stranger; what no database can hold becomes U+FFFD."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Replace NUL and half surrogates."""
        if value is None:
            return None
        whole = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return whole.replace("\0", "\N{REPLACEMENT CHARACTER}")


VerbatimText = Annotated[str, mapped_column(Verbatim)]
SentenceText = Annotated[str, mapped_column(Sentence)]
RowId = Annotated[int, mapped_column(primary_key=True)]


def _values(words: type[enum.Enum]) -> list[str]:
    return [str(word.value) for word in words]


class Base(DeclarativeBase):
    """The parent of every row; a `StrEnum` becomes a string with a CHECK."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it as it stands
        str: Text,
        bytes: LargeBinary,
        datetime: UtcDateTime,
        dict[str, object]: JSON,
        dict[str, float]: JSON,
        list[str]: JSON,
        enum.Enum: Enum(
            enum.Enum,
            native_enum=False,
            create_constraint=True,
            length=WORD_LENGTH,
            values_callable=_values,
        ),
    }

    id: Mapped[RowId]
    created_at: Mapped[datetime] = mapped_column(server_default=func.current_timestamp())


StateT = TypeVar("StateT", bound=enum.StrEnum)


class Stateful(Generic[StateT]):
    """A row whose `state` changes by compare-and-set only; see `changes.move`."""

    if TYPE_CHECKING:
        id: Mapped[int]
        state: Mapped[StateT]

    state_changed_at: Mapped[datetime]


class AppendOnly:
    """A row that a customer could dispute: a session refuses to change or delete it."""


def _refuse(_mapper: Mapper[Any], _connection: object, row: object) -> None:
    raise TypeError(f"{type(row).__name__} is append-only")


event.listen(AppendOnly, "before_update", _refuse, propagate=True)
event.listen(AppendOnly, "before_delete", _refuse, propagate=True)
