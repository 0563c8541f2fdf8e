"""Whether the mail product and the host's packages have flaws that everybody knows of."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from mailcare.clock import BEIJING
from mailcare.inspection.advisories import (
    Advisories,
    Advisory,
    Bug,
    Standing,
    known_advisories,
    standing,
)
from mailcare.inspection.check import (
    Area,
    Ask,
    Channel,
    Check,
    DoesNotApply,
    Question,
    Reply,
    ReplyError,
    Severity,
    Subject,
    Target,
    Verdict,
)
from mailcare.inspection.checks.release import KERNEL, RELEASE_FILES, Release, read_release
from mailcare.inspection.checks.version import read_version_output, version_in, version_words
from mailcare.inspection.hosts import LOGIN_FIRST, asked_hosts, host_ask
from mailcare.inspection.packages import PACKAGES, PACKAGES_S, Packages, read_packages
from mailcare.systems.profile import ProfileGap
from mailcare.systems.site import Node, Role
from mailcare.systems.system import System

_LIST = "名录"


@dataclass(frozen=True, slots=True)
class ListLimits:
    """How old the shipped list of flaws may be on the day of the inspection."""

    list_notice_days: int


@dataclass(frozen=True, slots=True)
class Product:
    """What the version query printed, and the host's packages where the product may be one."""

    text: str
    packages: Packages | None = None


@dataclass(frozen=True, slots=True)
class Host:
    """The operating system of a host and what is installed there."""

    release: Release
    packages: Packages


def _ask_product(system: System) -> Iterator[Question]:
    known = known_advisories().of_product(system.profile.name)
    if not known:
        yield Question(Target(), (Ask(Channel.PERSON, (_by_hand(system),)),))
        return
    words = _version_words(system, known)
    for node in system.nodes_of(Role.MAIL):
        asks = (host_ask(node, *words),)
        if any(one.package for one in known):
            asks += (_packages_ask(node),)
        yield Question(Target(node.name), asks)


def _by_hand(system: System) -> str:
    return (
        f"名录中没有「{system.profile.title}」的安全公告：请将当前版本与厂商最新发布对照，"
        "确认是否需要升级或补丁更新。"
    )


def _version_words(system: System, known: tuple[Advisory, ...]) -> tuple[str, ...]:
    try:
        return version_words(system)
    except ProfileGap as gap:
        raise ProfileGap(f"{gap}，{_left_open(known)}") from None


def _left_open(known: tuple[Advisory, ...]) -> str:
    always = [one.name for one in known if one.affected is None]
    unlimited = f"；其中 {'、'.join(always)} 不限版本，须按受影响对待" if always else ""
    return f"无法与名录中的 {len(known)} 条公告对照{unlimited}"


def _packages_ask(node: Node) -> Ask:
    return host_ask(node, *PACKAGES, timeout_s=PACKAGES_S)


def _parse_product(replies: tuple[Reply, ...]) -> Product:
    text = read_version_output(replies[0])
    return Product(text, read_packages(replies[1]) if len(replies) > 1 else None)


def _judge_product(product: Product, limits: ListLimits, subject: Subject) -> Iterator[Verdict]:
    profile = subject.system.profile
    listed = known_advisories()
    known = listed.of_product(profile.name)
    own = [one for one in known if not _from_distribution(one, product)]
    if not own:
        names = "、".join(sorted({one.package for one in known}))
        raise DoesNotApply(f"{names} 由操作系统的软件包提供，按软件包判断，见「操作系统严重缺陷」")
    version = _product_version(product, subject, known)
    name = f"{profile.title} {version}"
    bad = [one for one in own if one.concerns(version)]
    yield from (_flawed(one, name) for one in bad)
    if not bad:
        yield Verdict(Severity.OK, f"{name} 不在名录中 {len(own)} 条公告的受影响版本之列{_as_of()}")
    yield from _old_list(listed, limits, subject.taken_at)


def _from_distribution(advisory: Advisory, product: Product) -> bool:
    packages = product.packages
    return bool(packages and advisory.package and packages.named(advisory.package))


def _product_version(product: Product, subject: Subject, known: tuple[Advisory, ...]) -> str:
    try:
        return version_in(product.text, subject.system.profile)
    except ReplyError as error:
        raise ReplyError(f"{error}，{_left_open(known)}") from None


def _flawed(advisory: Advisory, name: str) -> Verdict:
    if advisory.affected is None:
        state = "厂商未公布受影响的版本，无法排除"
    else:
        state = "在受影响的版本之列"
    fixed = f"修复版本：{advisory.fixed}" if advisory.fixed else "尚无公布的修复版本"
    return Verdict(
        advisory.severity,
        f"{name} {state}：{advisory.name} {advisory.title}（{fixed}）",
        f"{advisory.text}{advisory.remedy}",
        evidence=(f"依据：{advisory.source}",),
        part=advisory.name,
    )


def _as_of() -> str:
    return f"（名录截至 {known_advisories().as_of:%Y-%m-%d}）"


def _old_list(listed: Advisories, limits: ListLimits, taken_at: datetime) -> Iterator[Verdict]:
    age_days = (taken_at.astimezone(BEIJING).date() - listed.as_of).days
    if age_days > limits.list_notice_days:
        yield Verdict(
            Severity.NOTICE,
            f"缺陷名录截至 {listed.as_of:%Y-%m-%d}，已 {age_days} 天未更新"
            f"（> {limits.list_notice_days} 天提示），其后公布的缺陷不在对照之列",
            "请更新本软件或其缺陷名录后重新判读。",
            evidence=("mailcare/inspection/advisories.yaml",),
            part=_LIST,
        )


def _ask_hosts(system: System) -> Iterator[Question]:
    for node in asked_hosts(system):
        asks = (host_ask(node, *RELEASE_FILES), host_ask(node, *KERNEL), _packages_ask(node))
        yield Question(Target(node.name), asks)


def _parse_host(replies: tuple[Reply, ...]) -> Host:
    return Host(read_release(replies[:2]), read_packages(replies[2]))


def _judge_host(host: Host, limits: ListLimits, subject: Subject) -> Iterator[Verdict]:
    listed = known_advisories()
    release = _release_key(host.release, listed)
    bugs = listed.of_release(release)
    found = [(bug, standing(bug, release, host.packages)) for bug in bugs]
    here = [(bug, stands) for bug, stands in found if stands]
    bad = [(bug, stands) for bug, stands in here if not stands.is_mended]
    yield from (_unmended(bug, stands, host.release) for bug, stands in bad)
    if not bad:
        yield Verdict(
            Severity.OK,
            f"名录中 {host.release.title} 的 {len(bugs)} 条严重缺陷，"
            f"{len(here)} 条涉及已安装的软件包，均已修复{_as_of()}",
            evidence=tuple(_row(bug, stands) for bug, stands in here),
        )
    yield from _old_list(listed, limits, subject.taken_at)


def _release_key(release: Release, listed: Advisories) -> str:
    major = release.version.partition(".")[0]
    for version in (release.version, major):
        if (key := f"{release.family}-{version}") in listed.releases:
            return key
    raise ReplyError(
        f"严重缺陷名录未覆盖 {release.title}，请对照操作系统厂商的安全公告核对内核、"
        "glibc、OpenSSH、OpenSSL、sudo 等软件包"
    )


_PRO = "该修复版本由 Ubuntu Pro 提供，须先启用其订阅，或升级到仍在维护的版本。"


def _unmended(bug: Bug, stands: Standing, release: Release) -> Verdict:
    return Verdict(
        bug.severity,
        f"{stands.name} {stands.version} 有严重缺陷 {bug.name}：{bug.title}"
        f"（{release.title} 自 {stands.fixed} 起修复）",
        f"{bug.remedy}{_PRO if 'esm' in stands.fixed else ''}",
        evidence=(_row(bug, stands), f"依据：{bug.source}"),
        part=f"{bug.name} {stands.name}",
    )


def _row(bug: Bug, stands: Standing) -> str:
    return f"{bug.name}：{stands.name} 已装 {stands.version}，修复版本 {stands.fixed}"


_LIMITS = ListLimits(list_notice_days=400)

CHECKS = (
    Check(
        name="app.advisory",
        area=Area.APP,
        title="邮件系统升级与补丁",
        question="邮件系统是否有已公布的缺陷，需要升级或补丁更新？",
        ask=_ask_product,
        parse=_parse_product,
        judge=_judge_product,
        limits=_LIMITS,
        source="随软件提供的缺陷名录 advisories.yaml（逐条注明出处）；只按版本判断，不作攻击测试；"
        "一年一检加一个月余量为 400 天，为经验值",
        after=LOGIN_FIRST,
    ),
    Check(
        name="os.serious_bugs",
        area=Area.OS,
        title="操作系统严重缺陷",
        question="操作系统的软件包是否有已知的严重缺陷未修复？",
        ask=_ask_hosts,
        parse=_parse_host,
        judge=_judge_host,
        limits=_LIMITS,
        source="随软件提供的缺陷名录 advisories.yaml：与 Debian、Ubuntu、Red Hat、AlmaLinux "
        "各自公告的修复版本比较；级别按其公告；400 天为经验值",
        after=LOGIN_FIRST,
        blind_after=("os.eol",),  # of a release that has ended its maker tells nothing any more
    ),
)
