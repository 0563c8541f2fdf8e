"""Plan many contracts, and count what it takes."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path

from sqlalchemy import event, insert

from bench.memory import peak_kib
from mailcare.contracts.steps import plan_due
from mailcare.records.contracts import Contract, ContractVersion, CoveredSystem
from mailcare.records.customers import Customer, System
from mailcare.records.schema import upgrade
from mailcare.records.session import transaction

FLEETS = (1_000, 10_000)
YEARS = 3
FILLED_AT_ONCE = 1_000
FIRST_ON, LAST_ON = date(2024, 1, 1), date(2026, 12, 31)
TODAY = date(2026, 6, 1)
BEFORE = datetime(2024, 1, 1, tzinfo=UTC)  # the contracts were recorded when they began

Outcome = dict[str, float]


def planning(folder: Path) -> Iterator[str]:
    """Yield the table's rows: each number of contracts in a process of its own."""
    yield "| 合同数 | 服务数 | 第一次 | 再一次 | 语句数 | 每百份合同语句数 | 内存峰值 |"
    yield "|---|---|---|---|---|---|---|"
    for count in FLEETS:
        yield _row(_measured(count, folder / f"planning-{count}.db"))


def _row(outcome: Outcome) -> str:
    queries = outcome["queries"]
    cells = [
        f"{outcome['contracts']:.0f} × {YEARS} 年",
        f"{outcome['services']:.0f}",
        f"{outcome['first_s']:.1f} s",
        f"{outcome['again_s']:.1f} s",
        f"{queries:.0f}",
        f"{queries / outcome['contracts'] * 100:.1f}",
        f"{outcome['peak_kib'] / 1024:.0f} MiB",
    ]
    return f"| {' | '.join(cells)} |"


def _measured(count: int, file: Path) -> Outcome:
    words = [sys.executable, "-m", "bench.planning", str(count), str(file)]
    environment = os.environ | {"MAILCARE_DB_URL": f"sqlite:///{file}"}
    done = subprocess.run(words, check=True, capture_output=True, env=environment)
    return json.loads(done.stdout)


def measure(count: int, file: Path) -> Outcome:
    """Plan twice over a new database and return what it took."""
    upgrade(f"sqlite:///{file}")
    for first in range(1, count + 1, FILLED_AT_ONCE):
        _fill(range(first, min(first + FILLED_AT_ONCE, count + 1)))
    queries = count_queries()
    first_s, added = timed(lambda: plan_due(today=TODAY).added)
    counted = queries()
    again_s, again = timed(lambda: plan_due(today=TODAY).added)
    assert (added, again) == (count * YEARS * 4, 0), (added, again)
    return {
        "contracts": count,
        "services": added,
        "first_s": first_s,
        "again_s": again_s,
        "queries": counted,
        "peak_kib": peak_kib(),
    }


def timed(work: Callable[[], int]) -> tuple[float, int]:
    """Return how long some work took, and its result."""
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def count_queries() -> Callable[[], int]:
    """Return how to ask for the number of statements sent since now."""
    seen: list[None] = []
    with transaction() as session:
        engine = session.get_bind().engine
    event.listen(engine, "before_cursor_execute", lambda *_: seen.append(None))
    return lambda: len(seen)


def _fill(ids: range) -> None:
    said = {
        "starts_on": FIRST_ON,
        "ends_on": LAST_ON,
        "remote_service": True,
        "note": "",
        "terms_version": 1,
    }
    said |= {"visits_per_year": 1, "remote_cny": 6000, "visit_cny": 12000, "recorded_by": "bench"}
    system = {"title": "bench", "profile": "generic", "definition": {}}
    rows = {
        Customer: [{"id": one, "name": f"客户 {one}"} for one in ids],
        System: [{"id": one, "customer_id": one, "site": f"site-{one}", **system} for one in ids],
        Contract: [
            {"id": one, "customer_id": one, "number": f"HT-{one}", "version": 1} for one in ids
        ],
        ContractVersion: [
            {"id": one, "contract_id": one, "version": 1, "created_at": BEFORE, **said}
            for one in ids
        ],
        CoveredSystem: [{"contract_version_id": one, "system_id": one} for one in ids],
    }
    with transaction() as session:
        for model, values in rows.items():
            session.execute(insert(model), values)


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]), Path(sys.argv[2]))))
