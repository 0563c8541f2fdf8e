"""The command line's answers about time: `mailcare deadline`, `calendar` and `fault`."""

import json
from datetime import UTC, date, datetime
from getpass import getuser
from pathlib import Path
from typing import Annotated

import typer

from mailcare.clock import BEIJING
from mailcare.contracts.promises import newest, promises
from mailcare.deadlines import (
    Deadline,
    Level,
    Unit,
    next_visit_start,
    read_moment,
    report_deadline,
    resolution_deadline,
    visit_days,
)
from mailcare.errors import InputError
from mailcare.faults.clocks import Clock, Kind, State, clocks
from mailcare.faults.events import Refused, read_events
from mailcare.workdays import (
    ONE_DAY,
    Calendar,
    Source,
    breaks,
    days_of,
    makeup_days,
    workday_count,
)
from mailcare.year_tables import WEEKDAYS

UNUSABLE_INPUT = 2

deadline_app = typer.Typer(help="时限：报告、处理、现场巡检。", no_args_is_help=True)
calendar_app = typer.Typer(help="工作日历。", no_args_is_help=True)
fault_app = typer.Typer(help="故障。", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="输出 JSON")]

KIND_TITLES = {Kind.RESPONSE: "响应", Kind.RESOLUTION: "处理", Kind.REPORT: "报告"}
STATE_TITLES = {
    State.RUNNING: "计时中",
    State.HELD: "暂停",
    State.MET: "按时完成",
    State.SUPERSEDED: "已由新一轮取代",
    State.CANCELLED: "已撤销或合并",
}
SOURCE_TITLES = {
    Source.OPERATOR: "年度表",
    Source.LIBRARY: "chinesecalendar（国务院办公厅公布的安排）",
    Source.FALLBACK: "暂行推算",
}


@deadline_app.command("report")
def show_report_deadline(
    handled_at: Annotated[str, typer.Option(metavar="ISO", help="处理完毕的时间，带时区")],
    json_: AsJson = False,
) -> None:
    """《故障处理报告》最迟何时送达客户。"""
    at = _moment(handled_at, "--handled-at")
    deadline = report_deadline(at, _calendar(), terms=promises(newest()))
    typer.echo(_json(_deadline_json(deadline)) if json_ else _deadline_text(deadline))


@deadline_app.command("resolution")
def show_resolution_deadline(
    level: Annotated[Level, typer.Option(help="故障级别", case_sensitive=False)],
    declared_at: Annotated[str, typer.Option(metavar="ISO", help="申报的时间，带时区")],
    json_: AsJson = False,
) -> None:
    """故障最迟何时处理完毕（未计暂停）。"""
    at = _moment(declared_at, "--declared-at")
    deadline = resolution_deadline(level, at, terms=promises(newest()))
    typer.echo(_json(_deadline_json(deadline)) if json_ else _deadline_text(deadline))


@deadline_app.command("visit")
def show_visit_days(
    start: Annotated[str, typer.Option(metavar="DATE", help="起始日，例如 2026-09-28")],
    json_: AsJson = False,
) -> None:
    """现场巡检的三个连续工作日；被休息日隔开的起始日不予接受。"""
    start_on, calendar = _day(start), _calendar()
    visit = visit_days(start_on, calendar)
    if visit.objection:
        next_on = next_visit_start(start_on, calendar)
        sentence = f"{visit.objection}。其后最早可用的起始日是 {next_on}"
        typer.echo(_json({"error": sentence}) if json_ else f"不予接受：{sentence}")
        raise typer.Exit(UNUSABLE_INPUT)
    deadline = visit.deadline
    typer.echo(
        _json(_deadline_json(deadline)) if json_ else _deadline_text(deadline, ends="可以安排，至")
    )


@calendar_app.command("show")
def show_calendar(
    year: Annotated[int, typer.Argument(min=2000, max=2098, help="年份")],
    json_: AsJson = False,
) -> None:
    """一年的放假与调休安排及其来源。"""
    typer.echo(_json(_year_json(year)) if json_ else _year_text(year))


@calendar_app.command("load")
def load_year_table(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="年度表（YAML）")],
) -> None:
    """载入一年的放假安排，显示与现行安排的差异；须由另一人确认后才使用。"""
    from mailcare.calendars import steps

    typer.echo(steps.load_year_table(file, by=getuser()))


@calendar_app.command("confirm")
def confirm_year_table(
    year: Annotated[int, typer.Argument(min=2000, max=2099, help="年份")],
) -> None:
    """确认他人载入的年度表，即刻使用。"""
    from mailcare.calendars import steps

    typer.echo(steps.confirm_year_table(year, by=getuser()))


@fault_app.command("clocks")
def show_clocks(
    events_file: Annotated[Path, typer.Argument(metavar="EVENTS.json", help="故障的事件")],
    now: Annotated[str, typer.Option(metavar="ISO", help="截至何时，带时区；缺省为此刻")] = "",
    json_: AsJson = False,
) -> None:
    """由事件推算故障的各个时限；事件不合理时退出码为 2，并指出是哪一个（从 0 数起）。"""
    try:
        rows = _clocks(events_file, now)
    except Refused as error:
        typer.echo(_json({"error": error.sentence, "index": error.index}))
        raise typer.Exit(UNUSABLE_INPUT) from None
    listed = [row.as_json(promises(newest()).zone) for row in rows]
    typer.echo(_json({"clocks": listed}) if json_ else "\n".join(map(_clock_text, rows)))


def _calendar() -> Calendar:
    from mailcare.calendars.steps import working_calendar

    return working_calendar()


def _clocks(events_file: Path, now: str) -> tuple[Clock, ...]:
    try:
        content = events_file.read_bytes()
        at = _moment(now, "--now") if now else datetime.now(UTC)
    except FileNotFoundError:
        raise Refused("文件不存在") from None
    except OSError as error:
        raise Refused(f"文件无法读取：{error.strerror}") from error
    except InputError as error:
        raise Refused(str(error)) from None
    return clocks(read_events(content), promises(newest()), _calendar(), at)


def _moment(text: str, option: str) -> datetime:
    try:
        return read_moment(text)
    except InputError as error:
        raise InputError(str(error), subject=option) from None


def _day(text: str) -> date:
    try:
        on = date.fromisoformat(text)
    except ValueError:
        raise InputError("不是日期，例如 2026-09-28", subject="--start") from None
    if not 2000 <= on.year <= 2098:
        raise InputError("年份须在 2000 至 2098 之间", subject="--start")
    return on


def _json(data: object) -> str:
    return json.dumps(data, ensure_ascii=False, indent=2)


def _deadline_json(deadline: Deadline) -> dict[str, object]:
    internal = deadline.internal_due_at
    return {
        "due_at": deadline.due_at.astimezone(BEIJING).isoformat(),
        "internal_due_at": internal.astimezone(BEIJING).isoformat() if internal else None,
        "provisional": deadline.is_provisional,
        "rule": deadline.rule,
        "days": [on.isoformat() for on in deadline.days],
    }


def _deadline_text(deadline: Deadline, *, ends: str = "最迟") -> str:
    lines = [f"{ends}：{_due_text(deadline.due_at, deadline.unit)}"]
    if deadline.internal_due_at:
        lines.append(f"内部要求：{_moment_text(deadline.internal_due_at)}")
    lines.append(f"规则：{deadline.rule}")
    if deadline.days:
        lines.append(f"计入的日子：{'、'.join(map(_day_text, deadline.days))}")
    if deadline.is_provisional:
        lines.append(f"最早可能为：{_due_text(deadline.earliest_due_at, deadline.unit)}")
        lines.append(deadline.note)
    return "\n".join(lines)


def _year_json(year: int) -> dict[str, object]:
    calendar = _calendar()
    table, source = calendar.table(year), calendar.source(year)
    spans = [(one.first_on, one.last_on) for one in breaks(calendar, year)]
    off = [on for on in days_of(year) if any(first <= on <= last for first, last in spans)]
    return {
        "year": year,
        "source": source,
        "notice": table.notice if table else None,
        "provisional": source is Source.FALLBACK,
        "workdays": workday_count(calendar, year),
        "off": [on.isoformat() for on in off],
        "work": [on.isoformat() for on in makeup_days(calendar, year)],
    }


def _year_text(year: int) -> str:
    calendar = _calendar()
    source, table = calendar.source(year), calendar.table(year)
    origin = f"{SOURCE_TITLES[source]} {table.notice}" if table else SOURCE_TITLES[source]
    lines = [f"{year} 年：工作日 {workday_count(calendar, year)} 天；来源：{origin}"]
    if source is Source.FALLBACK:
        lines.append(
            f"{year} 年的放假安排尚未公布或未载入：按周一至周五减去法定节假日推算，仅供暂用"
        )
    for one in breaks(calendar, year):
        span = f"{_day_text(one.first_on)} 至 {_day_text(one.last_on)}"
        lines.append(f"休  {span}  {'、'.join(one.names)}".rstrip())
    lines += [f"班  {_day_text(on)}  调休上班" for on in makeup_days(calendar, year)]
    return "\n".join(lines)


def _clock_text(row: Clock) -> str:
    due = _due_text(row.due_at, row.unit) if row.due_at and row.unit else "暂停中，待恢复后确定"
    parts = [
        f"{KIND_TITLES[row.clock]} 第{row.epoch}轮 {row.level}  {_state_text(row)}",
        f"  起算 {_moment_text(row.started_at)}",
        f"  时限 {due}{'（暂行推算）' if row.is_provisional else ''}",
    ]
    if row.stopped_at:
        parts.append(f"  停止 {_moment_text(row.stopped_at)}")
    if row.breached_at:
        parts.append(f"  {_breach_word(row)}于 {_moment_text(row.breached_at)}")
    parts.append(f"  用时 {_duration_text(row.gross_s)}，扣除暂停后 {_duration_text(row.net_s)}")
    return "\n".join(parts)


def _state_text(row: Clock) -> str:
    return _breach_word(row) if row.state is State.LATE else STATE_TITLES[row.state]


def _breach_word(row: Clock) -> str:
    return "超目标" if row.is_soft else "违约"


def _duration_text(seconds: int) -> str:
    minutes, rest_s = divmod(seconds, 60)
    hours, rest_minutes = divmod(minutes, 60)
    return f"{hours}小时{rest_minutes}分{rest_s}秒"


def _due_text(due_at: datetime, unit: Unit) -> str:
    if unit is Unit.HOURS:
        return _moment_text(due_at)
    return f"{_day_text(due_at.astimezone(BEIJING).date() - ONE_DAY)} 24:00（北京时间）"


def _moment_text(at: datetime) -> str:
    return f"{at.astimezone(BEIJING):%Y-%m-%d %H:%M:%S}（北京时间）"


def _day_text(on: date) -> str:
    return f"{on.isoformat()} 周{WEEKDAYS[on.weekday()]}"
