"""A desk with people, robots and a duty roster: what the tests of the outbox start from."""

from datetime import UTC, date, datetime, time

from sqlalchemy import select

from mailcare.records.alerts import Duty, Robot, RobotVendor, Rung, StaffMember
from mailcare.records.deliveries import Delivery, DeliveryEvent
from mailcare.records.session import reading, transaction

FRIDAY_NIGHT = datetime(2026, 3, 6, 14, 30, tzinfo=UTC)  # 22:30 in Beijing
MONDAY_MORNING = datetime(2026, 3, 9, 1, 0, tzinfo=UTC)  # 9:00 in Beijing


def add_robot(name="值班群", vendor=RobotVendor.WECOM, variable="DUTY_ROBOT") -> int:
    return _add(Robot(name=name, vendor=vendor, variable=variable, is_active=True))


def add_member(name="甲", rung=Rung.ENGINEER, *, robot=None, is_active=True) -> int:
    return _add(
        StaffMember(
            name=name,
            rung=rung,
            email=f"{name.encode().hex()}@vendor.example",
            robot_id=robot,
            works_from=time(9),
            works_until=time(18),
            is_active=is_active,
        )
    )


def put_on_duty(member: int, on: date, *, place: int = 1) -> None:
    _add(Duty(duty_on=on, member_id=member, place=place, entered_by="test"))


def letters() -> list[Delivery]:
    with reading() as session:
        return list(session.scalars(select(Delivery).order_by(Delivery.id)))


def events(delivery: int) -> list[str]:
    of_letter = select(DeliveryEvent.state).where(DeliveryEvent.delivery_id == delivery)
    with reading() as session:
        return [str(one) for one in session.scalars(of_letter.order_by(DeliveryEvent.id))]


def _add(row) -> int:
    with transaction() as session:
        session.add(row)
        session.flush()
        return row.id
