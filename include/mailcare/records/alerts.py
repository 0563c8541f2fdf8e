"""Own staff, how and when they are reached, who is on duty, and what they were told."""

from datetime import date, datetime, time
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from mailcare.records.base import AppendOnly, Base, SentenceText
from mailcare.records.customers import Customer
from mailcare.records.faults import Fault


class Rung(StrEnum):
    """A step of the ladder on which trouble is told; customer service stands beside it."""

    ENGINEER = "engineer"
    MANAGER = "manager"
    DIRECTOR = "director"
    CUSTOMER_SERVICE = "customer_service"


class RobotVendor(StrEnum):
    """Whose chat a robot speaks in."""

    DINGTALK = "dingtalk"
    FEISHU = "feishu"
    WECOM = "wecom"


class Robot(Base):
    """A chat robot; its address holds a token and is never kept here.

    `URL` or `URL SIGNING-SECRET` is the value of the environment variable `variable`, or the
    password of the Airflow connection `connection`.
    """

    __tablename__ = "robots"
    __table_args__ = (
        CheckConstraint("(variable IS NULL) <> (connection IS NULL)", name="one_source"),
    )

    name: Mapped[str] = mapped_column(unique=True)
    vendor: Mapped[RobotVendor]
    variable: Mapped[str | None]
    connection: Mapped[str | None]
    is_active: Mapped[bool]
    version: Mapped[int] = mapped_column(server_default="1")


class StaffMember(Base):
    """A person of the vendor's own staff who is told when something is due or late.

    `login` is the name in Airflow, where there is one. What may wait is told on working days from
    `works_from` until `works_until`, both Beijing time; a chat robot is tried before mail.
    """

    __tablename__ = "staff_members"
    __table_args__ = (CheckConstraint("works_until > works_from", name="ends_after_start"),)

    name: Mapped[str] = mapped_column(unique=True)
    login: Mapped[str | None] = mapped_column(unique=True)
    rung: Mapped[Rung]
    email: Mapped[str]
    robot_id: Mapped[int | None] = mapped_column(ForeignKey(Robot.id))
    works_from: Mapped[time]
    works_until: Mapped[time]
    is_active: Mapped[bool]
    version: Mapped[int] = mapped_column(server_default="1")


class Duty(Base):
    """Who is on duty 值班 on a day, from 0 to 24 o'clock Beijing time; `place` 1 is told first."""

    __tablename__ = "duties"
    __table_args__ = (
        UniqueConstraint("duty_on", "member_id"),
        CheckConstraint("place >= 1", name="place_from_one"),
    )

    duty_on: Mapped[date]
    member_id: Mapped[int] = mapped_column(ForeignKey(StaffMember.id), index=True)
    place: Mapped[int]
    entered_by: Mapped[str]


class Alert(AppendOnly, Base):
    """Something that own staff was to be told, once by `key`; its letters refer to it."""

    __tablename__ = "alerts"

    key: Mapped[str] = mapped_column(unique=True)
    rung: Mapped[Rung]
    subject: Mapped[SentenceText]
    text: Mapped[SentenceText]
    is_urgent: Mapped[bool]
    at: Mapped[datetime] = mapped_column(index=True)
    fault_id: Mapped[int | None] = mapped_column(ForeignKey(Fault.id), index=True)
    customer_id: Mapped[int | None] = mapped_column(ForeignKey(Customer.id))
