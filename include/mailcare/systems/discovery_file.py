"""Write a draft as a site file: YAML that passes `mailcare site check`, with Chinese comments.

Each comment tells where a value was seen, or that a person must fill it in (待填写) or confirm it
(待确认). What the host said stands in comments on one line, without control characters.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import yaml
from pydantic import TypeAdapter, ValidationError

from mailcare.clock import BEIJING
from mailcare.systems.discovery_draft import Discovered, Draft, Override, Value
from mailcare.systems.site import HostName

VALID_FOR = timedelta(days=1)
_COMMENT_WIDTH = 300
_COMMENTS_MOST = 60
_HOST_NAME = TypeAdapter(HostName)
_NOT_IN_NAMES = re.compile(r"[^a-z0-9.-]+")
_PLAIN_DOMAIN = re.compile(r"[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}")


@dataclass(frozen=True, slots=True)
class Visit:
    """How the host was reached, by whose leave, and when."""

    host: str
    address: str
    port: int
    login: str
    secret_key: str
    secret_place: str
    host_key: str
    authorised_by: str
    visited_at: datetime


def site_text(draft: Draft, found: Discovered, visit: Visit) -> str:
    """Return the site file."""
    hostname = _hostname(found, visit)
    name = _node_name(hostname)
    domains = _domains(found, hostname)
    parts = (
        _head(draft, visit),
        _customer(domains[0]),
        _system(draft),
        _domain_lines(domains),
        _node(draft, found, visit, (name, hostname)),
        _to_fill_in(),
        _authorisation(visit, name),
    )
    return "\n".join("\n".join(part) + "\n" for part in parts)


def _hostname(found: Discovered, visit: Visit) -> str:
    names = (found.facts.hostname, visit.host)
    full = [name for name in names if _is_host_name(name) and "." in name.strip(".")]
    short = [name for name in names if _is_host_name(name)]
    return next(iter((*full, *short)), "unknown.invalid").rstrip(".")


def _is_host_name(text: str) -> bool:
    try:
        _HOST_NAME.validate_python(text)
    except ValidationError:
        return False
    return not (text.replace(".", "").isdecimal() or text.startswith("localhost"))


def _node_name(hostname: str) -> str:
    label = _NOT_IN_NAMES.sub("-", hostname.lower().partition(".")[0]).strip("-.")
    return label[:63] or "mail1"


def _domains(found: Discovered, hostname: str) -> tuple[str, ...]:
    """Return the mail domains that Postfix names, else the host's own."""
    postfix = found.facts.postfix
    words = f"{postfix.get('virtual_mailbox_domains', '')} {postfix.get('mydestination', '')}"
    plain = dict.fromkeys(
        word.lower()
        for word in re.split(r"[\s,]+", words[:2000])
        if _PLAIN_DOMAIN.fullmatch(word) and not word.lower().startswith("localhost")
    )
    plain.pop(hostname.lower(), None)
    own = (postfix.get("mydomain", ""), hostname.partition(".")[2], "example.invalid")
    fallback = next(one for one in own if _PLAIN_DOMAIN.fullmatch(one))
    return tuple(plain)[:20] or (fallback.lower(),)


def _head(draft: Draft, visit: Visit) -> Iterator[str]:
    yield from _comments(
        f"由 mailcare discover 起草：{_moment(visit.visited_at)} 以 {visit.login} 登录 "
        f"{visit.host}（{visit.address}），只读查看。",
        "使用前须由人逐项核对：「待填写」的填上，「待确认」的核实；"
        "核实过的字段把 confidence 改为 verified。",
        "改完后运行 mailcare site check 检查本文件。",
    )
    yield "#"
    yield from _comments(*_listed("看不到：", draft.unseen), *_listed("看到的：", draft.notes))


def _listed(title: str, lines: Iterable[str]) -> list[str]:
    rows = list(lines)
    more = [f"  另有 {len(rows) - _COMMENTS_MOST} 项"] if len(rows) > _COMMENTS_MOST else []
    return [title, *(f"  {row}" for row in rows[:_COMMENTS_MOST] or ["无"]), *more]


def _customer(domain: str) -> Iterator[str]:
    site = _NOT_IN_NAMES.sub("-", domain).strip("-.")[:63] or "unknown"
    yield "schema: 1"
    yield f"site: {_flow(site)}  # 待确认：站点代号，登记后不再改动"
    yield ""
    yield "customer:"
    yield "  name: 待填写（客户名称）"
    yield "  contacts:"
    yield "    - name: 待填写（联系人）"
    yield "      role: 邮件系统管理员  # 待确认"
    yield "      # 待填写：email、phone；收取报告的人加上 gets_papers: true"


def _system(draft: Draft) -> Iterator[str]:
    yield "system:"
    yield "  title: 待填写（系统名称）"
    yield from _comments("待确认：产品。依据：", *(f"  {one}" for one in draft.reasons), indent=2)
    yield f"  profile: {draft.profile}"
    yield "  deployment: single  # 待确认：single、dual、cluster、distributed；本次只看了一台"
    yield "  place: 远程"
    if not draft.overrides:
        yield "  overrides: {}  # 没有看到可以填写的字段"
        return
    yield "  overrides:  # 待确认：以下各项都是推定的"
    for one in draft.overrides:
        yield from _override(one)


def _override(one: Override) -> Iterator[str]:
    first, *more = one.seen
    yield from _comments(f"见于：{first}", *(f"      {line}" for line in more), indent=4)
    yield f"    {one.field}:"
    yield "      confidence: assumed"
    yield from _value(one.value)


def _value(value: Value) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"      value: {_flow(value)}"
        return
    yield "      value:"
    yield from (f"        - {_flow(entry)}" for entry in value)


def _domain_lines(domains: tuple[str, ...]) -> Iterator[str]:
    yield "domains:  # 待确认：客户的全部邮件域"
    for domain in domains:
        yield f"  - name: {_flow(domain)}"
        yield "    # 待填写：dkim_selectors"


def _node(draft: Draft, found: Discovered, visit: Visit, names: tuple[str, str]) -> Iterator[str]:
    name, hostname = names
    yield "nodes:  # 待确认：本次只看了这一台；其余主机（含备份主机）请补上"
    yield f"  - name: {_flow(name)}"
    yield f"    hostname: {_flow(hostname)}"
    yield f"    address: {_flow(visit.address)}"
    yield "    # 待填写：public_address（外网看到的地址）、web_name（网页邮箱的域名）"
    yield "    roles: [mail]  # 待确认"
    if found.facts.is_virtual:
        yield "    machine: virtual  # 见于 /proc/cpuinfo 的 hypervisor 标志"
    else:
        yield "    # 待填写：machine，physical 或 virtual"
    yield from _ports(draft)
    yield "    ssh:"
    yield f"      port: {visit.port}"
    place = _flow({"login": visit.login, visit.secret_key: visit.secret_place})
    yield f"      credential: {place}"
    yield f"      host_key: {_flow(visit.host_key)}"


def _ports(draft: Draft) -> Iterator[str]:
    if draft.pending:
        title = "待确认：以下端口也对外监听，用途不明，没有登记；需要的请加入 expected_ports："
        rows = (f"{one.port}：{one.program or '看不到是哪个程序'}" for one in draft.pending)
        yield from _comments(*_listed(title, rows), indent=4)
    yield f"    expected_ports: {_flow(list(draft.expected_ports))}"


def _to_fill_in() -> Iterator[str]:
    yield from _comments(
        "待填写：探测邮箱（mailboxes）、域名服务器（resolver）、黑名单（dnsbl_zones）、",
        "往来服务商（providers）、EHLO 名（ehlo_name）；写法见 mailcare site schema。",
        "没有填写的，相关检查会报「未测得」，并写明缺哪一项。",
    )


def _authorisation(visit: Visit, name: str) -> Iterator[str]:
    given_at = visit.visited_at.replace(microsecond=0)
    yield "authorisations:  # 本次登录所依据的授权，一天后失效；年度巡检请登记客户的正式授权"
    yield f"  - given_by: {_flow(visit.authorised_by)}"
    yield f"    given_at: {_moment(given_at)}  # 待确认：这是登录的时间"
    yield "    how: phone  # 待确认：phone、email、letter、onsite"
    yield "    purpose: 首次登录查看，起草站点文件"
    yield f"    nodes: [{_flow(name)}]"
    yield f"    valid_from: {_moment(given_at)}"
    yield f"    valid_to: {_moment(given_at + VALID_FOR)}"
    yield "    evidence: 待填写（授权的凭据：邮件、函件编号或通话记录）"


def _moment(moment: datetime) -> str:
    return moment.astimezone(BEIJING).isoformat(timespec="seconds")


def _flow(value: object) -> str:
    """Return a value as YAML on one line."""
    text = yaml.safe_dump(
        value, default_flow_style=True, allow_unicode=True, width=10**6, sort_keys=False
    )
    return text.removesuffix("\n").removesuffix("...").rstrip("\n")


def _comments(*lines: str, indent: int = 0) -> Iterator[str]:
    for line in lines:
        clean = "".join(sign if sign.isprintable() else "?" for sign in line[:_COMMENT_WIDTH])
        yield f"{' ' * indent}# {clean}"
