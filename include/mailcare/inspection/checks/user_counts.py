"""Whether the hosts of a distributed system know the same users."""

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
    Target,
    Verdict,
)
from mailcare.inspection.hosts import LOGIN_FIRST, first_line, host_ask
from mailcare.inspection.probes import mail_hosts
from mailcare.systems.site import Deployment
from mailcare.systems.system import System


@dataclass(frozen=True, slots=True)
class UserLimits:
    """How far the hosts' numbers of mailboxes may lie apart, in per cent of the largest."""

    apart_pct: float


_DEPTH = ("-mindepth", "2", "-maxdepth", "2", "-type", "d")
# The names of the mailboxes stay on the host: only their number is printed.
_COUNT = (
    'users=$(find "$0/" "$@" 2>/dev/null) || users=$(sudo -n find "$0/" "$@") || exit 1; '
    'printf "%s" "$users" | grep -c . || :'
)


def _ask_users(system: System) -> Iterator[Question]:
    if system.site.system.deployment is not Deployment.DISTRIBUTED:
        return
    store = system.profile.need("mail_store")
    words = ("sh", "-c", _COUNT, store, *_DEPTH)
    asks = tuple(host_ask(node, *words, timeout_s=30) for node in mail_hosts(system))
    yield Question(Target(part="用户目录"), asks)


def _parse_users(replies: tuple[Reply, ...]) -> tuple[int, ...]:
    return tuple(_user_count(reply) for reply in replies)


def _user_count(reply: Reply) -> int:
    text = reply.text.strip()
    if reply.exit_code != 0 or not text.isdecimal() or not text.isascii() or len(text) > 12:
        raise ReplyError(
            "无法统计邮件存储目录：请给巡检账号该目录的读取权限，或允许其 sudo find "
            f"（退出码 {reply.exit_code}：{first_line(text)}）"
        )
    return int(text)


def _judge_users(
    counts: tuple[int, ...], limits: UserLimits, subject: Subject
) -> Iterator[Verdict]:
    names = [node.name for node in mail_hosts(subject.system)]
    rows = tuple(f"{name}：{count} 个" for name, count in zip(names, counts, strict=False))
    most, least = max(counts), min(counts)
    if not most:
        raise ReplyError("各主机的邮件存储目录中都没有用户目录，请核对产品档案的 mail_store")
    apart_pct = 100 * (most - least) / most
    summary = f"各主机的用户目录数为 {'、'.join(map(str, counts))}，相差 {apart_pct:.1f}%"
    limit = f"（上限 {limits.apart_pct:g}%）"
    if apart_pct > limits.apart_pct:
        advice = "请检查各站点之间的用户同步任务及其日志，补齐缺少的用户。"
        yield Verdict(Severity.WARNING, summary + limit, advice, rows, {"apart_pct": apart_pct})
    else:
        yield Verdict(Severity.OK, summary + limit, "", rows, {"apart_pct": apart_pct})


CHECKS = (
    Check(
        name="cluster.user_counts",
        area=Area.CLUSTER,
        title="分布式用户同步",
        question="分布式部署中各主机的用户数是否一致？",
        ask=_ask_users,
        parse=_parse_users,
        judge=_judge_users,
        limits=UserLimits(apart_pct=1),
        source="产品分布式方案：用户列表定期同步到所有站点；上限为本公司经验值",
        after=LOGIN_FIRST,
    ),
)
