"""What a run of the Dag is asked to verify, as its parameters say it."""

from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, model_validator

from mailcare.backup.verdicts import Level
from mailcare.errors import InputError
from mailcare.systems.complaints import complaints_of
from mailcare.systems.fields import Name
from mailcare.systems.profile import Strict


class Order(Strict):
    """The site, or the planned service; `through` empty: as deep as the policy says is due.

    A `routine` run reads a shard a day and all once a month; any other reads all.
    """

    site: Name | None = None
    service: Annotated[int, Field(ge=1)] | None = None
    copies: tuple[Name, ...] = ()
    through: Level | None = None
    routine: bool = False

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.site is None) == (self.service is None):
            raise ValueError("site 与 service 必须且只能填写一个")
        return self


def read_order(conf: dict[str, Any]) -> Order:
    """Check a run's parameters; raise `InputError` that lists every complaint."""
    given = {name: value for name, value in conf.items() if value is not None}
    try:
        order = Order.model_validate(given)
    except ValidationError as error:
        raise InputError("；".join(str(one) for one in complaints_of(error))) from None
    if order.service is not None and order.through is None:
        return order.model_copy(update={"through": Level.L5})
    return order
