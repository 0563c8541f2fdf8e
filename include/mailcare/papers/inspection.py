"""The inspection report 巡检报告: the seed's annex 2, with findings, statistics and their basis."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime

from mailcare.inspection.check import Finding, Result
from mailcare.inspection.levels import Ceiling, Floor
from mailcare.inspection.outcome import count_results
from mailcare.inspection.planning import AnyCheck
from mailcare.papers.chart import stacked_bars
from mailcare.papers.document import Document, Json
from mailcare.papers.formats import quantity
from mailcare.papers.inspection_form import fill_form
from mailcare.papers.items import Item, in_state, read_items
from mailcare.papers.statistics import counts_by_area, measures
from mailcare.papers.wording import AREAS, CONFIDENCES, LIMIT_WORDS, PROFILE_FIELDS, measure_of
from mailcare.systems.profile import (
    Known,
    Listener,
    Profile,
    Service,
    Strict,
)
from mailcare.systems.system import System

TEMPLATE = "inspection/report.html"
TEMPLATE_VERSION = 1
URGENT_COUNT = 3
EVIDENCE_LINES_MAX = 10
EVIDENCE_WIDTH_MAX = 300
BAD = ("critical", "warning", "notice")


@dataclass(frozen=True, slots=True)
class Remarks:
    """What people add to the results.

    `vendor` stands in the page header, `feedback_address` in the line that invites criticism.
    `written` are the engineer's own words for fields of the form, by key
    (`inspection_form.FIELD_KEYS`); they stand in place of what the results say.
    """

    vendor: str = ""
    feedback_address: str = ""
    written: Mapping[str, str] = field(default_factory=dict)


def inspection_report(
    system: System,
    results: Iterable[Result],
    checks: Iterable[AnyCheck],
    *,
    number: str,
    started_at: datetime,
    finished_at: datetime,
    remarks: Remarks = Remarks(),
) -> Document:
    """Return the report of one inspection; `checks` are those that the results belong to."""
    items = read_items(results, checks)
    table = counts_by_area(items)
    content: dict[str, Json] = {
        "title": "巡检报告",
        "customer": system.site.customer.name,
        "system": system.site.system.title,
        "product": system.profile.title,
        "vendor": remarks.vendor,
        "feedback_address": remarks.feedback_address,
        "started_at": started_at.isoformat(),
        "finished_at": finished_at.isoformat(),
        "overall": overall(items),
        "counts": dict(count_results(item.result for item in items)),
        "urgent": [_told(item) for item in urgent(items)],
        "explained": explained(items),
        "form": fill_form(system, items, remarks.written),
        "areas": _areas(items),
        "measures": _measures(items),
        "counts_by_area": _rows(table.rename_axis("").reset_index().values.tolist()),
        "chart": stacked_bars(table),
        "basis": [_basis(check) for check in _distinct(items)],
        "profile": _profile(system.profile),
    }
    return Document(number, TEMPLATE, TEMPLATE_VERSION, content)


def overall(items: Sequence[Item]) -> dict[str, Json]:
    """Say how the system stands: as bad as its worst finding, and what nobody could measure."""
    worst = next((state for state in (*BAD, "ok") if in_state(items, state)), "unmeasured")
    unmeasured, manual = len(in_state(items, "unmeasured")), len(in_state(items, "manual"))
    says = OVERALL[worst]
    if unmeasured and worst != "unmeasured":
        says += f"，另有 {unmeasured} 项未能测量"
    if manual:
        says += f"；{manual} 项需人工确认"
    return {"state": worst, "says": says}


OVERALL: Mapping[str, str] = {
    "critical": "存在严重问题，需立即处理",
    "warning": "存在警告，需安排处理",
    "notice": "未见异常，有提示事项",
    "ok": "已测项目均正常",
    "unmeasured": "没有测得任何项目，无法评价系统状态",
}


def urgent(items: Sequence[Item]) -> list[Item]:
    """Return the few things to do first: causes, never what a cause already explains.

    After the findings come the unmeasured results that keep others from being measured.
    """
    causes = {item.cause for item in items}
    own = [item for item in items if item.is_bad and item.cause is None]
    obstacles = [
        item
        for item in in_state(items, "unmeasured")
        if item.cause is None and item.check.name in causes
    ]
    return [*own, *obstacles][:URGENT_COUNT]


def explained(items: Sequence[Item]) -> list[Json]:
    """Return, for each cause, the results that it explains."""
    titles = {item.check.name: item.check.title for item in items}
    effects: dict[str, list[Item]] = {}
    for item in items:
        if item.cause is not None:
            effects.setdefault(item.cause, []).append(item)
    return [
        {
            "cause": titles.get(cause, cause),
            "count": len(found),
            "effects": list(dict.fromkeys(item.check.title for item in found)),
        }
        for cause, found in effects.items()
    ]


def _areas(items: Sequence[Item]) -> list[Json]:
    titles = {item.check.name: item.check.title for item in items}
    areas: list[Json] = []
    for area, title in AREAS.items():
        found = [item for item in items if item.check.area is area]
        if found:
            areas.append({"title": title, "state": area_state(found)} | _area(found, titles))
    return areas


def area_state(items: Sequence[Item]) -> str:
    """Return the worst state of an area; one with anything unmeasured is never simply good."""
    order = (*BAD, "unmeasured", "ok", "manual", "not_applicable")
    return next(state for state in order if in_state(items, state))


def _area(items: Sequence[Item], titles: Mapping[str, str]) -> dict[str, Json]:
    bad = in_state(items, *BAD)
    return {
        "counts": dict(count_results(item.result for item in items)),
        "own": [_told(item) for item in bad if item.cause is None],
        "effects": [_told(item, titles) for item in bad if item.cause is not None],
        "unmeasured": [_told(item, titles) for item in in_state(items, "unmeasured")],
        "manual": [_told(item) for item in in_state(items, "manual")],
        "good": [_told(item) for item in in_state(items, "ok")],
        "not_applicable": [_told(item) for item in in_state(items, "not_applicable")],
    }


def _told(item: Item, titles: Mapping[str, str] | None = None) -> dict[str, Json]:
    result = item.result
    told: dict[str, Json] = {
        "title": item.check.title,
        "area": AREAS[item.check.area],
        "target": item.target,
        "state": item.state,
        "says": item.says,
        "cause": (titles or {}).get(item.cause, item.cause) if item.cause else None,
        "advice": "",
        "evidence": [],
    }
    if isinstance(result, Finding) and item.is_bad:
        told |= {"advice": result.advice, "evidence": _evidence(result.evidence)}
    return told


def _evidence(lines: Sequence[str]) -> list[str]:
    shown = [_cut(line) for line in lines[:EVIDENCE_LINES_MAX]]
    rest = len(lines) - EVIDENCE_LINES_MAX
    return [*shown, f"……（其余 {rest} 行见原始回复记录）"] if rest > 0 else shown


def _cut(line: str) -> str:
    return line if len(line) <= EVIDENCE_WIDTH_MAX else line[:EVIDENCE_WIDTH_MAX] + "……"


def _measures(items: Sequence[Item]) -> list[Json]:
    return _rows(
        (area, title, target, measure, quantity(value, unit), state)
        for area, title, target, measure, value, unit, state in measures(items).itertuples(
            index=False, name=None
        )
    )


def _rows(rows: Iterable[Iterable[Json]]) -> list[Json]:
    return [list(row) for row in rows]


def _distinct(items: Sequence[Item]) -> list[AnyCheck]:
    checks = {item.check.name: item.check for item in items}
    order = list(AREAS)
    return sorted(checks.values(), key=lambda check: (order.index(check.area), check.name))


def _basis(check: AnyCheck) -> dict[str, Json]:
    return {
        "area": AREAS[check.area],
        "title": check.title,
        "name": check.name,
        "question": check.question,
        "limits": limits_text(check.limits),
        "source": check.source,
    }


def limits_text(limits: object, unit: str = "") -> str:
    """Write the limits of a check: `≥ 80 % 警告，≥ 90 % 严重`; empty where there are none."""
    if limits is None:
        return ""
    if isinstance(limits, Ceiling | Floor):
        sign = "≥" if isinstance(limits, Ceiling) else "≤"
        warning, critical = quantity(limits.warning, unit), quantity(limits.critical, unit)
        return f"{sign} {warning} 警告，{sign} {critical} 严重"
    if is_dataclass(limits):
        parts = (_limit(one.name, getattr(limits, one.name)) for one in fields(limits))
        return "；".join(part for part in parts if part)
    if isinstance(limits, bool):
        return "是" if limits else "否"
    if isinstance(limits, int | float):
        return quantity(limits, unit)
    several = isinstance(limits, tuple | list | set | frozenset)
    if several:
        return "、".join(sorted(map(str, limits)))
    return LIMIT_WORDS.get(str(limits), str(limits))


def _limit(name: str, value: object) -> str:
    measure, unit = measure_of(name)
    text = limits_text(value, unit)
    return f"{measure} {text}" if text else ""


def _profile(profile: Profile) -> list[Json]:
    known = {name: getattr(profile, name) for name in type(profile).model_fields}
    return [
        {
            "field": PROFILE_FIELDS.get(name, name),
            "value": _value(value.value),
            "confidence": None if value.value is None else CONFIDENCES[value.confidence],
        }
        for name, value in known.items()
        if isinstance(value, Known)
    ]


def _value(value: object) -> str:
    match value:
        case None:
            return "未填写"
        case Service():
            return f"{value.title}（{value.process}）"
        case Listener():
            return f"{value.name} {value.port}（{value.tls}）"
        case Strict():
            return " ".join(_value(one) for one in dict(value).values() if one)
        case tuple():
            return "；".join(map(_value, value)) or "无"
    return str(value)
