"""What a run of `inspect_system` is asked for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError, model_validator

from mailcare.errors import InputError
from mailcare.systems.complaints import complaints_of
from mailcare.systems.profile import Strict


class Order(Strict):
    """A site or a planned service, and how much of it.

    `scope` names the checks, empty for all. `bundle` is a file that the customer handed back; with
    it nothing connects.
    """

    site: str | None = None
    service: int | None = None
    scope: tuple[str, ...] = ()
    bundle: Path | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.site is None) == (self.service is None):
            raise ValueError("站点 site 与计划服务 service 必须且只能填写一个")
        return self


def read_order(conf: Mapping[str, Any]) -> Order:
    """Check a run's parameters; raise `InputError` that lists every complaint."""
    try:
        # The trigger form hands in null for a field that was left empty.
        return Order.model_validate({key: one for key, one in conf.items() if one is not None})
    except ValidationError as error:
        complaints = "；".join(str(one) for one in complaints_of(error))
        raise InputError(f"运行参数有误：{complaints}") from None
