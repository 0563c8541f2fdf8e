"""A desk with one customer under contract, and short ways to tell a recorded fault's story."""

from sqlalchemy import select

from mailcare.deadlines import Level
from mailcare.faults.clocks import Kind
from mailcare.faults.declaration import Declaration, Via
from mailcare.faults.recording import Backing
from mailcare.faults.steps import declare, fault_detail, record_event
from mailcare.records import faults
from mailcare.records.session import reading
from tests.contracts import desk
from tests.faults.story import at, event

BACKED = Backing(remark="客户来电")


def open_desk() -> None:
    """Record customer 1 with system 1, under a contract for all of 2026."""
    desk.add_system(desk.add_customer())
    desk.add_contract()


def declared(level: str = "P1", when: str = "2026-03-02 09:00", **changes) -> int:
    said = {
        "key": f"test/{when}/{level}",
        "customer": 1,
        "system": 1,
        "level": Level(level),
        "description": "邮件无法外发",
        "declared_at": at(when),
        "via": Via.PHONE,
        "contact": "王示例",
        "contact_details": "分机 1000",
    }
    return declare(Declaration(**said | changes), by="li", at=at(when))


def happened(fault: int, *lines: str, now: str = "", backing: Backing = BACKED) -> None:
    """Record events such as `2026-03-02 09:10 accepted`, each when it happened or at `now`."""
    for line in lines:
        when = at(line[:16])
        record_event(
            fault,
            event(line[16:].strip(), when),
            by="li",
            at=at(now) if now else when,
            backing=backing,
        )


def clock_of(fault: int, kind: str, now: str, epoch: int = 1):
    clocks = fault_detail(fault, at=at(now)).clocks
    [found] = [one for one in clocks if one.clock is Kind(kind) and one.epoch == epoch]
    return found


def stored(model: type, fault: int | None = None) -> list:
    """Return the rows of a table, a fault's only where one is named."""
    with reading() as session:
        wanted = select(model).order_by(model.id)
        if fault is not None:
            wanted = wanted.where(model.fault_id == fault)
        return list(session.scalars(wanted))


def stored_clock(fault: int, kind: str, epoch: int = 1) -> faults.FaultClock:
    rows = stored(faults.FaultClock, fault)
    [found] = [one for one in rows if one.clock == kind and one.epoch == epoch]
    return found


def told(fault: int) -> list[tuple[str, int, int, str, str]]:
    """Return the ladder's ledger: clock, epoch, step, rung and outcome."""
    return [
        (str(one.clock), one.epoch, one.step, one.rung, str(one.outcome))
        for one in stored(faults.Escalation, fault)
    ]
