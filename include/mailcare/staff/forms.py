"""What a manager enters about own staff, their robots and the duty roster."""

from datetime import time, timedelta
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from mailcare.contracts.forms import Day, Line
from mailcare.records.alerts import RobotVendor, Rung
from mailcare.systems.fields import EnvName, MailAddress
from mailcare.systems.profile import Strict

ROSTER_DAYS_MOST = 92  # a quarter is entered at once, a slip of the year is not
PLACES_MOST = 9


def _time(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        entered = time.fromisoformat(value.strip())
    except ValueError:
        raise ValueError("应为时间，例如 09:00") from None
    if entered.tzinfo:  # it could be compared with no other
        raise ValueError("应为北京时间，不带时区，例如 09:00")
    return entered


Clock = Annotated[time, BeforeValidator(_time)]
ConnectionId = Annotated[str, StringConstraints(pattern=r"^[\w.-]{1,100}$")]


class RobotForm(Strict):
    """A chat robot, and where its address is kept: an environment variable or a connection."""

    name: Line
    vendor: RobotVendor
    variable: EnvName | None = None
    connection: ConnectionId | None = None
    is_active: bool = False

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.variable is None) is (self.connection is None):
            raise ValueError("环境变量名与 Airflow 连接必须且只能填写一个")
        return self


class MemberForm(Strict):
    """A person of the own staff, how and when they are told; `robot` is a robot's name."""

    name: Line
    login: Line | None = None
    rung: Rung
    email: MailAddress
    robot: Line | None = None
    works_from: Clock
    works_until: Clock
    is_active: bool = False

    @model_validator(mode="after")
    def _hours_make_sense(self) -> Self:
        if self.works_until <= self.works_from:
            raise ValueError("工作时间的结束须晚于开始")
        return self


class DutyForm(Strict):
    """Who is on duty on which days, both included; `turn` 1 is told first."""

    member: Line
    since: Day
    until: Day
    turn: Annotated[int, Field(ge=1, le=PLACES_MOST)] = 1

    @model_validator(mode="after")
    def _days_make_sense(self) -> Self:
        if self.until < self.since:
            raise ValueError("结束日期不能早于开始日期")
        if self.until - self.since >= timedelta(days=ROSTER_DAYS_MOST):
            raise ValueError(f"一次最多排 {ROSTER_DAYS_MOST} 天")
        return self
