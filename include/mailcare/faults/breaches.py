"""Why a promise was broken: what people record beside the fact that it was. Nothing is replaced."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Annotated

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from mailcare.contracts.forms import Reason, complain
from mailcare.faults.clocks import Kind
from mailcare.records.faults import BreachCause, ClockKind, FaultBreach, FaultBreachReason
from mailcare.systems.profile import Strict

CAUSE_TITLES = {
    BreachCause.CUSTOMER: "客户原因",
    BreachCause.THIRD_PARTY: "第三方原因",
    BreachCause.SPARE_PART: "等待备件或硬件",
    BreachCause.COMPLEX: "故障复杂，定位需时",
    BreachCause.STAFFING: "人手不足",
    BreachCause.RECORDED_LATE: "已按时完成，登记不及时",
    BreachCause.OTHER: "其他",
}


class BreachReasonForm(Strict):
    """Which broken promise of a fault, the listed cause, and what there is to say about it."""

    clock: Kind
    epoch: Annotated[int, Field(ge=1)]
    cause: BreachCause
    text: Reason


def add_reason(
    session: Session, fault: int, form: BreachReasonForm, *, by: str, at: datetime
) -> None:
    """Record why a promise was broken; raise `FormError` where it is not recorded as broken."""
    epoch = {"fault_id": fault, "clock": ClockKind(form.clock), "epoch": form.epoch}
    if session.scalar(select(FaultBreach.id).filter_by(**epoch)) is None:
        raise complain("clock", "这一时限没有记为违约或超目标；刚刚超时的，一分钟内记录")
    said = {"cause": form.cause, "text": form.text, "recorded_by": by, "recorded_at": at}
    session.add(FaultBreachReason(**epoch, **said))


def reasons_of(
    session: Session, faults: Collection[int]
) -> Mapping[tuple[int, Kind, int], tuple[str, ...]]:
    """Return what was recorded of each broken promise (fault, clock, epoch), the oldest first."""
    row = FaultBreachReason
    found = session.scalars(select(row).where(row.fault_id.in_(faults)).order_by(row.id))
    grouped: dict[tuple[int, Kind, int], tuple[str, ...]] = defaultdict(tuple)
    for one in found:
        grouped[one.fault_id, Kind(one.clock), one.epoch] += (said_of(one),)
    return grouped


def said_of(row: FaultBreachReason) -> str:
    """Say a recorded reason in a line."""
    return f"{CAUSE_TITLES[row.cause]}：{row.text}"
