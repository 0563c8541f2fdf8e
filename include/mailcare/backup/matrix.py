"""Copies × levels: what is promised and what was verified, searched, sorted and paged in SQL.

A copy stands here because a contract in force promises to verify it, whether that ever happened or
not, or because there is evidence of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Subquery, and_, case, func, select, union
from sqlalchemy.orm import InstrumentedAttribute, Session

from mailcare.backup.cadence import EARLY
from mailcare.backup.lists import covered_systems, day_of, last_levels
from mailcare.backup.verdicts import Level, Verdict, aged, not_run
from mailcare.errors import InputError
from mailcare.listing import Page, Wish
from mailcare.records.backups import BackupEvidence, BackupLevel, BackupPromise, BackupVerdict
from mailcare.records.customers import Customer, System
from mailcare.records.paging import Statement, page_of, rows_of, searched, sorted_by


class Standing(StrEnum):
    """How a copy or a level of it stands, the worst first.

    A verdict is the last one, but for what is overdue, which is degraded. `NEVER` was looked at
    not once, though promised. `OUTSIDE` is promised by no contract in force.
    """

    FAIL = "FAIL"
    NEVER = "NEVER"
    DEGRADED = "DEGRADED"
    NOT_RUN = "NOT_RUN"
    PASS = "PASS"  # noqa: S105 - a verdict, no password
    OUTSIDE = "OUTSIDE"

    @property
    def label(self) -> str:
        """Return the Chinese word of pages, which lists are searched by."""
        return LABELS[self]


LABELS = {
    Standing.FAIL: "不通过",
    Standing.NEVER: "从未验证",
    Standing.DEGRADED: "降级",
    Standing.NOT_RUN: "未执行",
    Standing.PASS: "通过",
    Standing.OUTSIDE: "合同外",
}
RANKED = tuple(Standing)
TOLD_FIRST = (Standing.FAIL, Standing.DEGRADED, Standing.NOT_RUN, Standing.NEVER)


@dataclass(frozen=True, slots=True)
class LevelCell:
    """How a level of a copy stands; `verdict` is the last one, `NEVER` where nothing was examined.

    `standing` is what comes of it, overdue included; `reason` says why it is not passed, or how
    long overdue. `age_days` is the last verdict's, 0 without one.
    """

    verdict: Standing
    standing: Standing
    reason: str
    age_days: int
    is_overdue: bool


Cells = dict[tuple[int, str], dict[str, LevelCell]]


@dataclass(frozen=True, slots=True)
class CopyRow:
    """A copy as the matrix shows it; `levels` are those promised or ever run, by name.

    `verdict` is that of the last evidence, None without any; `verified_at` when something of the
    copy was last looked at.
    """

    system_id: int
    system: str
    customer_id: int
    customer: str
    copy: str
    standing: Standing
    verdict: Verdict | None
    verified_at: datetime | None
    levels: Mapping[str, LevelCell]

    @property
    def reason(self) -> str:
        """Return why it does not stand as passed, as far as a run of it said so."""
        if self.verdict is None or self.standing in (Standing.PASS, Standing.OUTSIDE):
            return ""
        told = (
            f"{level} {Level(level).label}：{cell.reason or cell.verdict.label}"
            for standing in TOLD_FIRST
            for level, cell in self.levels.items()
            if cell.standing is standing
        )
        return next(told, "")


@dataclass(frozen=True, slots=True)
class _Found:
    """A row of the statement of copies."""

    system_id: int
    system: str
    customer_id: int
    customer: str
    copy: str
    rank: int
    verdict: BackupVerdict | None
    verified_at: datetime | None


def copy_rows(session: Session, wish: Wish, *, at: datetime) -> Page[CopyRow]:
    """Return a page of copies; searched by customer, system, copy and the word of its standing.

    Sorts: customer, system, copy, verdict (the worst first), verified_at.
    """
    rows = _copies(at).subquery()
    named = (rows.c.customer, rows.c.system, rows.c.copy)
    word = case(*((rows.c.rank == rank, one.label) for rank, one in enumerate(Standing)))
    columns = {
        "customer": rows.c.customer,
        "system": rows.c.system,
        "copy": rows.c.copy,
        "verdict": rows.c.rank,
        "verified_at": rows.c.verified_at,
    }
    statement = searched(select(rows), wish, (*named, word))
    page = page_of(session, sorted_by(statement, wish, columns, named), wish, _Found)
    return Page(_with_levels(session, page.rows, at), page.total, page.wish)


def copy_row(session: Session, system: int, copy: str, *, at: datetime) -> CopyRow:
    """Return one copy; raise `InputError` for one neither promised nor ever verified."""
    rows = _copies(at).subquery()
    statement = select(rows).where(rows.c.system_id == system, rows.c.copy == copy)
    found = rows_of(session, statement, _Found)
    if not found:
        raise InputError("没有这个备份副本", subject=copy)
    return _with_levels(session, found, at)[0]


def _copies(at: datetime) -> Statement:
    standings = _standings(at)
    promised = select(standings.c.system_id, standings.c.copy_name)
    last = (
        select(
            BackupEvidence.system_id,
            BackupEvidence.copy_name,
            func.max(BackupEvidence.id).label("id"),
        )
        .group_by(BackupEvidence.system_id, BackupEvidence.copy_name)
        .subquery()
    )
    copies = union(promised, select(last.c.system_id, last.c.copy_name)).subquery()
    is_outside = standings.c.rank.is_(None)
    return (
        select(
            copies.c.system_id,
            System.title.label("system"),
            System.customer_id,
            Customer.name.label("customer"),
            copies.c.copy_name.label("copy"),
            case((is_outside, _rank(Standing.OUTSIDE)), else_=standings.c.rank).label("rank"),
            BackupEvidence.verdict,
            case((is_outside, BackupEvidence.finished_at), else_=standings.c.ran_at).label(
                "verified_at"
            ),
        )
        .join(System, System.id == copies.c.system_id)
        .join(Customer, Customer.id == System.customer_id)
        .outerjoin(standings, _same(standings.c, copies.c))
        .outerjoin(last, _same(last.c, copies.c))
        .outerjoin(BackupEvidence, BackupEvidence.id == last.c.id)
    )


def _standings(at: datetime) -> Subquery:
    """Return the rank of each copy that a contract in force promises: that of its worst level."""
    promise = BackupPromise
    rank = case(
        (promise.verdict == BackupVerdict.FAIL, _rank(Standing.FAIL)),
        (promise.overdue_at < _patient(at), _rank(Standing.DEGRADED)),
        (promise.verdict.is_(None), _rank(Standing.NOT_RUN)),
        else_=_rank_of(promise.verdict),
    )
    worst, ran_at = func.min(rank), func.max(promise.ran_at)
    is_never = and_(worst != _rank(Standing.FAIL), ran_at.is_(None))
    return (
        select(
            promise.system_id,
            promise.copy_name,
            case((is_never, _rank(Standing.NEVER)), else_=worst).label("rank"),
            ran_at.label("ran_at"),
        )
        .where(promise.system_id.in_(covered_systems(on=day_of(at))))
        .group_by(promise.system_id, promise.copy_name)
        .subquery()
    )


def _same(one: Any, other: Any) -> ColumnElement[bool]:  # noqa: ANN401 - tables and their columns
    return and_(one.system_id == other.system_id, one.copy_name == other.copy_name)


def _rank(standing: Standing) -> int:
    return RANKED.index(standing)


def _rank_of(verdict: InstrumentedAttribute[Any]) -> ColumnElement[int]:
    return case(*((verdict == one, _rank(Standing(one.value))) for one in BackupVerdict))


def _patient(at: datetime) -> datetime:
    """Return the moment by which overdue is told: what is to run today may still be coming."""
    return at - EARLY


def _with_levels(session: Session, found: Sequence[_Found], at: datetime) -> tuple[CopyRow, ...]:
    outside = _rank(Standing.OUTSIDE)
    promised = _promised_cells(session, [one for one in found if one.rank != outside], at)
    others = _other_cells(session, [one for one in found if one.rank == outside], at)
    cells = others | promised
    return tuple(
        CopyRow(
            one.system_id,
            one.system,
            one.customer_id,
            one.customer,
            one.copy,
            RANKED[one.rank],
            Verdict(one.verdict.value) if one.verdict else None,
            one.verified_at,
            cells.get((one.system_id, one.copy), {}),
        )
        for one in found
    )


def _promised_cells(session: Session, found: Iterable[_Found], at: datetime) -> Cells:
    rows = select(BackupPromise).where(
        BackupPromise.system_id.in_({one.system_id for one in found})
    )
    cells: Cells = {}
    for one in session.scalars(rows.order_by(BackupPromise.level)):
        cells.setdefault((one.system_id, one.copy_name), {})[one.level] = _cell(one, at)
    return cells


def _cell(promise: BackupPromise, at: datetime) -> LevelCell:
    overdue = _overdue(promise, at)
    verdict = Standing(promise.verdict.value) if promise.verdict else Standing.NEVER
    standing = Standing.DEGRADED if overdue and verdict is not Standing.FAIL else verdict
    is_never = promise.ran_at is None and verdict is not Standing.FAIL
    return LevelCell(
        Standing.NEVER if is_never else verdict,
        standing,
        promise.reason or overdue,
        0 if is_never or promise.judged_at is None else (at - promise.judged_at).days,
        bool(overdue),
    )


def _overdue(promise: BackupPromise, at: datetime) -> str:
    """Say for how long a level was not run, where that is longer than promised."""
    if promise.overdue_at is None or promise.overdue_at >= _patient(at):
        return ""
    late = aged(
        not_run(Level(promise.level), "", code="not_due"),
        policy_days=promise.days,
        last_run_at=promise.ran_at,
        known_since=promise.overdue_at - timedelta(days=promise.days),
        now=at,
    )
    return late.remarks[-1].text


def _other_cells(session: Session, found: Iterable[_Found], at: datetime) -> Cells:
    """Return the last verdict on each level of copies that are not promised, a run's worst."""
    of_systems = BackupLevel.system_id.in_({one.system_id for one in found})
    worst_last = _rank_of(BackupLevel.verdict).desc()
    rows = last_levels(of_systems).order_by(BackupLevel.level, worst_last)
    cells: Cells = {}
    for one in session.scalars(rows):
        verdict = Standing(one.verdict.value)
        cell = LevelCell(verdict, verdict, one.reason, (at - one.judged_at).days, is_overdue=False)
        cells.setdefault((one.system_id, one.copy_name), {})[one.level] = cell
    return cells
