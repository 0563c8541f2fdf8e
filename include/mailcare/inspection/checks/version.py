"""Which version of the mail product each mail host runs."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

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
from mailcare.inspection.hosts import LOGIN_FIRST, ask_mail_hosts, first_line, whole_output_of
from mailcare.systems.profile import ProfileGap, VersionQuery
from mailcare.systems.system import System


@dataclass(frozen=True, slots=True)
class VersionLimits:
    """No number: the version is stated; whether it is current is for `app.patches`."""


def _ask(system: System) -> Iterator[Question]:
    query: VersionQuery = system.profile.need("version")
    _compiled(query)
    return ask_mail_hosts(system, query.words)


def _compiled(query: VersionQuery) -> re.Pattern[str]:
    try:
        return re.compile(query.regex, re.MULTILINE)
    except re.error as error:
        raise ProfileGap(f"version 的 regex 不是正则表达式：{error}") from None


def _parse(replies: tuple[Reply, ...]) -> str:
    return whole_output_of(replies[0], "版本查询")


def _judge(text: str, _limits: VersionLimits, subject: Subject) -> Iterator[Verdict]:
    profile = subject.system.profile
    pattern = _compiled(profile.need("version"))
    found = pattern.search(text)
    version = next((group for group in found.groups() if group), found[0]) if found else ""
    if not version.strip():
        # Only here the profile is known, and with it what a version looks like.
        raise ReplyError(f"输出「{first_line(text)}」中没有与档案 regex 相符的版本号")
    yield Verdict(Severity.OK, f"{profile.title} 版本 {version.strip()}")


CHECKS = (
    Check(
        name="app.version",
        area=Area.APP,
        title="邮件系统版本",
        question="邮件系统目前是什么版本？",
        ask=_ask,
        parse=_parse,
        judge=_judge,
        limits=VersionLimits(),
        source="产品档案 version；服务方案附件二「邮件系统目前的版本号」",
        after=LOGIN_FIRST,
    ),
)
