"""Sweep many open faults, and count what it takes."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from datetime import time as clock_time
from pathlib import Path

from sqlalchemy import Connection, event, insert, select, update

from bench.memory import peak_kib
from bench.planning import count_queries, timed
from mailcare.deadlines import Level
from mailcare.faults.dossiers import read_dossiers, reckon, write_clocks
from mailcare.faults.steps import sweep
from mailcare.records.alerts import Rung, StaffMember
from mailcare.records.customers import Customer
from mailcare.records.faults import (
    ClockKind,
    Fault,
    FaultClock,
    FaultEvent,
    FaultEventType,
    FaultState,
    FaultVia,
)
from mailcare.records.schema import upgrade
from mailcare.records.session import transaction
from mailcare.workdays import Calendar

FAULTS = 100_000
FILLED_AT_ONCE = 5_000
DUE_SOON = 1_000
NOW = datetime(2026, 6, 1, tzinfo=UTC)
BEFORE = NOW - timedelta(days=3)  # nothing had happened yet
CALENDAR = Calendar()
OUTAGE = timedelta(days=3)  # half of every fault's time is over by then
SPREAD = timedelta(days=2) / FAULTS
# Ten events a fault, and the minutes after its declaration at which they happen.
STORY = (
    (FaultEventType.DECLARED, 0, {"level": "P4"}),
    (FaultEventType.ACCEPTED, 1, {}),
    (FaultEventType.FIRST_CONTACT, 2, {"channel": "phone"}),
    (FaultEventType.PAUSED, 3, {"reason": "customer_asked"}),
    (FaultEventType.RESUMED, 4, {}),
    (FaultEventType.PAUSED, 5, {"reason": "awaiting_authorisation"}),
    (FaultEventType.RESUMED, 6, {}),
    (FaultEventType.PAUSED, 7, {"reason": "third_party"}),
    (FaultEventType.RESUMED, 8, {}),
    (FaultEventType.LEVEL_CHANGED, 9, {"level": "P3", "why": "worsened"}),
)

Outcome = dict[str, float]


def sweeping(folder: Path) -> Iterator[str]:
    """Yield the table's rows: one sweep each with all, none, some and again all faults due."""
    yield "| 未结故障 | 事件 | 本次到期 | 通知 | 用时 | 处理器时间 | 语句数 | 最长事务 | 内存峰值 |"
    yield "|---|---|---|---|---|---|---|---|---|"
    file = folder / "sweeping.db"
    words = [sys.executable, "-m", "bench.sweeping", str(file)]
    environment = os.environ | {"MAILCARE_DB_URL": f"sqlite:///{file}"}
    done = subprocess.run(words, check=True, capture_output=True, env=environment)
    for outcome in json.loads(done.stdout):
        yield _row(outcome)


def _row(outcome: Outcome) -> str:
    cells = [
        f"{FAULTS}",
        f"{FAULTS * len(STORY)}",
        f"{outcome['due']:.0f}",
        f"{outcome['told']:.0f}",
        f"{outcome['seconds']:.2f} s",
        f"{outcome['cpu_s']:.2f} s",
        f"{outcome['queries']:.0f}",
        f"{outcome['longest_s']:.2f} s",
        f"{outcome['peak_kib'] / 1024:.0f} MiB",
    ]
    return f"| {' | '.join(cells)} |"


def measure(file: Path) -> Iterator[Outcome]:
    """Sweep a new database: all that is called due, nothing, what a minute brings, an outage."""
    upgrade(f"sqlite:///{file}")
    for first in range(1, FAULTS + 1, FILLED_AT_ONCE):
        _fill(range(first, first + FILLED_AT_ONCE))
    yield _swept(NOW, due=FAULTS)
    yield _swept(NOW + timedelta(minutes=1), due=0)
    yield _swept(_when_due(DUE_SOON), due=DUE_SOON)
    yield _swept(NOW + OUTAGE, due=FAULTS)


def _swept(at: datetime, *, due: int) -> Outcome:
    queries, longest_s = count_queries(), time_transactions()
    told = 0

    def work() -> int:
        nonlocal told
        done = sweep(at=at)
        told = done.told
        return done.faults

    cpu_before_s = time.process_time()
    seconds, found = timed(work)
    assert found == due, (found, due)
    return {
        "due": found,
        "told": told,
        "seconds": seconds,
        "cpu_s": time.process_time() - cpu_before_s,
        "queries": queries(),
        "longest_s": longest_s(),
        "peak_kib": peak_kib(),
    }


def time_transactions() -> Callable[[], float]:
    """Return how to ask for the longest that one transaction has been open since now."""
    longest_s = 0.0
    with transaction() as session:
        engine = session.get_bind().engine

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.info["begun_s"] = time.perf_counter()

    @event.listens_for(engine, "commit")
    def commit(connection: Connection) -> None:
        nonlocal longest_s
        longest_s = max(longest_s, time.perf_counter() - connection.info["begun_s"])

    return lambda: longest_s


def _when_due(count: int) -> datetime:
    due = select(FaultClock.next_warning_at).where(FaultClock.next_warning_at.is_not(None))
    with transaction() as session:
        found = session.scalars(
            due.order_by(FaultClock.next_warning_at).limit(1).offset(count - 1)
        ).one()
    assert found is not None
    return found


def _fill(ids: range) -> None:
    """Write faults as their recording leaves them, but for one clock each that is called due."""
    rows = {
        Customer: [{"id": one, "name": f"客户 {one}"} for one in ids],
        Fault: [_fault(one) for one in ids],
        FaultEvent: [event for one in ids for event in _events(one)],
    }
    with transaction() as session:
        if ids.start == 1:
            session.add(_engineer())
        for model, values in rows.items():
            session.execute(insert(model), values)
        reckoned = reckon(read_dossiers(session, ids), calendar=CALENDAR, now=BEFORE)
        write_clocks(session, reckoned, calendar=CALENDAR, now=BEFORE)
        response = (FaultClock.fault_id.in_(ids), FaultClock.clock == ClockKind.RESPONSE)
        session.execute(update(FaultClock).where(*response).values(next_warning_at=BEFORE))


def _engineer() -> StaffMember:
    return StaffMember(
        name="甲", rung=Rung.ENGINEER, email="jia@vendor.example", is_active=True,
        works_from=clock_time(9), works_until=clock_time(18),
    )  # fmt: skip


def _declared_at(fault: int) -> datetime:
    return NOW - timedelta(minutes=10) - fault * SPREAD


def _fault(fault: int) -> dict[str, object]:
    texts = dict.fromkeys(("place", "contact", "contact_details", "description"), "bench")
    return texts | {
        "id": fault,
        "number": f"GZ-2026-{fault:05d}",
        "key": f"bench/{fault}",
        "customer_id": fault,
        "terms_version": 1,
        "declared_via": FaultVia.PHONE,
        "declared_at": _declared_at(fault),
        "level": Level.P3,
        "state": FaultState.ACCEPTED,
        "event_count": len(STORY),
    }


def _events(fault: int) -> Iterator[dict[str, object]]:
    for ordinal, (type_, minutes, payload) in enumerate(STORY, 1):
        at = _declared_at(fault) + timedelta(minutes=minutes)
        yield {
            "fault_id": fault, "ordinal": ordinal, "type": type_, "at": at, "payload": payload,
            "recorded_by": "bench", "recorded_at": at,
        }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(list(measure(Path(sys.argv[1])))))
