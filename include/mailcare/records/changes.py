"""The changes that must hold when two processes try at once: add, put, move, revoke, wait."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import InstrumentedAttribute, Session

from mailcare.records.base import Base, Stateful, StateT
from mailcare.records.customers import Authorisation


def add_once(session: Session, model: type[Base], values: Mapping[str, object]) -> int | None:
    """Insert a row and return its id, or None where a unique key of it is already there."""
    statement = _insert(session, model).values(**values).on_conflict_do_nothing()
    return session.scalar(statement.returning(model.id))


def add_all_once(session: Session, model: type[Base], rows: Sequence[Mapping[str, object]]) -> None:
    """Insert rows of equal keys in one statement, those left out whose unique key is there."""
    if rows:
        session.connection().execute(
            _insert(session, model).on_conflict_do_nothing(), [dict(row) for row in rows]
        )


def add_all_new(
    session: Session,
    model: type[Base],
    rows: Sequence[Mapping[str, object]],
    *,
    key: InstrumentedAttribute[str],
) -> Mapping[str, int]:
    """Insert rows in one statement; return the ids of those whose unique `key` was new, by it."""
    if not rows:
        return {}
    session.flush()
    statement = _insert(session, model).on_conflict_do_nothing().returning(key, model.id)
    added = session.connection().execute(statement, [dict(row) for row in rows])
    return {row[0]: row[1] for row in added}


def insert_all(session: Session, model: type[Base], rows: Sequence[Mapping[str, object]]) -> None:
    """Insert rows of equal keys in one statement."""
    if rows:
        session.connection().execute(_insert(session, model), [dict(row) for row in rows])


def put_all(
    session: Session,
    model: type[Base],
    rows: Sequence[Mapping[str, object]],
    *,
    key: Sequence[str],
) -> None:
    """Insert rows of equal keys in one statement, over those that `key` finds there already."""
    if not rows:
        return
    statement = _insert(session, model)
    written = {name: statement.excluded[name] for name in rows[0] if name not in key}
    session.connection().execute(
        statement.on_conflict_do_update(index_elements=list(key), set_=written),
        [dict(row) for row in rows],
    )


def change_all(
    session: Session,
    model: type[Base],
    rows: Iterable[Mapping[str, object]],
    *,
    key: Sequence[str],
) -> None:
    """Update the rows that `key` names, each in the other columns that it gives and in no other.

    As many statements as there are sets of columns: an index is only written anew where one of its
    columns was given.
    """
    alike: dict[tuple[str, ...], list[Mapping[str, object]]] = defaultdict(list)
    for row in rows:
        alike[tuple(row)].append({f"its_{name}": said for name, said in row.items()})
    for names, values in alike.items():
        its = {name: bindparam(f"its_{name}") for name in names}
        found = [getattr(model, name) == its.pop(name) for name in key]
        session.connection().execute(update(model).where(*found).values(its), values)


def _insert(session: Session, model: type[Base]) -> postgresql.Insert | sqlite.Insert:
    is_postgresql = session.get_bind().dialect.name == "postgresql"
    return postgresql.insert(model) if is_postgresql else sqlite.insert(model)


def move(
    session: Session,
    model: type[Stateful[StateT]],
    row_id: int,
    *,
    from_state: StateT,
    to_state: StateT,
    at: datetime,
) -> bool:
    """Change a row's state where it still is `from_state`; tell whether this call changed it."""
    statement = (
        update(model)
        .where(model.id == row_id, model.state == from_state)
        .values({"state": to_state, "state_changed_at": at})
        .returning(model.id)
    )
    return session.scalar(statement) is not None


def revoke(session: Session, authorisation_id: int, *, by: str, at: datetime) -> bool:
    """End an authorisation early; tell whether it was in force until this call."""
    statement = (
        update(Authorisation)
        .where(Authorisation.id == authorisation_id, Authorisation.revoked_at.is_(None))
        .values(revoked_by=by, revoked_at=at)
        .returning(Authorisation.id)
    )
    return session.scalar(statement) is not None


def take_turns(session: Session, name: str) -> None:
    """Wait until no other transaction that took turns for `name` is open, and hold up later ones.

    For what the next row is reckoned from the last. SQLite's writers take turns by themselves.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))
