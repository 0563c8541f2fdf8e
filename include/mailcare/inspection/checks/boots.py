"""How often each host was started in the last year, and how often without being shut down."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from mailcare.inspection.check import (
    Area,
    Check,
    Question,
    Reply,
    ReplyError,
    Severity,
    Subject,
    Verdict,
)
from mailcare.inspection.hosts import LOGIN_FIRST, ask_hosts, lines_of, output_of
from mailcare.systems.system import System

# wtmp is put aside once a month; each file ends with the moment at which it begins.
_RECORDS = (
    "sh",
    "-c",
    "command -v last >/dev/null || exit 127; "
    "for file in /var/log/wtmp /var/log/wtmp.1 /var/log/wtmp-*; do "
    '[ -s "$file" ] && [ -r "$file" ] || continue; case $file in *.gz | *.xz) continue;; esac; '
    'last -x -F -f "$file" reboot shutdown; done; :',
)
_MOMENT = r"[A-Z][a-z]{2} ([A-Z][a-z]{2}) +(\d{1,2}) (\d\d:\d\d:\d\d) (\d{4})"
_EVENT = re.compile(rf"^(reboot|shutdown) +system (?:boot|down) .{{0,80}}?{_MOMENT}(.*)$", re.ASCII)
_BEGINS = re.compile(rf"^\S{{1,60}} begins {_MOMENT}\s*$", re.ASCII)
_YEAR_DAYS = 365


@dataclass(frozen=True, slots=True)
class Event:
    """A start or a stop, in the host's own time."""

    name: str
    at: datetime
    line: str


@dataclass(frozen=True, slots=True)
class Boots:
    """The events, the latest first, and the moment at which the record begins."""

    events: tuple[Event, ...]
    begins_at: datetime | None

    def since(self, day: datetime) -> list[Event]:
        """Return the starts after a moment, the latest first."""
        return [one for one in self.events if one.name == "reboot" and one.at >= day]

    def unclean(self) -> set[datetime]:
        """Return the starts that no shutdown came before."""
        return {
            later.at
            for later, earlier in pairwise(self.events)
            if later.name == earlier.name == "reboot"
        }


@dataclass(frozen=True, slots=True)
class BootLimits:
    """Unclean starts in a year, and the days for which one counts as recent."""

    unclean_warning: int
    alarm_days: int


def _ask(system: System) -> Iterator[Question]:
    return ask_hosts(system, _RECORDS)


def _parse(replies: tuple[Reply, ...]) -> Boots:
    if replies[0].exit_code == 0 and not replies[0].text.strip():
        raise ReplyError("没有可读的 /var/log/wtmp，无法知道主机何时启动过")
    lines = lines_of(output_of(replies[0], "last"), width=300)
    events = [_event(found, line) for line in lines if (found := _EVENT.match(line))]
    begins = [_moment(found.groups()) for line in lines if (found := _BEGINS.match(line))]
    known = {(one.name, one.at): one for one in events if one}
    starts = [one for one in begins if one]
    if not known and not starts:
        raise ReplyError("last 的输出无法识别（需要 -x -F 选项）")
    latest_first = sorted(known.values(), key=lambda one: one.at, reverse=True)
    return Boots(tuple(latest_first), min(starts, default=None))


def _event(found: re.Match[str], line: str) -> Event | None:
    at = _moment(found.groups()[1:5])
    return Event(found[1], at, line.strip()) if at else None


def _moment(words: Sequence[str]) -> datetime | None:
    month, day, clock, year = words
    try:
        # The host's own zone is unknown; only days matter here.
        return datetime.strptime(f"{year} {month} {day} {clock} +0000", "%Y %b %d %H:%M:%S %z")
    except ValueError:
        return None


def _judge(boots: Boots, limits: BootLimits, subject: Subject) -> Iterator[Verdict]:
    starts = boots.since(subject.taken_at - timedelta(days=_YEAR_DAYS))
    unclean = [one for one in starts if one.at in boots.unclean()]
    recent = subject.taken_at - timedelta(days=limits.alarm_days)
    severity = _severity(unclean, limits, recent)
    begins = f"{boots.begins_at:%Y-%m-%d}" if boots.begins_at else "不详"
    yield Verdict(
        severity,
        f"近一年启动 {len(starts)} 次（记录始于 {begins}），其中 {len(unclean)} 次之前没有正常关机"
        f"（{limits.alarm_days} 天内出现或 ≥ {limits.unclean_warning} 次警告）",
        _ADVICE if severity else "",
        evidence=tuple(one.line for one in (unclean or starts)[:6]),
        metrics={"boots_count": float(len(starts)), "unclean_boots_count": float(len(unclean))},
    )


def _severity(unclean: Sequence[Event], limits: BootLimits, recent: datetime) -> Severity:
    if not unclean:
        return Severity.OK
    is_often = len(unclean) >= limits.unclean_warning
    return Severity.WARNING if is_often or unclean[0].at >= recent else Severity.NOTICE


_ADVICE = (
    "请核对这些时间的停电、宿主机与机房记录，查看 /var/crash（kdump）和管理口（BMC）事件日志；"
    "原因不明时请检查内存、电源和内核版本。"
)

CHECKS = (
    Check(
        name="os.boots",
        area=Area.OS,
        title="启动与宕机记录",
        question="近一年主机有没有意外宕机？",
        ask=_ask,
        parse=_parse,
        judge=_judge,
        limits=BootLimits(unclean_warning=3, alarm_days=30),
        source="last(1) -x、wtmp(5)：两次启动之间没有关机记录即非正常停机；界限为经验值",
        after=LOGIN_FIRST,
    ),
)
