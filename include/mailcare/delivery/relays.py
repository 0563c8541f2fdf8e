"""The vendor's own mail relay: how it is reached, and that it is none of the customer's hosts."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from mailcare.errors import InputError
from mailcare.systems.profile import TlsMode
from mailcare.systems.site import Site

PORTS = {"smtp": 25, "smtps": 465}
OPTIONS = {"tls", "ca"}
SETTING = "MAILCARE_RELAY_URL"


@dataclass(frozen=True, slots=True)
class Relay:
    """Where letters are handed in.

    `ca_file` holds the authority that the relay's certificate is checked against, the system's own
    where it is None. `timeout_s` holds for each reply, `final_timeout_s` for the one after the
    text: ten minutes, as giving up earlier makes doubles (RFC 5321, 4.5.3.2.6).
    """

    host: str
    port: int
    ehlo_name: str
    tls: TlsMode = TlsMode.STARTTLS
    login: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    timeout_s: float = 60.0
    final_timeout_s: float = 600.0

    def __post_init__(self) -> None:
        if self.login and self.tls is TlsMode.NONE:
            raise InputError("不得明文传送口令：请使用 starttls 或 implicit", subject=str(self))
        if not f"{self.login}{self.password}".isascii():
            raise InputError("登录名与口令只能含 ASCII 字符", subject=str(self))

    def __str__(self) -> str:
        return f"邮件中继 {self.host}:{self.port}"


def parse_relay(url: str, *, ehlo_name: str) -> Relay:
    """Read `smtp[s]://[login:password@]host[:port][/?tls=none|starttls|implicit&ca=FILE]`.

    Without `tls`, `smtps` begins with TLS, a login asks for STARTTLS, and `smtp` alone has none.
    Raise `InputError` without repeating the URL: it may hold a password.
    """
    parts, port = _split(url)
    options = _options(parts)
    return Relay(
        parts.hostname or "",
        port,
        ehlo_name,
        tls=_tls_mode(parts, options),
        login=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        ca_file=Path(options["ca"]) if "ca" in options else None,
    )


def refuse_system_under_test(relay: Relay, addresses: Iterable[str], site: Site) -> None:
    """Raise `InputError` where the relay is a host of the system that the letter is about.

    `addresses` are the relay's, already resolved. The news that a mail system is broken must not
    depend on that system.
    """
    names, own = _hosts_of(site)
    if _name(relay.host) in names or {_plain(address) for address in addresses} & own:
        raise InputError(
            f"不得经由被检系统投递：它属于站点 {site.site}，请改用服务商自己的中继",
            subject=str(relay),
        )


def _split(url: str) -> tuple[SplitResult, int]:
    try:
        parts = urlsplit(url)
        given_port = parts.port
    except ValueError:
        raise _malformed() from None
    if parts.scheme not in PORTS or not parts.hostname:
        raise _malformed()
    return parts, given_port or PORTS[parts.scheme]


def _malformed() -> InputError:
    return InputError("须形如 smtp://主机:端口 或 smtps://主机:端口", subject=SETTING)


def _options(parts: SplitResult) -> dict[str, str]:
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if unknown := options.keys() - OPTIONS:
        raise InputError(f"未知选项 {'、'.join(sorted(unknown))}", subject=SETTING)
    return options


def _tls_mode(parts: SplitResult, options: dict[str, str]) -> TlsMode:
    if "tls" in options:
        try:
            return TlsMode(options["tls"])
        except ValueError:
            words = "、".join(TlsMode)
            raise InputError(f"tls 只能是 {words}", subject=SETTING) from None
    if parts.scheme == "smtps":
        return TlsMode.IMPLICIT
    return TlsMode.STARTTLS if parts.username else TlsMode.NONE


def _hosts_of(site: Site) -> tuple[set[str], set[str]]:
    names = {_name(node.hostname) for node in site.nodes}
    names |= {_name(node.web_name) for node in site.nodes if node.web_name}
    addresses = {_plain(node.address) for node in site.nodes}
    if inside := site.mailboxes.inside:
        servers = (inside.submission, inside.imap)
        names |= {_name(server.server_name) for server in servers}
        addresses |= {_plain(server.address) for server in servers}
    return names, addresses


def _name(host: str) -> str:
    return host.lower().rstrip(".")


def _plain(address: str) -> str:
    parsed = ip_address(address)
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return str(mapped or parsed)
