"""Which version of the mail product each mail host runs."""

import re
from collections.abc import Iterator

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
from mailcare.inspection.levels import FactOnly
from mailcare.systems.profile import Profile, ProfileGap, VersionQuery
from mailcare.systems.system import System


def version_words(system: System) -> tuple[str, ...]:
    """Return the command that prints the version; raise `ProfileGap` where it is not known."""
    query: VersionQuery = system.profile.need("version")
    _compiled(query)
    return query.words


def _ask(system: System) -> Iterator[Question]:
    return ask_mail_hosts(system, version_words(system))


def _compiled(query: VersionQuery) -> re.Pattern[str]:
    try:
        return re.compile(query.regex, re.MULTILINE)
    except re.error as error:
        raise ProfileGap(f"version 的 regex 不是正则表达式：{error}") from None


def read_version_output(reply: Reply) -> str:
    """Return what the command printed; raise `ReplyError` where it failed."""
    return whole_output_of(reply, "版本查询")


def version_in(text: str, profile: Profile) -> str:
    """Return the version that an output holds; raise `ReplyError` where it holds none."""
    found = _compiled(profile.need("version")).search(text)
    version = next((group for group in found.groups() if group), found[0]) if found else ""
    if not version.strip():
        raise ReplyError(f"输出「{first_line(text)}」中没有与档案 regex 相符的版本号")
    return version.strip()


def _parse(replies: tuple[Reply, ...]) -> str:
    return read_version_output(replies[0])


def _judge(text: str, _limits: FactOnly, subject: Subject) -> Iterator[Verdict]:
    # Only here the profile is known, and with it what a version looks like.
    profile = subject.system.profile
    yield Verdict(Severity.OK, f"{profile.title} 版本 {version_in(text, profile)}")


CHECKS = (
    Check(
        name="app.version",
        area=Area.APP,
        title="邮件系统版本",
        question="邮件系统目前是什么版本？",
        ask=_ask,
        parse=_parse,
        judge=_judge,
        limits=FactOnly("邮件系统升级与补丁"),
        source="产品档案 version；服务方案附件二「邮件系统目前的版本号」",
        after=LOGIN_FIRST,
    ),
)
