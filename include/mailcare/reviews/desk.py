"""The sections of the desk's own year, for the manager. Pure."""

from collections import Counter
from decimal import Decimal

from mailcare.reviews.facts import DeskYear, Keeping
from mailcare.reviews.section import Grid, Section, day, money
from mailcare.reviews.sections import faults_section, satisfaction_section
from mailcare.reviews.wording import SERVICE_STATES, SERVICE_TITLES
from mailcare.surveys.statistics import Grouping

ALL_GROUPINGS = tuple(Grouping)


def desk_sections(year: DeskYear) -> tuple[Section, ...]:
    """Return the desk's year, part by part."""
    return (
        _contracts(year),
        _services(year),
        _load(year),
        faults_section(year.faults),
        satisfaction_section(year.surveys, ALL_GROUPINGS),
    )


def _contracts(year: DeskYear) -> Section:
    if not year.contracts:
        return Section("合同", ("本年度没有生效的合同。",))
    worth = sum((one.yearly_cny for one in year.contracts), Decimal(0))
    ending = [one for one in year.contracts if one.ends_on <= year.span.last_on]
    says = (
        f"本年度内生效的合同 {len(year.contracts)} 份，年费合计 {money(worth)} 元；"
        f"年内到期 {len(ending)} 份。",
    )
    rows = tuple(
        (one.number, one.customer, day(one.starts_on), day(one.ends_on), money(one.yearly_cny))
        for one in year.contracts
    )
    head = ("合同", "客户", "开始", "结束", "年费（元）")
    return Section("合同", says, (Grid("逐份", head, rows),))


def _services(year: DeskYear) -> Section:
    if not year.services:
        return Section("服务", ("本年度没有计划的服务。",))
    counts = Counter((one.kind, one.state) for one in year.services)
    late = Counter(one.kind for one in year.services if one.is_late)
    rows = tuple(
        (title, *(counts[kind, state] for state in SERVICE_STATES), late[kind])
        for kind, title in SERVICE_TITLES.items()
    )
    head = ("服务", *SERVICE_STATES.values(), "其中逾期")
    return Section("服务", (), (Grid("按种类", head, rows),))


def _load(year: DeskYear) -> Section:
    """Tell who did how much; a fault counts for each of its engineers."""
    faults = Counter(name for one in year.faults for name in one.engineers)
    broken = Counter(
        name
        for one in year.faults
        for name in one.engineers
        if any(clock.keeping is Keeping.BROKEN for clock in one.clocks)
    )
    visits = Counter(one.engineer for one in year.visits if one.engineer)
    names = sorted({*faults, *visits})
    if not names:
        return Section("工程师工作量", ("本年度没有记在工程师名下的故障或现场巡检。",))
    rows = tuple((name, faults[name], broken[name], visits[name]) for name in names)
    head = ("工程师", "处理的故障", "其中有违约", "现场巡检")
    return Section("工程师工作量", (), (Grid("逐人", head, rows),))
