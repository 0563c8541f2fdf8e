"""Business roles and the audit trail: the seam between the records and those who look at them."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from mailcare.clock import utc_now
from mailcare.errors import InputError
from mailcare.listing import Page, Wish
from mailcare.records.audit import note_change
from mailcare.records.changes import add_once
from mailcare.records.paging import page_of, searched, sorted_by
from mailcare.records.people import AuditEntry, Role, StaffRole
from mailcare.records.session import reading, transaction

__all__ = [
    "AuditRow",
    "Role",
    "RoleRow",
    "grant_role",
    "list_audit",
    "list_roles",
    "roles_of",
    "withdraw_role",
]
LOGIN_CHARACTERS_MOST = 100


@dataclass(frozen=True, slots=True)
class RoleRow:
    """A role that a user holds; `login` is the user's name in Airflow."""

    login: str
    role: Role
    given_by: str
    given_at: datetime


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One change by a person: who, when, of what, before and after."""

    id: int
    at: datetime
    by: str
    action: str
    subject: str
    before: dict[str, object] | None
    after: dict[str, object] | None


def roles_of(login: str) -> frozenset[Role]:
    """Return the roles that a user holds; none for a stranger."""
    with reading() as session:
        return frozenset(session.scalars(select(StaffRole.role).where(StaffRole.login == login)))


def list_roles(wish: Wish) -> Page[RoleRow]:
    """Return a page of who holds which role; sorts: login, role."""
    statement = select(
        StaffRole.login, StaffRole.role, StaffRole.given_by, StaffRole.created_at.label("given_at")
    )
    columns = {"login": StaffRole.login, "role": StaffRole.role}
    statement = searched(statement, wish, (StaffRole.login, StaffRole.given_by))
    statement = sorted_by(statement, wish, columns, (StaffRole.login, StaffRole.role))
    with reading() as session:
        return page_of(session, statement, wish, RoleRow)


def grant_role(login: str, role: Role, *, by: str) -> None:
    """Give a user a role; raise `InputError` for no name, or for a role that is held already."""
    login = login.strip()
    if not login or len(login) > LOGIN_CHARACTERS_MOST or not login.isprintable():
        raise InputError("请填写 Airflow 中的登录名")
    with transaction() as session:
        added = add_once(session, StaffRole, {"login": login, "role": role, "given_by": by})
        if added is None:
            raise InputError(f"{login} 已有这个角色")
        _note(session, login, by, before=None, after={"role": role})


def withdraw_role(login: str, role: Role, *, by: str) -> None:
    """Take a role from a user; raise `InputError` where it is not held, or for the last manager."""
    with transaction() as session:
        # Two managers who withdraw each other's role at once wait here for one another.
        managers = select(StaffRole.id).where(StaffRole.role == Role.MANAGER)
        session.execute(managers.with_for_update())
        held = (StaffRole.login == login, StaffRole.role == role)
        row_id = session.scalar(delete(StaffRole).where(*held).returning(StaffRole.id))
        if row_id is None:
            raise InputError(f"{login} 没有这个角色")
        if role is Role.MANAGER and not _managers(session):
            raise InputError("这是最后一位主管，请先把主管角色授予他人")
        _note(session, login, by, before={"role": role}, after=None)


def list_audit(wish: Wish) -> Page[AuditRow]:
    """Return a page of changes, the newest first; sorts: at, by, action, subject."""
    entry = AuditEntry
    statement = select(
        entry.id, entry.at, entry.by, entry.action, entry.subject, entry.before, entry.after
    )
    columns = {
        "at": entry.at,
        "by": entry.by,
        "action": entry.action,
        "subject": entry.subject,
    }
    statement = searched(statement, wish, (entry.by, entry.action, entry.subject))
    statement = sorted_by(statement, wish, columns, (entry.id.desc(),))
    with reading() as session:
        return page_of(session, statement, wish, AuditRow)


def _managers(session: Session) -> int:
    managers = select(func.count()).where(StaffRole.role == Role.MANAGER)
    return session.scalar(managers) or 0


def _note(
    session: Session,
    login: str,
    by: str,
    *,
    before: dict[str, object] | None,
    after: dict[str, object] | None,
) -> None:
    action = "grant" if after else "withdraw"
    note_change(
        session,
        by=by,
        at=utc_now(),
        action=action,
        subject=f"staff/{login}",
        before=before,
        after=after,
    )
