"""A customer's year as a value, and the same kinds of things in the records of two customers."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from mailcare.contracts.ledger import Balance
from mailcare.contracts.promises import promises
from mailcare.contracts.terms import Contract, Terms
from mailcare.reviews.facts import (
    Bad,
    ClockFact,
    CustomerYear,
    FaultFact,
    InspectionFact,
    Keeping,
    ServiceFact,
    Span,
    VisitFact,
)
from mailcare.surveys.scores import Scores
from mailcare.surveys.statistics import Asked

SPAN = Span(date(2026, 1, 1), date(2026, 12, 31), date(2026, 12, 1))
CONTRACT = Contract("HT-1", SPAN.first_on, SPAN.last_on, Terms(1, visits_per_year=2), (1,))
BAD = Bad("磁盘", "critical", "/var 已用 97%（严重 ≥ 95%）", "请清理或扩容。")


def clock(kind: str, keeping: Keeping | None, minutes: int | None = 10) -> ClockFact:
    return ClockFact(kind, keeping, timedelta(minutes=minutes) if minutes else None)


def fault(number: int = 1, level: str = "P1", **changes) -> FaultFact:
    values = {
        "number": f"GZ-2026-{number:05d}",
        "level": level,
        "declared_at": datetime(2026, 3, 2, 1, 0, tzinfo=UTC),
        "description": "邮件无法外发",
        "state": "reported",
        "is_outside": False,
        "engineers": ("li",),
        "clocks": (
            clock("response", Keeping.KEPT),
            clock("resolution", Keeping.KEPT, 60 * 26),
            clock("report", Keeping.KEPT, 60 * 50),
        ),
    }
    return FaultFact(**values | changes)


def empty_year(**changes) -> CustomerYear:
    values = {
        "customer": "示例银行",
        "contract": CONTRACT,
        "promises": promises(1),
        "year": 1,
        "span": SPAN,
        "systems": ("总行邮件系统",),
        **dict.fromkeys(
            ("balances", "services", "faults", "inspections", "visits", "backups", "surveys"), ()
        ),
    }
    return CustomerYear(**values | changes)


def full_year(**changes) -> CustomerYear:
    late = clock("resolution", Keeping.BROKEN, 60 * 30)
    done_on = date(2026, 7, 2)
    return empty_year(
        balances=(
            Balance(1, "remote_inspection", 1, 0, 1),
            Balance(1, "visit", 2, 0, 1),
        ),
        services=(
            ServiceFact("remote_inspection", "总行邮件系统", done_on, "done", done_on, False),
            ServiceFact("backup_verification", "总行邮件系统", done_on, "planned", None, True),
        ),
        faults=(fault(1), fault(2, clocks=(clock("response", Keeping.KEPT), late))),
        inspections=(
            InspectionFact("总行邮件系统", date(2025, 7, 2), {"critical": 2, "ok": 40}, (BAD, BAD)),
            InspectionFact(
                "总行邮件系统", done_on, {"critical": 1, "ok": 41, "unmeasured": 3}, (BAD,)
            ),
        ),
        visits=(
            VisitFact(
                "XC-2026-00001", "总行邮件系统", date(2026, 5, 11), "lin", "林示例", "completed", 1,
                Decimal("6.5"),
            ),
        ),
        surveys=(
            Asked(1, "GZ-2026-00001", "故障处理", "示例银行", ("li",), date(2026, 3, 5), "answered",
                  Scores(3, 4, 3, None), "希望更快"),
            Asked(2, "GZ-2026-00002", "故障处理", "示例银行", ("li",), date(2026, 5, 5), "expired"),
        ),
    )  # fmt: skip
