"""The inspection report 巡检报告: the seed's annex 2, with findings, statistics and their basis."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime

from mailcare.inspection.check import Finding, Result
from mailcare.inspection.comparison import Past
from mailcare.inspection.levels import Ceiling, FactOnly, Floor
from mailcare.inspection.outcome import count_results
from mailcare.inspection.planning import AnyCheck
from mailcare.inspection.proceedings import Proceedings
from mailcare.papers.backup_lines import BackupLine, backup_rows
from mailcare.papers.changes import changes_since
from mailcare.papers.charts import bar_charts, counts_chart
from mailcare.papers.document import Document, Json
from mailcare.papers.formats import cut_columns, quantity
from mailcare.papers.inspection_form import fill_form
from mailcare.papers.items import Item, in_state, read_items
from mailcare.papers.onsite import OnSite, tell_onsite
from mailcare.papers.record import tell_proceedings
from mailcare.papers.statistics import counts_by_area, measures
from mailcare.papers.topology import topology
from mailcare.papers.wording import (
    AREAS,
    CONFIDENCES,
    LIMIT_WORDS,
    PROFILE_FIELDS,
    TLS_MODES,
    measure_of,
)
from mailcare.systems.profile import (
    Known,
    Listener,
    Profile,
    Service,
    Strict,
)
from mailcare.systems.system import System

TEMPLATE = "inspection/report.html"
TEMPLATE_VERSION = 5
URGENT_COUNT = 3
# Page one is one page, whatever was found; widths in half-width columns.
URGENT_SAYS_COLUMNS = 132
URGENT_ADVICE_COLUMNS = 88
URGENT_TARGET_COLUMNS = 52
EXPLAINED_MAX = 2
EFFECTS_MAX = 4
EVIDENCE_LINES_MAX = 10
EVIDENCE_WIDTH_MAX = 300
EXCERPT_LINES_MAX = 3
EXCERPT_WIDTH_MAX = 110
EXCERPTS_EACH_MAX = 1  # of one check: the rest is of the same kind
TARGETS_MAX = 12
PROFILE_VALUE_MAX = 160
BAD = ("critical", "warning", "notice")


@dataclass(frozen=True, slots=True)
class Remarks:
    """What people add to the results.

    `vendor` stands in the page header, `feedback_address` in the line that invites criticism.
    `written` are the engineer's own words for fields of the form, by key
    (`inspection_form.FIELD_KEYS`); they stand in place of what the results say. `onsite` is the
    visit that the report is about.
    """

    vendor: str = ""
    feedback_address: str = ""
    written: Mapping[str, str] = field(default_factory=dict)
    onsite: OnSite | None = None


def inspection_report(
    system: System,
    results: Iterable[Result],
    checks: Iterable[AnyCheck],
    *,
    number: str,
    started_at: datetime,
    finished_at: datetime,
    record: Proceedings,
    past: Sequence[Past] | None = None,
    remarks: Remarks = Remarks(),
    backups: Sequence[BackupLine] = (),
) -> Document:
    """Return the report of one inspection; `checks` are those that the results belong to.

    `past` are earlier inspections of the same system, oldest first; None where nobody looked.
    `backups` are the last verdicts on its backup copies.
    """
    results, checks = tuple(results), tuple(checks)
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
        "urgent": [_told_briefly(item) for item in urgent(items)],
        "explained": explained(items),
        "explained_max": EXPLAINED_MAX,
        "effects_max": EFFECTS_MAX,
        "form": fill_form(
            system, items, remarks.written, place=remarks.onsite.place if remarks.onsite else ""
        ),
        "diagram": topology(system),
        "areas": _areas(items),
        "measures": _measures(items),
        "counts_by_area": _rows(table.rename_axis("").reset_index().values.tolist()),
        "counts_chart": counts_chart(table),
        "charts": bar_charts(items),
        "changes": changes_since(past, results, checks, started_at=started_at),
        "record": tell_proceedings(record),
        "basis": [_basis(check) for check in _distinct(items)],
        "profile": _profile(system.profile),
        "excerpts": _excerpts(items),
        "backups": backup_rows(system.site.backups, backups),
    }
    if remarks.onsite:
        content["onsite"] = tell_onsite(remarks.onsite)
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
        for cause, found in sorted(effects.items(), key=lambda one: -len(one[1]))
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
        "unmeasured": _told_together(in_state(items, "unmeasured"), titles),
        "manual": _told_together(in_state(items, "manual")),
        "good": _told_together(in_state(items, "ok")),
        "not_applicable": _told_together(in_state(items, "not_applicable")),
    }


def _told_together(items: Sequence[Item], titles: Mapping[str, str] | None = None) -> list[Json]:
    """Return a row for each thing that is said, with all the targets that it is said of."""
    grouped: dict[tuple[str, str, str | None], list[Item]] = {}
    for item in items:
        grouped.setdefault((item.check.name, item.says, item.cause), []).append(item)
    return [
        _told(found[0], titles) | {"target": listed([item.target for item in found])}
        for found in grouped.values()
    ]


def listed(targets: Sequence[str]) -> str:
    """Return the names once each, so many of them as anybody reads."""
    names = list(dict.fromkeys(targets))
    more = f" 等 {len(names)} 个" if len(names) > TARGETS_MAX else ""
    return f"{'、'.join(names[:TARGETS_MAX])}{more}"


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


def _told_briefly(item: Item) -> dict[str, Json]:
    told = _told(item)
    return told | {
        "target": cut_columns(item.target, URGENT_TARGET_COLUMNS),
        "says": cut_columns(item.says, URGENT_SAYS_COLUMNS),
        "advice": cut_columns(str(told["advice"]), URGENT_ADVICE_COLUMNS),
        "evidence": [],
    }


def shortened(text: str, length: int) -> str:
    """Return the text cut to so many characters, with the cut marked."""
    return text if len(text) <= length else f"{text[:length]}……"


def _excerpts(items: Sequence[Item]) -> list[Json]:
    """Return evidence of what is not bad: of each check the first, and how much more there is.

    What every check was told stands in the record of replies; here an auditor sees its kind, in as
    many rows for a fleet as for one host.
    """
    grouped: dict[str, dict[tuple[str, ...], list[Item]]] = {}
    for item in in_state(items, "ok"):
        if isinstance(item.result, Finding) and item.result.evidence:
            same = grouped.setdefault(item.check.name, {})
            same.setdefault(item.result.evidence, []).append(item)
    return [row for same in grouped.values() for row in _excerpts_of(same)]


def _excerpts_of(same: Mapping[tuple[str, ...], Sequence[Item]]) -> Iterator[Json]:
    rest = sum(map(len, list(same.values())[EXCERPTS_EACH_MAX:]))
    for evidence, found in list(same.items())[:EXCERPTS_EACH_MAX]:
        targets = listed([item.target for item in found])
        yield {
            "title": found[0].check.title,
            "targets": f"{targets}（另 {rest} 项见 replies.jsonl）" if rest else targets,
            "evidence": _excerpt(evidence),
        }


def _on_one_line(line: str) -> str:
    return " ".join(line.splitlines())  # a command that was asked may be a whole script


def _excerpt(lines: Sequence[str]) -> list[str]:
    shown = [shortened(_on_one_line(line), EXCERPT_WIDTH_MAX) for line in lines[:EXCERPT_LINES_MAX]]
    rest = len(lines) - EXCERPT_LINES_MAX
    return [*shown, f"……（另 {rest} 行）"] if rest > 0 else shown


def _evidence(lines: Sequence[str]) -> list[str]:
    shown = [
        shortened(_on_one_line(line), EVIDENCE_WIDTH_MAX) for line in lines[:EVIDENCE_LINES_MAX]
    ]
    rest = len(lines) - EVIDENCE_LINES_MAX
    return [*shown, f"……（其余 {rest} 行见原始回复记录）"] if rest > 0 else shown


def _measures(items: Sequence[Item]) -> list[Json]:
    """Return a row for each result that has numbers, all of them in one cell."""
    grouped: dict[tuple[str, ...], list[str]] = {}
    for area, title, target, measure, value, unit, state in measures(items).itertuples(
        index=False, name=None
    ):
        told = f"{measure} {quantity(value, unit)}"
        grouped.setdefault((area, title, target, state), []).append(told)
    return _rows(
        (area, title, target, "，".join(told), state)
        for (area, title, target, state), told in grouped.items()
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
    if isinstance(limits, FactOnly):
        return f"只陈述事实，不报警；由「{limits.judged_by}」判断"
    if isinstance(limits, Ceiling | Floor):
        sign, unit = "≥" if isinstance(limits, Ceiling) else "≤", limits.unit or unit
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
            "value": shortened(_value(value.value), PROFILE_VALUE_MAX),
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
            return f"{value.name} {value.port}（{TLS_MODES[value.tls]}）"
        case Strict():
            return " ".join(_value(one) for one in dict(value).values() if one)
        case tuple():
            return "；".join(map(_value, value)) or "无"
    return str(value)
