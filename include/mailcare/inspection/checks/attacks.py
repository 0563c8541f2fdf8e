"""Signs of an attack in the web access log of each mail host; nothing is ever tried out."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from mailcare.inspection.check import (
    Area,
    Check,
    Question,
    Reply,
    Severity,
    Subject,
    Target,
    Verdict,
)
from mailcare.inspection.hosts import LOGIN_FIRST
from mailcare.inspection.logs import LogReading, Row, lines_ask, moment_in, read_logs
from mailcare.systems.profile import AttackSign
from mailcare.systems.site import Role
from mailcare.systems.system import System

DAYS = 7
_EVIDENCE_LINES = 8
_FRONT_PAGE_SLACK_BYTES = 16  # a token in the page, packed
# What follows the request in the common log format; a quote within it is written as \".
_STATUS = re.compile(
    r"\] \"(?P<request>(?:[^\"\\]|\\.)*)\" (?P<status>[1-5][0-9]{2}) (?P<bytes>[0-9]{1,12}\b)?"
)
_HOUR_CHARACTERS = len("23/Nov/2026:16")


@dataclass(frozen=True, slots=True)
class Hits:
    """Lines of one address, hour and status that match a sign: how many, and the first of them."""

    sign: str
    count: int
    address: str
    status: int | None
    last: str
    line: str
    request: str = ""
    given_bytes: int | None = None

    def succeeded(self, reading: LogReading) -> bool:
        """Tell whether the server may have given what was asked for.

        Many answer whatever path with their front page, which may hold the request again.
        """
        if self.status is None or not 200 <= self.status < 300:
            return False
        given, slack = self.given_bytes, _FRONT_PAGE_SLACK_BYTES + len(self.request)
        return given is None or all(abs(given - one) > slack for one in reading.front_page_bytes)


@dataclass(frozen=True, slots=True)
class Attacks:
    """What was found in the access log, and what of it was read."""

    reading: LogReading
    hits: tuple[Hits, ...]


@dataclass(frozen=True, slots=True)
class SignLimits:
    """From how many lines on a sign counts; one with a limit per hour has it in the profile."""

    lines_count: int


def _ask(system: System) -> Iterator[Question]:
    signs: tuple[AttackSign, ...] = system.profile.need("attack_signs")
    log: str = system.profile.need("access_log")
    for node in system.nodes_of(Role.MAIL) if signs else ():
        yield Question(Target(node.name), (lines_ask(node, log, signs, days=DAYS),))


def _parse(replies: tuple[Reply, ...]) -> Attacks:
    reading = read_logs(replies)
    return Attacks(reading, tuple(map(_hits, reading.rows)))


def _hits(row: Row) -> Hits:
    last, line = row.fields[0], "\t".join(row.fields[1:])
    status = _STATUS.search(line)
    address = line.partition(" ")[0] or "地址不明"
    if status is None:
        return Hits(row.name, row.count, address, None, last, line)
    given = int(status["bytes"]) if status["bytes"] else None
    code, request = int(status["status"]), status["request"]
    return Hits(row.name, row.count, address, code, last, line, request, given)


def _judge(attacks: Attacks, limits: SignLimits, subject: Subject) -> Iterator[Verdict]:
    signs: tuple[AttackSign, ...] = subject.system.profile.need("attack_signs")
    found = False
    for sign in signs:
        hits = _counting(sign, [one for one in attacks.hits if one.sign == sign.name])
        if sum(one.count for one in hits) >= limits.lines_count:
            found = True
            yield _sign_verdict(sign, hits, attacks.reading)
    if not found:
        titles = "、".join(sign.title for sign in signs)
        summary = f"网页访问日志中没有达到限值的攻击迹象（{titles}）；{attacks.reading.span}"
        yield Verdict(Severity.OK, summary, evidence=attacks.reading.files)


def _counting(sign: AttackSign, hits: list[Hits]) -> list[Hits]:
    """Leave out what stays below the sign's limit for one address within an hour."""
    limit = sign.per_address_per_hour
    if limit is None:
        return hits
    counts = Counter[tuple[str, str]]()
    for one in hits:
        counts[_hour(one)] += one.count
    return [one for one in hits if counts[_hour(one)] >= limit]


def _hour(hits: Hits) -> tuple[str, str]:
    return hits.address, hits.last[:_HOUR_CHARACTERS]


def _sign_verdict(sign: AttackSign, hits: list[Hits], reading: LogReading) -> Verdict:
    is_repeated = sign.per_address_per_hour is not None
    succeeded = [] if is_repeated else [one for one in hits if one.succeeded(reading)]
    count = sum(one.count for one in hits)
    limit = f"同一地址每小时 ≥ {sign.per_address_per_hour} 次" if is_repeated else "出现即报"
    outcome = "，其中有请求得到 2xx 应答，可能已得手" if succeeded else ""
    advice = _GUESSING_ADVICE if is_repeated else _ATTEMPT_ADVICE
    at_least = "至少 " if reading.left_out.get(sign.name) else ""
    return Verdict(
        Severity.CRITICAL if succeeded else Severity.WARNING,
        f"{sign.title}：{at_least}{count} 次{outcome}；{_sources(hits)}，"
        f"状态码 {_statuses(hits)}{_when(hits, reading.now_at)}（限值：{limit}）；{reading.span}",
        _SUCCESS_ADVICE if succeeded else advice,
        evidence=_evidence([*succeeded, *hits]),
        metrics={"matches_count": float(count)},
        part=sign.name,
    )


def _sources(hits: Iterable[Hits]) -> str:
    addresses = Counter[str]()
    for one in hits:
        addresses[one.address] += one.count
    [(most, count)] = addresses.most_common(1)
    return f"来自 {len(addresses)} 个地址，最多的是 {most}（{count} 次）"


def _statuses(hits: Iterable[Hits]) -> str:
    counts = Counter[str]()
    for one in hits:
        counts[str(one.status or "不明")] += one.count
    return "、".join(f"{status}×{count}" for status, count in counts.most_common(4))


def _when(hits: Iterable[Hits], now_at: datetime) -> str:
    texts = [text for one in hits for text in (one.line, one.last)]
    moments = [at for text in texts if (at := moment_in(text, now_at))]
    if not moments:
        return ""
    return f"，首次 {min(moments):%m-%d %H:%M}，最近 {max(moments):%m-%d %H:%M}"


def _evidence(hits: Iterable[Hits]) -> tuple[str, ...]:
    lines = (f"{one.count}× {one.line}" for one in hits)
    return tuple(dict.fromkeys(lines))[:_EVIDENCE_LINES]


_SUCCESS_ADVICE = (
    "请立即核对证据中的请求返回了什么（字节数与登录页相同的多为误报）；属实则按已被入侵处理："
    "封锁来源地址、更换管理员与用户口令、保全日志，并按厂商公告升级或拦截该路径。"
)
_ATTEMPT_ADVICE = (
    "尝试未见得手（与首页一样长的 2xx 应答视为首页）。请确认产品已打补丁，"
    "在 Web 服务或防火墙上拦截此类路径，并封锁反复出现的来源地址。"
)
_GUESSING_ADVICE = (
    "请封锁来源地址（如 fail2ban），限制登录页的访问范围，检查被猜账号的口令强度；"
    "若该地址是自家的反向代理或办公网出口，请先在其日志中查明真正的来源。"
)

CHECKS = (
    Check(
        name="security.attack_signs",
        area=Area.SECURITY,
        title="网页访问日志中的攻击迹象",
        question="近 7 天有没有人对网页邮箱和管理后台发起攻击，有没有得手的迹象？",
        ask=_ask,
        parse=_parse,
        judge=_judge,
        limits=SignLimits(lines_count=1),
        source="产品档案 attack_signs（公开的漏洞资料）；RFC 9110 §15.3：2xx 为请求成功",
        blind_after=LOGIN_FIRST,
    ),
)
