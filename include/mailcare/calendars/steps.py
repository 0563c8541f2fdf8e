"""The operator's year tables: load, confirm, and the calendar that they make."""

import hashlib
import json
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailcare.clock import BEIJING, utc_now
from mailcare.errors import InputError
from mailcare.records import calendars
from mailcare.records.audit import note_change
from mailcare.records.calendars import TableState
from mailcare.records.changes import move
from mailcare.records.session import reading, transaction
from mailcare.settings import has_database
from mailcare.workdays import Calendar, YearTable
from mailcare.year_tables import difference, parse_year_table


def today() -> date:
    """Return the present day in Beijing, by which everything is due."""
    return utc_now().astimezone(BEIJING).date()


@dataclass(frozen=True, slots=True)
class YearTableRow:
    """A year table; `state` is proposed, confirmed or replaced, `changes` what a proposed one does.

    Only a person other than `loaded_by` may confirm it.
    """

    year: int
    notice: str
    state: str
    loaded_by: str
    loaded_at: datetime
    confirmed_by: str | None
    confirmed_at: datetime | None
    changes: str


def working_calendar() -> Calendar:
    """Return the calendar with every confirmed year table in it.

    Where no database was ever set up there is no table: the libraries' knowledge stands alone.
    """
    if not has_database():
        return Calendar()
    with reading() as session:
        return _calendar(session)


def load_year_table(path: Path, *, by: str) -> str:
    """Propose a year table and say what it changes; a second person must confirm it.

    Loading the same table again proposes nothing new. Raise `InputError` for a file that is no
    table, with every complaint and its line.
    """
    return propose_year_table(_text(path), name=str(path), by=by)


def propose_year_table(text: str, *, name: str, by: str) -> str:
    """Propose a year table from its text, as `load_year_table` does; `name` is said in errors."""
    table = parse_year_table(text, name=name)
    fingerprint = _fingerprint(table)
    with transaction() as session:
        said = difference(table, _calendar(session))
        known = _latest(session, table.year)
        if known and known.fingerprint == fingerprint and known.state is TableState.CONFIRMED:
            return f"{said}\n这份年度表已由 {known.confirmed_by} 确认，正在使用，没有变化。"
        if known and known.fingerprint == fingerprint and known.state is TableState.PROPOSED:
            return f"{said}\n{_waiting(known)}"
        row = _row(table, fingerprint, by)
        session.add(row)
        _note(session, row, by=by, action="enter")
        return f"{said}\n{_waiting(row)}"


def confirm_year_table(year: int, *, by: str) -> str:
    """Put the proposed table of a year into force; who loaded it may not confirm it.

    The table that was in force stays in the records as replaced. Raise `InputError` where nothing
    waits for a confirmation, or for the wrong person.
    """
    with transaction() as session:
        row = _latest(session, year)
        if row is None or row.state is not TableState.PROPOSED:
            raise InputError(f"{year} 年没有待确认的年度表")
        if row.loaded_by == by:
            raise InputError(f"{year} 年的年度表由 {by} 载入，须由另一人确认")
        _replace(session, year)
        row.confirmed_by, row.confirmed_at = by, utc_now()
        session.flush()
        _put_in_force(session, row)
        _note(session, row, by=by, action="confirm")
        return f"{year} 年度表（{row.notice}）已由 {by} 确认，自即刻起使用。"


def list_year_tables() -> tuple[YearTableRow, ...]:
    """Return every year table, the newest first; a proposed one with what it changes."""
    with reading() as session:
        calendar = _calendar(session)
        rows = session.scalars(
            select(calendars.YearTable).order_by(
                calendars.YearTable.year.desc(), calendars.YearTable.id.desc()
            )
        )
        return tuple(_described(row, calendar) for row in rows)


def _described(row: calendars.YearTable, calendar: Calendar) -> YearTableRow:
    is_open = row.state is TableState.PROPOSED
    return YearTableRow(
        row.year,
        row.notice,
        str(row.state),
        row.loaded_by,
        row.loaded_at,
        row.confirmed_by,
        row.confirmed_at,
        difference(_table(row), calendar) if is_open else "",
    )


def _note(session: Session, row: calendars.YearTable, *, by: str, action: str) -> None:
    note_change(
        session,
        by=by,
        at=utc_now(),
        action=action,
        subject=f"calendar/{row.year}",
        after={"notice": row.notice, "off": row.off, "work": row.work},
    )


def _calendar(session: Session) -> Calendar:
    in_force = calendars.YearTable.state == TableState.CONFIRMED
    rows = session.scalars(select(calendars.YearTable).where(in_force))
    return Calendar(tuple(map(_table, rows)))


def _table(row: calendars.YearTable) -> YearTable:
    return YearTable(
        row.year,
        row.notice,
        frozenset(map(date.fromisoformat, row.off)),
        frozenset(map(date.fromisoformat, row.work)),
    )


def _row(table: YearTable, fingerprint: str, by: str) -> calendars.YearTable:
    now = utc_now()
    return calendars.YearTable(
        year=table.year,
        notice=table.notice,
        off=sorted(map(date.isoformat, table.off)),
        work=sorted(map(date.isoformat, table.work)),
        fingerprint=fingerprint,
        state=TableState.PROPOSED,
        state_changed_at=now,
        loaded_by=by,
        loaded_at=now,
    )


def _fingerprint(table: YearTable) -> str:
    days = [sorted(map(date.isoformat, one)) for one in (table.off, table.work)]
    content = json.dumps([table.year, table.notice, *days], ensure_ascii=False)
    return hashlib.sha256(content.encode()).hexdigest()


def _latest(session: Session, year: int) -> calendars.YearTable | None:
    of_year = select(calendars.YearTable).where(calendars.YearTable.year == year)
    return session.scalar(of_year.order_by(calendars.YearTable.id.desc()).limit(1))


def _replace(session: Session, year: int) -> None:
    in_force = (calendars.YearTable.year == year, calendars.YearTable.state == TableState.CONFIRMED)
    for row_id in session.scalars(select(calendars.YearTable.id).where(*in_force)).all():
        _move(session, row_id, TableState.CONFIRMED, TableState.REPLACED)


def _put_in_force(session: Session, row: calendars.YearTable) -> None:
    if not _move(session, row.id, TableState.PROPOSED, TableState.CONFIRMED):
        raise InputError(f"{row.year} 年的年度表刚刚已由他人处理")


def _move(session: Session, row_id: int, before: TableState, after: TableState) -> bool:
    return move(
        session,
        calendars.YearTable,
        row_id,
        from_state=before,
        to_state=after,
        at=utc_now(),
    )


def _waiting(row: calendars.YearTable) -> str:
    return f"由 {row.loaded_by} 载入，待另一人确认：mailcare calendar confirm {row.year}"


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise InputError("文件不存在", subject=str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"文件无法读取（{error}）", subject=str(path)) from None
