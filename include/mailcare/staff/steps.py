"""Business roles and the audit trail: the seam between the records and those who look at them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from mailcare.clock import utc_now
from mailcare.contracts.entering import Changed
from mailcare.errors import InputError
from mailcare.listing import Page, Wish
from mailcare.records.audit import note_change
from mailcare.records.changes import add_once
from mailcare.records.paging import page_of, searched, sorted_by
from mailcare.records.people import AuditEntry, Role, StaffRole
from mailcare.records.session import reading, transaction
from mailcare.staff import duty
from mailcare.staff.duty import DutyRow, MemberRow, RobotRow
from mailcare.staff.forms import DutyForm, MemberForm, RobotForm
from mailcare.staff.roles import FIELD, holders, roles_held

__all__ = [
    "FIELD",
    "AuditRow",
    "Changed",
    "Role",
    "RoleRow",
    "change_member",
    "change_robot",
    "enter_member",
    "enter_robot",
    "field_staff",
    "grant_role",
    "list_audit",
    "list_duties",
    "list_members",
    "list_robots",
    "list_roles",
    "member",
    "put_on_duty",
    "robot",
    "roles_of",
    "take_off_duty",
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
        return roles_held(session, login)


def field_staff() -> Mapping[str, str]:
    """Return who may go on a visit: the names by login, empty where none is recorded."""
    with reading() as session:
        return holders(session, FIELD)


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


def list_members(wish: Wish) -> Page[MemberRow]:
    """Return a page of own staff by name; sorts: name, rung."""
    with reading() as session:
        return duty.member_rows(session, wish)


def list_robots(wish: Wish) -> Page[RobotRow]:
    """Return a page of chat robots by name."""
    with reading() as session:
        return duty.robot_rows(session, wish)


def list_duties(wish: Wish, *, since: date) -> Page[DutyRow]:
    """Return a page of the duty roster from a day on; sorts: duty_on, name."""
    with reading() as session:
        return duty.duty_rows(session, wish, since=since)


def member(identity: int) -> MemberRow:
    """Return a person of the own staff; raise `InputError` for one not recorded."""
    with reading() as session:
        return duty.find_member(session, identity)


def robot(identity: int) -> RobotRow:
    """Return a chat robot; raise `InputError` for one not recorded."""
    with reading() as session:
        return duty.find_robot(session, identity)


def enter_member(form: MemberForm, *, by: str) -> int:
    """Record a person of the own staff and return the id; raise `FormError`."""
    with transaction() as session:
        return duty.add_member(session, form, by=by, at=utc_now())


def change_member(identity: int, form: MemberForm, *, read_version: int, by: str) -> None:
    """Write a person anew; raise `Changed` where somebody else was quicker, else `FormError`."""
    with transaction() as session:
        duty.change_member(session, identity, form, read_version=read_version, by=by, at=utc_now())


def enter_robot(form: RobotForm, *, by: str) -> int:
    """Record a chat robot and return the id; raise `FormError`."""
    with transaction() as session:
        return duty.add_robot(session, form, by=by, at=utc_now())


def change_robot(identity: int, form: RobotForm, *, read_version: int, by: str) -> None:
    """Write a robot anew, its name kept; raise `Changed` as `change_member`, else `FormError`."""
    with transaction() as session:
        duty.change_robot(session, identity, form, read_version=read_version, by=by, at=utc_now())


def put_on_duty(form: DutyForm, *, by: str) -> int:
    """Put a person on duty on some days and return on how many new ones; raise `FormError`."""
    with transaction() as session:
        return duty.put_on_duty(session, form, by=by, at=utc_now())


def take_off_duty(identity: int, *, by: str) -> None:
    """Take somebody off the roster of a day; raise `InputError` where they are not on it."""
    with transaction() as session:
        duty.take_off_duty(session, identity, by=by, at=utc_now())


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
