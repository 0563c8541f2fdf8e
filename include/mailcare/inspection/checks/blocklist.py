"""Whether a mail host's address is on a DNS blocklist.

A list is believed only when its two test points answer as they must: a dead zone, a wildcard, or a
list that refuses this resolver would else read as "listed" or as "clean".
"""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_network

from mailcare.inspection.blocklist import is_listed_point
from mailcare.inspection.check import (
    Area,
    Ask,
    Channel,
    Check,
    Question,
    Reply,
    ReplyError,
    Severity,
    Subject,
    Target,
    Verdict,
)
from mailcare.inspection.lookups import Lookups, read_lookups
from mailcare.inspection.probes import mail_hosts, unseen
from mailcare.systems.profile import ProfileGap
from mailcare.systems.system import System

LOOKUP_S = 20.0
_CODES = ip_network("127.0.0.0/8")
_REFUSALS = ip_network("127.255.255.0/24")


@dataclass(frozen=True, slots=True)
class Listing:
    """The list's codes for the address, none where it is not listed, and its explanation."""

    codes: tuple[str, ...]
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ListingLimits:
    """How many lists may hold the address: none."""

    listings: int = 0


def _ask(system: System) -> Iterator[Question]:
    if not system.site.dnsbl_zones:
        raise ProfileGap("站点文件未填写 dnsbl_zones（要查询的黑名单）")
    for node in mail_hosts(system):
        for zone in system.site.dnsbl_zones:
            ask = Ask(Channel.DNS, ("dnsbl", zone, node.seen_address), LOOKUP_S)
            yield Question(Target(node.name, part=zone), (ask,))


def _parse(replies: tuple[Reply, ...]) -> Listing:
    lookups = read_lookups(*replies)
    names = [lookup.name for lookup in lookups.all() if lookup.rdtype == "A"]
    if len(names) != 3 or not is_listed_point(names[0]):
        raise ReplyError("回复中没有黑名单的测试点与本机条目")
    if not _codes(lookups, names[0]):
        raise ReplyError("黑名单的测试点 127.0.0.2 没有列出，该名单不可用")
    if _codes(lookups, names[1]):
        raise ReplyError("黑名单列出了测试点 127.0.0.1，该名单对任何地址都应答，不可信")
    codes = _codes(lookups, names[2])
    return Listing(codes, lookups.texts_if_any(names[2]))


def _codes(lookups: Lookups, name: str) -> tuple[str, ...]:
    codes = tuple(rdata.to_text() for rdata in lookups.records("A", name))
    for code in codes:
        if IPv4Address(code) in _REFUSALS:
            raise ReplyError(f"黑名单拒绝本解析服务器的查询（{code}），请换用客户自有的解析服务器")
        if IPv4Address(code) not in _CODES:
            raise ReplyError(f"黑名单给出了名单以外的应答 {code}，可能被劫持")
    return codes


def _judge(listing: Listing, limits: ListingLimits, subject: Subject) -> Iterator[Verdict]:
    node = subject.system.node(subject.target.node)
    if reason := unseen(node):
        raise ReplyError(reason)
    address = node.seen_address
    zone = subject.target.part
    rows = (*(f"A {code}" for code in listing.codes), *(f"TXT {text}" for text in listing.texts))
    if len(listing.codes) <= limits.listings:
        summary = f"{address} 不在黑名单 {zone} 上"
        yield Verdict(Severity.OK, summary, evidence=(f"{zone}：测试点正常，本机未列出",))
        return
    reason = f"：{listing.texts[0]}" if listing.texts else ""
    summary = f"{address} 被黑名单 {zone} 列出（{'、'.join(listing.codes)}{reason}），应不在名单上"
    advice = "请先查明并停止垃圾邮件的来源（被盗账号、开放转发），再向该名单申请移除。"
    yield Verdict(Severity.CRITICAL, summary, advice, rows)


CHECKS = (
    Check(
        name="dns.blocklist",
        area=Area.DNS,
        title="黑名单",
        question="本系统的发信地址是否被黑名单收录？",
        ask=_ask,
        parse=_parse,
        judge=_judge,
        limits=ListingLimits(),
        source="RFC 5782 §2、§5（测试点）；127.255.255.x 为 Spamhaus 的拒绝应答",
        after=("dns.resolver",),
    ),
)
