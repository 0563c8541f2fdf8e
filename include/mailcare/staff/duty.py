"""Write own staff, robots and the duty roster, and list them; the transaction is the caller's."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from mailcare.contracts.entering import Changed
from mailcare.contracts.forms import complain
from mailcare.errors import InputError
from mailcare.listing import Page, Wish
from mailcare.records.alerts import Duty, Robot, RobotVendor, Rung, StaffMember
from mailcare.records.audit import note_change
from mailcare.records.changes import add_once
from mailcare.records.paging import page_of, rows_of, searched, sorted_by
from mailcare.staff.forms import DutyForm, MemberForm, RobotForm


@dataclass(frozen=True, slots=True)
class MemberRow:
    """A person as the list and the form show them; `robot` is a robot's name."""

    id: int
    name: str
    login: str | None
    rung: Rung
    email: str
    robot: str | None
    works_from: time
    works_until: time
    is_active: bool
    version: int


@dataclass(frozen=True, slots=True)
class RobotRow:
    """A robot as the list and the form show it."""

    id: int
    name: str
    vendor: RobotVendor
    variable: str | None
    connection: str | None
    is_active: bool
    version: int


@dataclass(frozen=True, slots=True)
class DutyRow:
    """Somebody on duty on a day."""

    id: int
    duty_on: date
    rung: Rung
    place: int
    name: str
    entered_by: str


def member_rows(session: Session, wish: Wish) -> Page[MemberRow]:
    """Return a page of own staff by name; sorts: name, rung."""
    statement = searched(_members(), wish, (StaffMember.name, StaffMember.email))
    columns = {"name": StaffMember.name, "rung": StaffMember.rung}
    statement = sorted_by(statement, wish, columns, (StaffMember.name,))
    return page_of(session, statement, wish, MemberRow)


def robot_rows(session: Session, wish: Wish) -> Page[RobotRow]:
    """Return a page of robots by name."""
    statement = searched(_robots(), wish, (Robot.name,))
    return page_of(session, sorted_by(statement, wish, {}, (Robot.name,)), wish, RobotRow)


def duty_rows(session: Session, wish: Wish, *, since: date) -> Page[DutyRow]:
    """Return a page of the roster from a day on, in its order; sorts: duty_on, name."""
    statement = (
        select(
            Duty.id, Duty.duty_on, StaffMember.rung, Duty.place, StaffMember.name, Duty.entered_by
        )
        .join(StaffMember, StaffMember.id == Duty.member_id)
        .where(Duty.duty_on >= since)
    )
    statement = searched(statement, wish, (StaffMember.name,))
    columns = {"duty_on": Duty.duty_on, "name": StaffMember.name}
    usual = (Duty.duty_on, StaffMember.rung, Duty.place, Duty.id)
    return page_of(session, sorted_by(statement, wish, columns, usual), wish, DutyRow)


def find_member(session: Session, member: int) -> MemberRow:
    """Return a person; raise `InputError` for one not recorded."""
    found = rows_of(session, _members().where(StaffMember.id == member), MemberRow)
    if not found:
        raise InputError("没有登记这个人", subject=str(member))
    return found[0]


def find_robot(session: Session, robot: int) -> RobotRow:
    """Return a robot; raise `InputError` for one not recorded."""
    found = rows_of(session, _robots().where(Robot.id == robot), RobotRow)
    if not found:
        raise InputError("没有登记这个机器人", subject=str(robot))
    return found[0]


def add_member(session: Session, form: MemberForm, *, by: str, at: datetime) -> int:
    """Record a person and return the id; raise `FormError` for a name or login that is known."""
    added = add_once(session, StaffMember, _member_values(session, form))
    if added is None:
        raise complain("name", "已有同名人员，或登录名已被使用")
    _note(session, f"member/{added}", by, at, before=None, after=_plain(form))
    return added


def change_member(
    session: Session, member: int, form: MemberForm, *, read_version: int, by: str, at: datetime
) -> None:
    """Write a person anew; raise `Changed` where somebody else was quicker."""
    before = find_member(session, member)
    values = _member_values(session, form) | {"version": read_version + 1}
    written = (
        update(StaffMember)
        .where(StaffMember.id == member, StaffMember.version == read_version)
        .values(values)
        .returning(StaffMember.id)
    )
    try:
        is_ours = session.scalar(written) is not None
    except IntegrityError:
        raise complain("name", "已有同名人员，或登录名已被使用") from None
    if not is_ours:
        raise Changed("已被他人修改，您的修改没有保存，请重新打开后再改", subject=before.name)
    _note(session, f"member/{member}", by, at, before=_known(before), after=_plain(form))


def add_robot(session: Session, form: RobotForm, *, by: str, at: datetime) -> int:
    """Record a robot and return the id; raise `FormError` for a name that is known."""
    added = add_once(session, Robot, form.model_dump())
    if added is None:
        raise complain("name", "已有同名机器人")
    _note(session, f"robot/{added}", by, at, before=None, after=_plain(form))
    return added


def change_robot(
    session: Session, robot: int, form: RobotForm, *, read_version: int, by: str, at: datetime
) -> None:
    """Write a robot anew; its name stays, for letters are addressed to it."""
    before = find_robot(session, robot)
    if form.name != before.name:
        raise complain("name", "名称不能修改：信件按名称寻址；请停用后新建")
    written = (
        update(Robot)
        .where(Robot.id == robot, Robot.version == read_version)
        .values(form.model_dump() | {"version": read_version + 1})
        .returning(Robot.id)
    )
    if session.scalar(written) is None:
        raise Changed("已被他人修改，您的修改没有保存，请重新打开后再改", subject=before.name)
    _note(session, f"robot/{robot}", by, at, before=_known(before), after=_plain(form))


def put_on_duty(session: Session, form: DutyForm, *, by: str, at: datetime) -> int:
    """Put a person on duty on some days and return on how many; days entered before stay.

    Raise `FormError` for a person who is not recorded or no longer there.
    """
    member = session.scalar(
        select(StaffMember.id).where(StaffMember.name == form.member, StaffMember.is_active)
    )
    if member is None:
        raise complain("member", "没有登记这个人，或已停用")
    days = [form.since + timedelta(days=n) for n in range((form.until - form.since).days + 1)]
    rows = [
        {"duty_on": day, "member_id": member, "place": form.turn, "entered_by": by} for day in days
    ]
    added = sum(add_once(session, Duty, row) is not None for row in rows)
    _note(session, f"duty/{form.member}", by, at, before=None, after=_plain(form))
    return added


def take_off_duty(session: Session, duty: int, *, by: str, at: datetime) -> None:
    """Take somebody off the roster of a day; raise `InputError` where they are not on it."""
    row = session.get(Duty, duty)
    if row is None:
        raise InputError("值班表上没有这一行，可能已被移除", subject=str(duty))
    name = session.get_one(StaffMember, row.member_id).name
    before = {"duty_on": str(row.duty_on), "place": row.place}
    session.execute(delete(Duty).where(Duty.id == duty))
    _note(session, f"duty/{name}", by, at, before=before, after=None)


def _member_values(session: Session, form: MemberForm) -> dict[str, object]:
    robot = session.scalar(select(Robot.id).where(Robot.name == form.robot))
    if form.robot and robot is None:
        raise complain("robot", "没有登记这个机器人")
    return form.model_dump(exclude={"robot"}) | {"robot_id": robot}


def _members():  # noqa: ANN202 - SQLAlchemy's own long type
    return select(
        StaffMember.id,
        StaffMember.name,
        StaffMember.login,
        StaffMember.rung,
        StaffMember.email,
        Robot.name.label("robot"),
        StaffMember.works_from,
        StaffMember.works_until,
        StaffMember.is_active,
        StaffMember.version,
    ).outerjoin(Robot, Robot.id == StaffMember.robot_id)


def _robots():  # noqa: ANN202 - SQLAlchemy's own long type
    return select(
        Robot.id,
        Robot.name,
        Robot.vendor,
        Robot.variable,
        Robot.connection,
        Robot.is_active,
        Robot.version,
    )


def _plain(form: MemberForm | RobotForm | DutyForm) -> dict[str, object]:
    return form.model_dump(mode="json")


def _known(row: MemberRow | RobotRow) -> dict[str, object]:
    kept = MemberForm if isinstance(row, MemberRow) else RobotForm
    return _plain(kept.model_validate({name: getattr(row, name) for name in kept.model_fields}))


def _note(
    session: Session,
    subject: str,
    by: str,
    at: datetime,
    *,
    before: Mapping[str, object] | None,
    after: Mapping[str, object] | None,
) -> None:
    action = "change" if before and after else ("enter" if after else "delete")
    note_change(session, by=by, at=at, action=action, subject=subject, before=before, after=after)
