"""Whether the inspector's account can log in to each host, and whether it is the right host."""

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
from mailcare.inspection.hosts import ask_hosts
from mailcare.inspection.transcript import Transcript, read_transcript
from mailcare.systems.system import System


@dataclass(frozen=True, slots=True)
class Login:
    """How a login ended: the event that ended it, and what it said."""

    event: str
    detail: str
    host_key: str
    record: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LoginLimits:
    """No number: the registered key and one login."""


_ENDS = (
    "logged-in",
    "host-key-mismatch",
    "auth-failed",
    "refused",
    "timeout",
    "unreachable",
    "closed",
)


def _ask(system: System) -> Iterator[Question]:
    return ask_hosts(system, ())


def _parse(replies: tuple[Reply, ...]) -> Login:
    transcript = read_transcript(replies[0])
    for event in _ENDS:
        if (detail := transcript.event(event)) is not None:
            return Login(event, detail, transcript.event("host-key") or "", _lines(transcript))
    raise ReplyError("登录记录没有结果")


def _lines(transcript: Transcript) -> tuple[str, ...]:
    return tuple(f"{mark} {text}" for mark, text in transcript.lines)


def _judge(login: Login, _limits: LoginLimits, _subject: Subject) -> Iterator[Verdict]:
    severity, summary, advice = _MEANINGS[login.event]
    key, detail = login.host_key or "未记录", login.detail or "原因不明"
    yield Verdict(severity, summary.format(key=key, detail=detail), advice, evidence=login.record)


_MEANINGS = {
    "logged-in": (Severity.OK, "SSH 登录成功，主机密钥与登记一致（{key}）", ""),
    "host-key-mismatch": (
        Severity.CRITICAL,
        "SSH 主机密钥与登记不符，已停止登录（{detail}）",
        "请与客户管理员电话核对主机是否重装或更换；确认后更新站点文件的 host_key，"
        "否则应按地址被冒用处理。",
    ),
    "auth-failed": (
        Severity.WARNING,
        "SSH 拒绝巡检账号登录，主机内部各项未能检查",
        "请客户管理员核对巡检账号是否有效、公钥是否在 authorized_keys 中、"
        "AllowUsers 是否包含该账号。",
    ),
    "refused": (
        Severity.WARNING,
        "SSH 端口拒绝连接，主机内部各项未能检查",
        "请客户管理员检查 sshd 是否运行、端口是否与登记一致。",
    ),
    "timeout": (
        Severity.WARNING,
        "SSH 没有应答（超时阶段：{detail}），主机内部各项未能检查",
        "connect 超时请检查防火墙与网络；banner 或 login 超时请在主机控制台检查 sshd、"
        "负载和磁盘，必要时重启 sshd。",
    ),
    "unreachable": (
        Severity.WARNING,
        "SSH 无法连接（{detail}），主机内部各项未能检查",
        "请检查主机地址、路由和防火墙。",
    ),
    "closed": (
        Severity.WARNING,
        "SSH 握手中断（{detail}），主机内部各项未能检查",
        "请检查 sshd 日志、连接数限制（MaxStartups）和 hosts.deny；"
        "算法不兼容时请升级主机的 OpenSSH。",
    ),
}

CHECKS = (
    Check(
        name="ssh.login",
        area=Area.SECURITY,
        title="SSH 登录与主机密钥",
        question="巡检账号能否登录主机，主机密钥是否与登记相符？",
        ask=_ask,
        parse=_parse,
        judge=_judge,
        limits=LoginLimits(),
        source="RFC 4251 §4.1：客户端应核对预先登记的主机密钥；登记值见站点文件 host_key",
        after=("network.reach",),
    ),
)
