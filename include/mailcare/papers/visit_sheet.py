"""现场巡检单: what the engineer takes along: findings, open faults, what to look at, training."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from mailcare.inspection.check import Finding
from mailcare.papers.document import Document, Json
from mailcare.papers.formats import cut_columns
from mailcare.papers.inspection_form import contact_of
from mailcare.papers.items import Item, in_state
from mailcare.papers.wording import AREAS
from mailcare.systems.system import System

TEMPLATE, TEMPLATE_VERSION = "visit/sheet.html", 1
SUFFIX = "-SHEET"
FINDINGS_MOST = 20
LOOK_MOST = 60
SAYS_COLUMNS, ADVICE_COLUMNS = 120, 96


@dataclass(frozen=True, slots=True)
class LastInspection:
    """The last report of the system, and what it found."""

    number: str
    finished_at: datetime
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class OpenFault:
    """A fault of the customer that is not over."""

    number: str
    level: str
    declared_at: datetime
    state: str
    description: str


@dataclass(frozen=True, slots=True)
class Trip:
    """Where the engineer goes, when, and what is prepared: `outline` by topic.

    `as_of` is when the visit changed last.
    """

    number: str
    days: tuple[tuple[date, str], ...]
    place: str
    engineer: str
    as_of: datetime
    provisional_note: str
    outline: tuple[tuple[str, tuple[str, ...]], ...]


def visit_sheet(
    system: System,
    trip: Trip,
    *,
    to_look_at: Sequence[Item],
    last: LastInspection | None,
    faults: Sequence[OpenFault],
    vendor: str,
) -> Document:
    """Return the sheet; `to_look_at` are the items that only a person can find out."""
    contact = contact_of(system.site)
    findings = [one for one in last.items if one.is_bad and one.cause is None] if last else []
    content: dict[str, Json] = {
        "title": "现场巡检单",
        "visit": trip.number,
        "customer": system.site.customer.name,
        "system": system.site.system.title,
        "product": system.profile.title,
        "deployment": system.site.system.deployment.label,
        "vendor": vendor,
        "finished_at": trip.as_of.isoformat(),
        "contact": contact.name,
        "phone": contact.phone or "",
        "email": contact.email or "",
        "place": trip.place,
        "engineer": trip.engineer,
        "days": [[day.isoformat(), title] for day, title in trip.days],
        "provisional_note": trip.provisional_note,
        "hosts": [_host(system, name) for name in (node.name for node in system.site.nodes)],
        "last": _last(last),
        "findings": [_finding(one) for one in findings[:FINDINGS_MOST]],
        "findings_more": max(0, len(findings) - FINDINGS_MOST),
        "faults": [_fault(one) for one in faults],
        "to_look_at": [_look(one) for one in to_look_at[:LOOK_MOST]],
        "to_look_at_more": max(0, len(to_look_at) - LOOK_MOST),
        "outline": [[topic, list(points)] for topic, points in trip.outline],
    }
    return Document(f"{trip.number}{SUFFIX}", TEMPLATE, TEMPLATE_VERSION, content)


def wanted(items: Sequence[Item]) -> list[Item]:
    """Return what a person on site should look at: the manual items, then the unmeasured."""
    alone = [one for one in in_state(items, "unmeasured") if one.cause is None]
    return [*in_state(items, "manual"), *alone]


def _host(system: System, name: str) -> dict[str, Json]:
    node = system.node(name)
    kind = {"physical": "物理机", "virtual": "虚拟机"}.get(str(node.machine or ""), "")
    roles = {"mail": "邮件", "backup": "备份", "other": "其他"}
    return {
        "name": node.name,
        "hostname": node.hostname,
        "address": str(node.address),
        "roles": "、".join(roles[str(one)] for one in node.roles),
        "kind": kind,
    }


def _last(last: LastInspection | None) -> dict[str, Json] | None:
    if last is None:
        return None
    return {"number": last.number, "finished_at": last.finished_at.isoformat()}


def _finding(item: Item) -> dict[str, Json]:
    advice = item.result.advice if isinstance(item.result, Finding) else ""
    return {
        "title": item.check.title,
        "target": item.target,
        "state": item.state,
        "says": cut_columns(item.says, SAYS_COLUMNS),
        "advice": cut_columns(advice, ADVICE_COLUMNS),
    }


def _fault(fault: OpenFault) -> dict[str, Json]:
    return {
        "number": fault.number,
        "level": fault.level,
        "declared_at": fault.declared_at.isoformat(),
        "state": fault.state,
        "description": cut_columns(fault.description, SAYS_COLUMNS),
    }


def _look(item: Item) -> dict[str, Json]:
    return {
        "area": AREAS[item.check.area],
        "title": item.check.title,
        "target": item.target,
        "says": cut_columns(item.says, SAYS_COLUMNS),
    }
