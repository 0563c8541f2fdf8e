"""Who tried to guess passwords: failed logins in the mail log of each mail host, and what followed.

Our own probes' failures are no attack: those of a probe mailbox from the inspector's own address
are left out.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

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
from mailcare.inspection.hosts import LOGIN_FIRST
from mailcare.inspection.logs import LogReading, Row, moment_in, names_ask, read_logs
from mailcare.systems.profile import LogPattern
from mailcare.systems.site import Role, Site
from mailcare.systems.system import System

_WINDOW = timedelta(days=1)
_HOUR = timedelta(hours=1)
_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Logins:
    """Logins of one address to one account within an hour: failed ones, or successful ones.

    `account` is empty where the log does not name it.
    """

    count: int
    first_at: datetime
    last_at: datetime
    address: str
    account: str


@dataclass(frozen=True, slots=True)
class LoginLog:
    """What the logs tell of logins, and what of them was read."""

    reading: LogReading
    failed: tuple[Logins, ...]
    succeeded: tuple[Logins, ...]


@dataclass(frozen=True, slots=True)
class FailureLimits:
    """How many failures within a day are guessing.

    Of one address within an hour, or a day; accounts tried by one address; addresses that try one
    account, with how many failures together; failures before a success that is then suspicious.
    """

    address_per_hour_count: int
    address_per_day_count: int
    accounts_per_address_count: int
    addresses_per_account_count: int
    account_per_day_count: int
    before_success_count: int


def own_probes(site: Site) -> frozenset[str]:
    """Return the accounts with which our own probes log in, lower case."""
    boxes = site.mailboxes
    own = (boxes.inside, boxes.outside, boxes.archive, boxes.approver)
    names = [(box.address, box.credential.login) for box in own if box]
    return frozenset(name.lower() for pair in names for name in pair)


def _ask(system: System) -> Iterator[Question]:
    failures: tuple[LogPattern, ...] = system.profile.need("login_failures")
    logins = system.profile.logins.value or ()
    for node in system.nodes_of(Role.MAIL) if failures else ():
        patterns = {"login_failures": failures, "logins": logins}
        yield Question(Target(node.name), names_ask(node, patterns, days=1))


def _parse(replies: tuple[Reply, ...]) -> LoginLog:
    reading = read_logs(replies)
    since_at = reading.now_at - _WINDOW
    if reading.to_at < since_at:
        raise ReplyError(f"近 24 小时邮件日志没有记录；{reading.span}")
    logins = [(row.name, _logins(row, reading)) for row in reading.rows]
    recent = [(name, one) for name, one in logins if one.last_at >= since_at]
    return LoginLog(
        reading,
        tuple(one for name, one in recent if name == "login_failures"),
        tuple(one for name, one in recent if name == "logins"),
    )


def _logins(row: Row, reading: LogReading) -> Logins:
    if len(row.fields) != 4:
        raise ReplyError(f"登录记录无法识别：{' '.join(row.fields)[:120]}")
    first, last, address, account = row.fields
    first_at, last_at = moment_in(first, reading.now_at), moment_in(last, reading.now_at)
    if first_at is None or last_at is None:
        raise ReplyError(f"登录记录的时间无法识别：{first}")
    return Logins(row.count, first_at, last_at, address.strip(), account.strip().lower())


def _judge(log: LoginLog, limits: FailureLimits, subject: Subject) -> Iterator[Verdict]:
    failed = [one for one in log.failed if not _is_ours(one, log, subject.system.site)]
    guessed = list(_guessed(failed, log, limits))
    thieves = {one.part.partition(" ")[0] for one in guessed}
    others = [one for one in failed if one.address not in thieves]
    verdicts = [
        *guessed,
        *_brute_force(others, log, limits),
        *_sprayed(others, log, limits),
        *_besieged(others, log, limits),
    ]
    yield from verdicts or [_calm(failed, log, limits, subject)]


def _is_ours(login: Logins, log: LoginLog, site: Site) -> bool:
    return log.reading.is_worker(login.address) and login.account in own_probes(site)


def _guessed(failed: list[Logins], log: LoginLog, limits: FailureLimits) -> Iterator[Verdict]:
    """Find successes that end a series of failures; a device with an old password goes on."""
    tried = _grouped(failed, lambda one: one.address)
    for logins in _grouped(log.succeeded, lambda one: f"{one.address} {one.account}").values():
        address, account = logins[0].address, logins[0].account
        before = [one for one in tried.get(address, ()) if one.account in ("", account)]
        count, success_at = sum(one.count for one in before), min(one.first_at for one in logins)
        if count < limits.before_success_count or success_at < max(one.last_at for one in before):
            continue
        yield Verdict(
            Severity.CRITICAL,
            f"账号 {account} 的口令可能已被猜中：{address} 失败 {count} 次后，于"
            f" {success_at:%m-%d %H:%M} 登录成功（限值：失败 ≥ {limits.before_success_count}"
            f" 次后成功）；{log.reading.span}",
            _GUESSED_ADVICE,
            evidence=_listed(before),
            metrics={"failures_count": float(count)},
            part=f"{address} {account}",
        )


def _brute_force(failed: list[Logins], log: LoginLog, limits: FailureLimits) -> Iterator[Verdict]:
    for address, tries in _grouped(failed, lambda one: one.address).items():
        day, hour = sum(one.count for one in tries), _busiest_hour(tries)
        if hour < limits.address_per_hour_count and day < limits.address_per_day_count:
            continue
        accounts = len({one.account for one in tries if one.account})
        yield Verdict(
            Severity.WARNING,
            f"{address} 反复登录失败：24 小时内 {log.reading.at_least}{day} 次，"
            f"最多一小时 {hour} 次，涉及 {accounts} 个账号（警告 ≥ 每小时"
            f" {limits.address_per_hour_count} 次或每天 {limits.address_per_day_count} 次）；"
            f"{log.reading.span}",
            _BRUTE_FORCE_ADVICE,
            evidence=_listed(tries),
            metrics={"failures_count": float(day), "failures_per_hour_count": float(hour)},
            part=address,
        )


def _busiest_hour(tries: list[Logins]) -> int:
    hours = _grouped(tries, lambda one: f"{one.first_at:%Y-%m-%d %H}")
    return max(sum(one.count for one in group) for group in hours.values())


def _sprayed(failed: list[Logins], log: LoginLog, limits: FailureLimits) -> Iterator[Verdict]:
    for address, tries in _grouped(failed, lambda one: one.address).items():
        accounts = {one.account for one in tries if one.account}
        if len(accounts) < limits.accounts_per_address_count:
            continue
        yield Verdict(
            Severity.WARNING,
            f"{address} 用猜测的口令逐个试探账号：24 小时内 {len(accounts)} 个账号登录失败"
            f"（警告 ≥ {limits.accounts_per_address_count} 个）；{log.reading.span}",
            _BRUTE_FORCE_ADVICE,
            evidence=_listed(tries),
            metrics={"accounts_count": float(len(accounts))},
            part=f"{address} 多账号",
        )


def _besieged(failed: list[Logins], log: LoginLog, limits: FailureLimits) -> Iterator[Verdict]:
    named = [one for one in failed if one.account]
    for account, tries in _grouped(named, lambda one: one.account).items():
        addresses, count = {one.address for one in tries}, sum(one.count for one in tries)
        if (
            len(addresses) < limits.addresses_per_account_count
            or count < limits.account_per_day_count
        ):
            continue
        yield Verdict(
            Severity.WARNING,
            f"账号 {account} 被 {len(addresses)} 个地址猜口令，24 小时内失败 {count} 次"
            f"（警告 ≥ {limits.addresses_per_account_count} 个地址且"
            f" {limits.account_per_day_count} 次）；{log.reading.span}",
            _BESIEGED_ADVICE,
            evidence=_listed(tries),
            metrics={"addresses_count": float(len(addresses)), "failures_count": float(count)},
            part=account,
        )


def _calm(failed: list[Logins], log: LoginLog, limits: FailureLimits, subject: Subject) -> Verdict:
    by_address = _grouped(failed, lambda one: one.address)
    most = max((sum(one.count for one in tries) for tries in by_address.values()), default=0)
    total = sum(one.count for one in failed)
    known = subject.system.profile.logins.value
    note = "" if known else "；产品档案未填写 logins，不能判断有无得手"
    return Verdict(
        Severity.OK,
        f"24 小时内登录失败 {total} 次，单个地址最多 {most} 次（警告 ≥ 每小时"
        f" {limits.address_per_hour_count} 次或每天 {limits.address_per_day_count} 次）；"
        f"{log.reading.span}{note}",
        evidence=(*log.reading.files, *_listed(failed)),
        metrics={"failures_count": float(total)},
    )


def _grouped(logins: Iterable[Logins], key: Callable[[Logins], str]) -> dict[str, list[Logins]]:
    groups = defaultdict[str, list[Logins]](list)
    for one in logins:
        groups[key(one)].append(one)
    return dict(sorted(groups.items(), key=lambda group: -sum(one.count for one in group[1])))


def _listed(logins: Iterable[Logins]) -> tuple[str, ...]:
    most_first = sorted(logins, key=lambda one: -one.count)[:_SHOWN]
    return tuple(
        f"{one.count} 次 {one.address} 账号 {one.account or '（日志未记）'}"
        f" {one.first_at:%m-%d %H:%M:%S} 至 {one.last_at:%H:%M:%S}"
        for one in most_first
    )


_GUESSED_ADVICE = (
    "请立即重置该账号口令并下线其会话，检查登录后的发信、转发设置与文件夹规则，封锁来源地址；"
    "若是用户自己多次输错，请向本人核实。"
)
_BRUTE_FORCE_ADVICE = (
    "请启用或核对 fail2ban 等登录限速并封锁该地址；若是用户设备保存了旧口令或办公网出口，"
    "请联系用户更新口令。"
)
_BESIEGED_ADVICE = (
    "请确认该账号口令足够强并建议更换，启用登录限速或限制可登录的地区；"
    "同一账号被多地址猜测多为僵尸网络所为。"
)

CHECKS = (
    Check(
        name="security.login_failures",
        area=Area.SECURITY,
        title="登录失败与口令猜测",
        question="近 24 小时有没有人在猜用户的口令，有没有猜中的迹象？",
        ask=_ask,
        parse=_parse,
        judge=_judge,
        limits=FailureLimits(
            address_per_hour_count=30,
            address_per_day_count=200,
            accounts_per_address_count=20,
            addresses_per_account_count=10,
            account_per_day_count=50,
            before_success_count=20,
        ),
        source=(
            "MITRE ATT&CK T1110（口令猜测与喷洒）；限值为本产品经验值，"
            "宽于 fail2ban 缺省的 10 分钟 5 次，以免误报存有旧口令的设备"
        ),
        blind_after=LOGIN_FIRST,
    ),
)
