"""Which operating system each host runs, and how long its maker still mends it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from importlib import resources

import yaml

from mailcare.clock import BEIJING
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
from mailcare.inspection.hosts import LOGIN_FIRST, ask_hosts, first_line, lines_of, output_of
from mailcare.inspection.levels import FactOnly
from mailcare.systems.system import System

# Several files in one command: head prints each name before its text, and goes on at a missing one.
RELEASE_FILES = (
    "head",
    "-n",
    "40",
    "/etc/os-release",
    "/etc/redhat-release",
    "/etc/debian_version",
)
KERNEL = ("uname", "-r")
_SECTION = re.compile(r"^==> (\S+) <==$", re.MULTILINE)
_ASSIGNMENT = re.compile(r"""^([A-Z_]+)=(["']?)(.*?)\2\s*$""", re.MULTILINE)
_RED_HAT = re.compile(r"^(.+?)(?: Linux)?(?: Server)? release (\d+(?:\.\d+)*)", re.IGNORECASE)
_SERVICE_PACK = re.compile(r"^(\d\d\.\d\d) \((LTS(?:-SP\d+)?)\)$")


@dataclass(frozen=True, slots=True)
class Release:
    """An operating system: `family` and `version` as the table of ends of life names them."""

    title: str
    family: str
    version: str
    support_end: str = ""
    kernel: str = ""


@dataclass(frozen=True, slots=True)
class EndOfLife:
    """A release with the day on which its maker stops mending it, and who says so."""

    release: Release
    ends_on: date
    source: str


@dataclass(frozen=True, slots=True)
class EndOfLifeLimits:
    """How many days ahead the end of life is announced."""

    notice_days: int


def _ask(system: System) -> Iterator[Question]:
    return ask_hosts(system, RELEASE_FILES, KERNEL)


def read_release(replies: tuple[Reply, ...]) -> Release:
    """Read the answers to `RELEASE_FILES` and `KERNEL`; more answers do not matter."""
    sections = _sections(output_of(replies[0], "head"))
    kernel = first_line(replies[1].text) if replies[1].exit_code == 0 else ""
    release = _from_os_release(sections) or _from_red_hat(sections)
    if release is None:
        raise ReplyError("没有可识别的 /etc/os-release 或 /etc/redhat-release")
    return replace(release, kernel=kernel)


def _sections(text: str) -> dict[str, str]:
    parts = _SECTION.split(text)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _from_os_release(sections: Mapping[str, str]) -> Release | None:
    text = "\n".join(lines_of(sections.get("/etc/os-release", ""), width=500))
    values = {key: value for key, _, value in _ASSIGNMENT.findall(text)}
    name = values.get("NAME", "").strip()
    if not values.get("ID") or not name:
        return None
    family = "centos-stream" if name == "CentOS Stream" else values["ID"].lower()
    version = values.get("VERSION_ID", "")
    if pack := _SERVICE_PACK.match(values.get("VERSION", "")):
        version = f"{pack[1]}-{pack[2].lower()}"
    return Release(_title(values, sections), family, version, values.get("SUPPORT_END", ""))


def _title(values: Mapping[str, str], sections: Mapping[str, str]) -> str:
    title = values.get("PRETTY_NAME") or f"{values['NAME']} {values.get('VERSION_ID', '')}".strip()
    # Only these files tell the point release that is installed.
    exact = first_line(sections.get("/etc/redhat-release", ""))
    point = first_line(sections.get("/etc/debian_version", ""))
    if " release " in exact:
        return exact
    if values["ID"] == "debian" and re.fullmatch(r"\d+\.\d+", point):
        return title.replace(values.get("VERSION_ID", point), point, 1)
    return title


def _from_red_hat(sections: Mapping[str, str]) -> Release | None:
    line = first_line(sections.get("/etc/redhat-release", ""))
    found = _RED_HAT.match(line)
    if not found:
        return None
    name = found[1].lower()
    family = "rhel" if name.startswith("red hat enterprise") else name.replace(" ", "-")
    return Release(line, family, found[2])


def _judge_release(release: Release, _limits: FactOnly, _subject: Subject) -> Iterator[Verdict]:
    kernel = f"，内核 {release.kernel}" if release.kernel else "，内核版本未取得"
    yield Verdict(Severity.OK, f"{release.title}{kernel}")


def _parse_end(replies: tuple[Reply, ...]) -> EndOfLife:
    release = read_release(replies)
    major = release.version.partition(".")[0]
    for version in (release.version, major):
        if row := _ends().get((release.family, version)):
            return EndOfLife(release, *row)
    if stated := _day(release.support_end):
        return EndOfLife(release, stated, "/etc/os-release 的 SUPPORT_END")
    raise ReplyError(f"没有 {release.title} 的停止维护日期，请向操作系统厂商核实")


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


@cache
def _ends() -> dict[tuple[str, str], tuple[date, str]]:
    text = (resources.files("mailcare.inspection") / "end_of_life.yaml").read_text("utf-8")
    return {
        (family, str(version)): (ends_on, entry["source"])
        for family, entry in yaml.safe_load(text).items()
        for version, ends_on in entry["ends_on"].items()
    }


def _judge_end(end: EndOfLife, limits: EndOfLifeLimits, subject: Subject) -> Iterator[Verdict]:
    today = subject.taken_at.astimezone(BEIJING).date()
    left_days = (end.ends_on - today).days
    until = f"{end.release.title} 的安全维护截止 {end.ends_on:%Y-%m-%d}"
    metrics = {"days_left": float(left_days)}
    evidence = (f"依据：{end.source}",)
    if left_days < 0:
        severity, summary = Severity.WARNING, f"{until}，已过期 {-left_days} 天"
    elif left_days <= limits.notice_days:
        severity = Severity.NOTICE
        summary = f"{until}，剩余 {left_days} 天（≤ {limits.notice_days} 天提示）"
    else:
        severity, summary = Severity.OK, f"{until}，剩余 {left_days} 天"
    advice = "" if severity is Severity.OK else _END_ADVICE
    yield Verdict(severity, summary, advice, evidence, metrics)


_END_ADVICE = "请安排升级到仍在维护的版本，或向操作系统厂商购买延长支持；升级前先验证备份可恢复。"

CHECKS = (
    Check(
        name="os.release",
        area=Area.OS,
        title="操作系统版本",
        question="操作系统是什么版本？",
        ask=_ask,
        parse=read_release,
        judge=_judge_release,
        limits=FactOnly("操作系统维护期限"),
        source="os-release(5)；服务方案附件二「操作系统安装，版本信息」",
        after=LOGIN_FIRST,
    ),
    Check(
        name="os.eol",
        area=Area.OS,
        title="操作系统维护期限",
        question="操作系统是否仍有厂商的安全更新？",
        ask=_ask,
        parse=_parse_end,
        judge=_judge_end,
        limits=EndOfLifeLimits(notice_days=180),
        source="各操作系统厂商公布的生命周期（end_of_life.yaml，核对于 2026-11-23）",
        after=LOGIN_FIRST,
    ),
)
