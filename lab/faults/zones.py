"""Wrong or missing DNS records."""

from collections.abc import Callable

from lab import hosts, probes
from lab.dns import STRANGE_DKIM, ZONES_ON_HOST, Edit, render_zones, serial_of
from lab.faults.fault import Fault
from lab.topology import DNS1
from lab.waiting import wait_until

_DOMAIN = "shili-bank.example"
_REVERSE = "66.10.in-addr.arpa"
_BLOCKLIST = "dnsbl.example"
_PTR_NAME = "11.0.66.10.in-addr.arpa"
_LISTED_NAME = "11.0.66.10.dnsbl.example"
_DKIM_NAME = f"mail._domainkey.{_DOMAIN}"

EDITS: dict[str, tuple[Edit, ...]] = {
    "mx-wrong": (
        Edit(_DOMAIN, "@", "MX", ("10 mx9.shili-bank.example.",)),
        Edit(_DOMAIN, "mx9", "A", ("10.66.0.99",)),
    ),
    "mx-missing": (Edit(_DOMAIN, "@", "MX"),),
    "mx-address-missing": (Edit(_DOMAIN, "mx1", "A"),),
    "mx-address-wrong": (Edit(_DOMAIN, "mx1", "A", ("10.66.0.99",)),),
    "webmail-address-wrong": (Edit(_DOMAIN, "webmail", "A", ("10.66.0.99",)),),
    "spf-missing": (Edit(_DOMAIN, "@", "TXT"),),
    "spf-wrong": (Edit(_DOMAIN, "@", "TXT", ('"v=spf1 ip4:192.0.2.25 -all"',)),),
    "ptr-missing": (Edit(_REVERSE, "11.0", "PTR"),),
    "ptr-wrong": (Edit(_REVERSE, "11.0", "PTR", ("host-10-66-0-11.outside.example.",)),),
    "dkim-missing": (Edit(_DOMAIN, "mail._domainkey", "TXT"),),
    "dkim-wrong": (Edit(_DOMAIN, "mail._domainkey", "TXT", (STRANGE_DKIM,)),),
    "dmarc-missing": (Edit(_DOMAIN, "_dmarc", "TXT"),),
    "mx-extra": (
        Edit(_DOMAIN, "@", "MX", ("10 mx1.shili-bank.example.", "20 mx9.shili-bank.example.")),
        Edit(_DOMAIN, "mx9", "A", ("10.66.0.99",)),
    ),
    "ns-dead": (
        Edit(_DOMAIN, "@", "NS", ("dns1.shili-bank.example.", "dns9.shili-bank.example.")),
        Edit(_DOMAIN, "dns9", "A", ("10.66.0.97",)),
    ),
    "soa-differs": (
        Edit(_DOMAIN, "@", "NS", ("dns1.shili-bank.example.", "dns2.shili-bank.example.")),
        Edit(_DOMAIN, "dns2", "A", ("10.66.0.54",)),
    ),
    "dnssec-broken": (Edit("root", _DOMAIN, "DS", (f"4711 13 2 {'5A' * 32}",)),),
    "dane-mismatch": (Edit(_DOMAIN, "_25._tcp.mx1", "TLSA", (f"3 1 1 {'5A' * 32}",)),),
    "tls-rpt-wrong": (Edit(_DOMAIN, "_smtp._tls", "TXT", ('"v=TLSRPTv1; rua=admin"',)),),
    "ptr-missing-ipv6": (Edit(_DOMAIN, "mx1", "AAAA", ("2001:db8::11",)),),
    "dnsbl-listed": (
        Edit(_BLOCKLIST, "11.0.66.10", "A", ("127.0.0.2",)),
        Edit(_BLOCKLIST, "11.0.66.10", "TXT", ('"10.66.0.11 sent spam"',)),
    ),
    "dnsbl-dead": (
        Edit(_BLOCKLIST, "2.0.0.127", "A"),
        Edit(_BLOCKLIST, "2.0.0.127", "TXT"),
    ),
}


def apply(active: frozenset[str]) -> None:
    """Write the zones as the faults at work want them and wait until dns1 serves them."""
    edits = [edit for name in sorted(active) for edit in EDITS.get(name, ())]
    running = hosts.get_running(DNS1)
    zones = render_zones(edits)
    for name, text in zones.items():
        running.write(f"{ZONES_ON_HOST}/{name}", text)
    running.attempt("sh", "-c", "kill -HUP $(cat /run/named/named.pid)")
    wait_until(lambda: all(_is_served(*zone) for zone in zones.items()), "reload of the zones")


def _is_served(name: str, text: str) -> bool:
    origin = name.removesuffix(".zone").replace("root", ".")
    try:
        answers = probes.ask_dns(origin, "SOA")
    except probes.UNSEEN:
        return False
    return bool(answers) and int(answers[0].split()[2]) == serial_of(text)


def _zone_fault(name: str, title: str, effect: str, *, is_visible: Callable[[], bool]) -> Fault:
    return Fault(
        name=name,
        title=title,
        effect=effect,
        host=DNS1,
        slot=" ".join(sorted(f"{edit.owner}/{edit.kind}" for edit in EDITS[name][:1])),
        apply=apply,
        is_visible=is_visible,
    )


def _txt(name: str) -> str:
    return " ".join(probes.ask_dns(name, "TXT"))


def _is_strange_dkim() -> bool:
    published = _txt(_DKIM_NAME)
    expected = render_zones()[f"{_DOMAIN}.zone"]
    return bool(published) and published not in expected


FAULTS = (
    _zone_fault(
        "mx-wrong",
        "MX 记录指向不存在的主机",
        "the MX of shili-bank.example names mx9 at 10.66.0.99, where nobody is",
        is_visible=lambda: "mx9" in " ".join(probes.ask_dns(_DOMAIN, "MX")),
    ),
    _zone_fault(
        "mx-missing",
        "MX 记录缺失",
        "shili-bank.example has no MX",
        is_visible=lambda: not probes.ask_dns(_DOMAIN, "MX"),
    ),
    _zone_fault(
        "mx-address-missing",
        "邮件主机的地址记录缺失",
        "mx1.shili-bank.example has no A record",
        is_visible=lambda: not probes.ask_dns(f"mx1.{_DOMAIN}", "A"),
    ),
    _zone_fault(
        "mx-address-wrong",
        "邮件主机的地址记录有误",
        "the A record of mx1.shili-bank.example is 10.66.0.99, where nobody is",
        is_visible=lambda: probes.ask_dns(f"mx1.{_DOMAIN}", "A") == ["10.66.0.99"],
    ),
    _zone_fault(
        "webmail-address-wrong",
        "网页邮箱的地址记录有误",
        "the A record of webmail.shili-bank.example is 10.66.0.99, where nobody is",
        is_visible=lambda: probes.ask_dns(f"webmail.{_DOMAIN}", "A") == ["10.66.0.99"],
    ),
    _zone_fault(
        "spf-missing",
        "SPF 记录缺失",
        "shili-bank.example has no SPF record",
        is_visible=lambda: "v=spf1" not in _txt(_DOMAIN),
    ),
    _zone_fault(
        "spf-wrong",
        "SPF 未授权本系统的发信地址",
        "SPF allows 192.0.2.25 only, so mail from mx1 fails (-all)",
        is_visible=lambda: "ip4:192.0.2.25" in _txt(_DOMAIN),
    ),
    _zone_fault(
        "ptr-missing",
        "反向解析缺失",
        "10.66.0.11 has no PTR",
        is_visible=lambda: not probes.ask_dns(_PTR_NAME, "PTR"),
    ),
    _zone_fault(
        "ptr-wrong",
        "反向解析与主机名不一致",
        "the PTR of 10.66.0.11 names a host that does not exist",
        is_visible=lambda: "host-10-66-0-11" in " ".join(probes.ask_dns(_PTR_NAME, "PTR")),
    ),
    _zone_fault(
        "dkim-missing",
        "DKIM 公钥记录缺失",
        "mail._domainkey.shili-bank.example is gone",
        is_visible=lambda: not _txt(_DKIM_NAME),
    ),
    _zone_fault(
        "dkim-wrong",
        "DKIM 公钥与签名私钥不匹配",
        "the published DKIM key is not the one mx1 signs with",
        is_visible=_is_strange_dkim,
    ),
    _zone_fault(
        "dmarc-missing",
        "DMARC 记录缺失",
        "_dmarc.shili-bank.example is gone",
        is_visible=lambda: not _txt(f"_dmarc.{_DOMAIN}"),
    ),
    _zone_fault(
        "dnsbl-listed",
        "服务器地址被列入黑名单",
        "10.66.0.11 is listed on dnsbl.example",
        is_visible=lambda: bool(probes.ask_dns(_LISTED_NAME, "A")),
    ),
    _zone_fault(
        "dnsbl-dead",
        "黑名单服务失效(测试点消失)",
        "the test point 127.0.0.2 of dnsbl.example is gone: its answers mean nothing",
        is_visible=lambda: not probes.ask_dns(f"2.0.0.127.{_BLOCKLIST}", "A"),
    ),
    _zone_fault(
        "mx-extra",
        "MX 中有未登记的备用主机",
        "shili-bank.example has a second MX, mx9 at 10.66.0.99, where nobody is",
        is_visible=lambda: len(probes.ask_dns(_DOMAIN, "MX")) > 1,
    ),
    _zone_fault(
        "ns-dead",
        "一台权威 DNS 服务器没有应答",
        "shili-bank.example has a second NS, dns9 at 10.66.0.97, where nobody is",
        is_visible=lambda: "dns9" in " ".join(probes.ask_dns(_DOMAIN, "NS")),
    ),
    _zone_fault(
        "dnssec-broken",
        "DNSSEC 链断裂(上级有 DS 而域未签名)",
        "the root has a DS for shili-bank.example, which is not signed",
        is_visible=lambda: bool(probes.ask_dns(_DOMAIN, "DS")),
    ),
    _zone_fault(
        "dane-mismatch",
        "TLSA 记录与证书不符",
        "the TLSA record for port 25 of mx1 is that of another certificate",
        is_visible=lambda: bool(probes.ask_dns(f"_25._tcp.mx1.{_DOMAIN}", "TLSA")),
    ),
    _zone_fault(
        "tls-rpt-wrong",
        "TLS-RPT 记录的报告地址无效",
        "the TLS-RPT record of shili-bank.example names no mailto: or https: address",
        is_visible=lambda: "rua=admin" in _txt(f"_smtp._tls.{_DOMAIN}"),
    ),
    _zone_fault(
        "ptr-missing-ipv6",
        "IPv6 地址没有反向解析",
        "mx1 has an AAAA record and its address no PTR",
        is_visible=lambda: bool(probes.ask_dns(f"mx1.{_DOMAIN}", "AAAA")),
    ),
)
