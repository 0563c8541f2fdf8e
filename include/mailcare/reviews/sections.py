"""The sections of a customer's review 年度服务报告, some of which the desk's shares. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from mailcare.clock import BEIJING
from mailcare.contracts.terms import anniversary
from mailcare.papers.document import Json
from mailcare.papers.wording import STATES
from mailcare.reviews.advice import advice
from mailcare.reviews.facts import (
    BackupFact,
    Bad,
    ClockFact,
    CustomerYear,
    FaultFact,
    InspectionFact,
    Keeping,
    ServiceFact,
    VisitFact,
    tally,
)
from mailcare.reviews.section import Grid, Section, day, length, listed, money, share
from mailcare.reviews.wording import (
    CLOCK_TITLES,
    FAULT_STATES,
    KEEPINGS,
    PRICE_REMARK,
    REMOTE_SAYS,
    SERVICE_STATES,
    SERVICE_TITLES,
    VERDICTS,
    VISIT_SAYS,
    VISIT_STATES,
    promised_clocks,
)
from mailcare.surveys.statistics import Asked, Grouping, figures_by, figures_of_all, trend
from mailcare.surveys.tables import (
    FIGURE_COLUMNS,
    distribution_head,
    distribution_rows,
    figure_texts,
)
from mailcare.surveys.wording import GROUPING_TITLES, QUESTION_TITLES
from mailcare.workdays import ONE_DAY

LEVELS = ("P1", "P2", "P3", "P4")


def customer_sections(year: CustomerYear) -> tuple[Section, ...]:
    """Return the review of one contract year, part by part."""
    return (
        _promises(year),
        _services(year.services),
        faults_section(year.faults),
        _inspections(year.inspections),
        _visits(year.visits),
        _backups(year.backups),
        satisfaction_section(year.surveys, (Grouping.SERVICE, Grouping.QUARTER)),
        Section("来年建议", advice(year)),
        _renewal(year),
    )


def _promises(year: CustomerYear) -> Section:
    head = ("服务", "约定次数", "已完成", "已安排", "剩余", "合同外")
    rows = tuple(
        (SERVICE_TITLES[one.promise], one.bought, one.used, one.planned, one.left, one.over)
        for one in year.balances
    )
    terms = year.contract.terms
    says = (
        f"合同 {year.contract.number}（第 {terms.version} 版），"
        f"{day(year.contract.starts_on)} 至 {day(year.contract.ends_on)}，两端均含当日；"
        f"本报告为第 {year.year} 合同年度。",
        f"服务范围内的邮件系统：{listed(year.systems)}。",
        "" if rows else "本年度没有登记按次计的服务。",
    )
    clocks = Grid("时限约定", ("时限", "约定"), promised_clocks(year.promises))
    counted = (Grid("按次计的服务", head, rows),) if rows else ()
    return Section("承诺的内容", tuple(filter(None, says)), (*counted, clocks))


def _services(services: Sequence[ServiceFact]) -> Section:
    if not services:
        return Section("完成的服务", ("本年度没有计划的服务。",))
    done = sum(one.done_on is not None for one in services)
    late = sum(one.is_late for one in services)
    says = f"计划 {len(services)} 项，完成 {done} 项，逾期未做 {late} 项。"
    head = ("服务", "系统", "计划日", "完成日", "状态")
    return Section("完成的服务", (says,), (Grid("逐项", head, tuple(map(_service, services))),))


def _service(one: ServiceFact) -> tuple[str | None, ...]:
    state = SERVICE_STATES[one.state] + ("（逾期）" if one.is_late else "")
    return (SERVICE_TITLES[one.kind], one.system, day(one.due_on), day(one.done_on), state)


def faults_section(faults: Sequence[FaultFact]) -> Section:
    """Return the faults with their clocks, kept and broken."""
    if not faults:
        return Section("故障与时限", ("本年度没有申报的故障。",))
    outside = sum(one.is_outside for one in faults)
    says = [f"申报故障 {len(faults)} 起。" + (f"其中合同外 {outside} 起。" if outside else "")]
    says += [_kept_sentence(faults, clock, title) for clock, title in CLOCK_TITLES.items()]
    head = ("编号", "级别", "申报时间", "故障描述", "响应", "处理", "报告", "状态")
    grids = (_by_level(faults), Grid("逐起", head, tuple(map(_fault, faults))))
    return Section("故障与时限", tuple(says), grids)


def _kept_sentence(faults: Iterable[FaultFact], clock: str, title: str) -> str:
    counts = tally(faults, clock)
    told = (f"{word} {counts[keeping]} 次" for keeping, word in KEEPINGS.items())
    ended = counts.total() - counts[Keeping.OPEN]
    return f"{title}时限：{'，'.join(told)}；按时率 {share(counts[Keeping.KEPT], ended) or '/'}。"


def _by_level(faults: Sequence[FaultFact]) -> Grid:
    counts = Counter(one.level for one in faults)
    rows = tuple(
        (level, counts[level], *(_kept(faults, level, clock) for clock in CLOCK_TITLES))
        for level in LEVELS
    )
    head = ("级别", "起数", *(f"{title}按时" for title in CLOCK_TITLES.values()))
    return Grid("按级别", head, rows)


def _kept(faults: Sequence[FaultFact], level: str, clock: str) -> str | None:
    counts = tally((one for one in faults if one.level == level), clock)
    ended = counts.total() - counts[Keeping.OPEN]
    return f"{counts[Keeping.KEPT]}/{ended}" if ended else None


def _fault(one: FaultFact) -> tuple[str | None, ...]:
    said = one.description + ("（合同外）" if one.is_outside else "")
    clocks = (_clock_text(one, clock) for clock in CLOCK_TITLES)
    at = f"{one.declared_at.astimezone(BEIJING):%Y-%m-%d %H:%M}"
    return (one.number, one.level, at, said, *clocks, FAULT_STATES[one.state])


def _clock_text(fault: FaultFact, clock: str) -> str | None:
    found = [one for one in fault.clocks if one.clock == clock and one.keeping]
    return "；".join(map(_one_clock, found)) or None


def _one_clock(one: ClockFact) -> str:
    assert one.keeping, "only those that count"
    return " ".join(filter(None, (KEEPINGS[one.keeping], length(one.took))))


def _inspections(found: Sequence[InspectionFact]) -> Section:
    if not found:
        return Section("巡检与趋势", ("本年度没有完成的远程巡检。",))
    rows: list[Json] = [
        {"label": str(day(one.on)), "counts": {state: one.counts.get(state, 0) for state in STATES}}
        for one in found
    ]
    chart = {"kind": "stacked", "title": "各次巡检的结果", "rows": rows}
    head = ("日期", "系统", *STATES.values())
    counts = tuple(
        (day(one.on), one.system, *(one.counts.get(state, 0) for state in STATES)) for one in found
    )
    says = (f"以下为截至本年度末的最近 {len(found)} 次巡检，最后一次在 {day(found[-1].on)}。",)
    grids = (Grid("各次结果（项）", head, counts), *_bad(found[-1]))
    return Section("巡检与趋势", says, grids, (chart,))


def _bad(last: InspectionFact) -> Iterator[Grid]:
    if last.bad:
        rows = tuple(map(_bad_row, last.bad))
        yield Grid("最近一次发现的问题", ("结论", "检查项", "说明", "建议"), rows)


def _bad_row(one: Bad) -> tuple[str, ...]:
    return (STATES[one.severity], one.title, one.summary, one.advice)


def _visits(visits: Sequence[VisitFact]) -> Section:
    if not visits:
        return Section("现场服务", ("本年度没有约定或完成的现场巡检。",))
    done = sum(one.state == "completed" for one in visits)
    hours = sum((one.training_hours for one in visits), Decimal(0))
    says = (
        f"现场巡检 {len(visits)} 次，完成 {done} 次，培训与交流共 {hours.normalize():f} 小时。",
    )
    head = ("编号", "系统", "首日", "工程师", "改期", "培训（小时）", "状态")
    return Section("现场服务", says, (Grid("逐次", head, tuple(map(_visit, visits))),))


def _visit(one: VisitFact) -> tuple[str | int | None, ...]:
    hours = f"{one.training_hours.normalize():f}"
    state = VISIT_STATES[one.state]
    return (one.number, one.system, day(one.starts_on), one.engineer_name, one.moved, hours, state)


def _backups(backups: Sequence[BackupFact]) -> Section:
    if not backups:
        said = "本年度没有完成的备份验证，因此不能证明备份可以恢复。"
        return Section("备份验证", (said,))
    said = "「未执行」既不是通过，也不是不通过；逐项结论见各次《备份验证报告》。"
    counted = ("系统", "副本", *(f"{word}（次）" for word in VERDICTS.values()))
    stands = ("系统", "副本", "最近一次", "结论", "各级")
    grids = (
        Grid("逐个副本", counted, tuple(map(_verified, backups))),
        Grid("最近一次", stands, tuple(map(_last, backups))),
    )
    return Section("备份验证", (said,), grids)


def _verified(one: BackupFact) -> tuple[str | int, ...]:
    return (one.system, one.copy, *(one.counts.get(verdict, 0) for verdict in VERDICTS))


def _last(one: BackupFact) -> tuple[str | None, ...]:
    levels = "，".join(f"{level} {VERDICTS[verdict]}" for level, verdict in one.levels.items())
    word = VERDICTS[one.last_verdict]
    return (one.system, one.copy, day(one.last_on), word, levels or None)


def satisfaction_section(asked: Sequence[Asked], groupings: Iterable[Grouping]) -> Section:
    """Return the satisfaction figures: overall, by some groupings, and what was said."""
    if not asked:
        return Section("客户满意度", ("本年度没有发起满意度调查。",))
    overall = figures_of_all(asked)
    head = (*FIGURE_COLUMNS, *QUESTION_TITLES.values())
    grids = [
        Grid("评分分布", distribution_head(), distribution_rows(overall)),
        Grid("合计", ("范围", *head), (("全部", *figure_texts(overall)),)),
    ]
    for one in groupings:
        rows = tuple((each.name, *figure_texts(each)) for each in figures_by(asked, one))
        grids.append(Grid(f"按{GROUPING_TITLES[one]}", (GROUPING_TITLES[one], *head), rows))
    grids.extend(_comments(asked))
    chart = trend(asked)
    says = ("答复率＝已答复 ÷（已答复＋谢绝＋过期）；平均只计给出的评分，未评的不计为 0。",)
    return Section("客户满意度", says, tuple(grids), (chart,) if chart else ())


def _comments(asked: Iterable[Asked]) -> Iterator[Grid]:
    said = tuple((day(one.asked_on), one.subject, one.comments) for one in asked if one.comments)
    if said:
        yield Grid("意见与建议", ("日期", "事由", "意见与建议"), said)


def _renewal(year: CustomerYear) -> Section:
    terms, ends_on = year.contract.terms, year.contract.ends_on
    visits = terms.visits_per_year
    remote = terms.remote_cny * terms.remote_service
    rows = (
        ("远程服务", REMOTE_SAYS, f"{money(terms.remote_cny)} 元/年", int(terms.remote_service),
         money(remote)),
        ("现场巡检", VISIT_SAYS, f"{money(terms.visit_cny)} 元/次", visits,
         money(terms.visit_cny * visits)),
        ("合计", None, None, None, money(terms.yearly_cny)),
    )  # fmt: skip
    next_on = ends_on + ONE_DAY
    until = anniversary(next_on, 1) - ONE_DAY
    said = (
        f"现合同于 {day(ends_on)} 到期，建议续约一年：{day(next_on)} 至 {day(until)}，按现行约定："
        if year.is_last_year
        else f"现合同有效至 {day(ends_on)}，下一合同年度按现行约定："
    )
    head = ("服务类型", "服务说明", "费用", "数量", "年费（元）")
    return Section("续约建议", (said, PRICE_REMARK), (Grid("价格", head, rows),))
