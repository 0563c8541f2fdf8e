"""Server certificates that a client must not trust, or soon must not."""

from collections.abc import Callable

from cryptography import x509

from lab import certificates, hosts, layers, probes
from lab.faults.fault import Fault, switch
from lab.topology import MX1

_TLS_PORTS = (465, 993, 443)
_NAMES = layers.CERTIFICATE_NAMES[MX1.name]
_SOON_DAYS = 8


def _show(pair: certificates.Pair) -> None:
    running = hosts.get_running(MX1)
    running.write("etc/ssl/mail/server.key", pair.key)
    running.write("etc/ssl/mail/server.pem", pair.certificate)
    running.attempt("sh", "-c", "postfix reload; doveadm reload; nginx -s reload")


def _is_shown(matches: Callable[[x509.Certificate], bool]) -> bool:
    """Ask every TLS port that is open; one that is stopped by another fault does not count."""
    ports = [port for port in _TLS_PORTS if probes.can_connect(MX1.address, port)]
    if not ports:
        message = "no TLS port of mx1 is open"
        raise OSError(message)
    seen = [matches(probes.certificate(MX1.address, port)) for port in ports]
    if len(set(seen)) > 1:
        message = "the services still show different certificates"
        raise OSError(message)
    return seen[0]


def _certificate_fault(
    name: str,
    title: str,
    *,
    effect: str,
    wish: certificates.Wish,
    matches: Callable[[x509.Certificate], bool],
) -> Fault:
    return Fault(
        name=name,
        title=title,
        effect=effect,
        host=MX1,
        slot="mx1 certificate",
        apply=switch(
            name,
            lambda: _show(certificates.issue(wish)),
            lambda: _show(layers.mail_certificate(MX1)),
        ),
        is_visible=lambda: _is_shown(matches),
    )


FAULTS = (
    _certificate_fault(
        "cert-expired",
        "TLS 证书已过期",
        effect="the certificate on mx1 ended 3 days ago",
        wish=certificates.Wish(_NAMES, from_day=-368, until_day=-3),
        matches=lambda shown: probes.days_left(shown) < 0,
    ),
    _certificate_fault(
        "cert-expiring",
        "TLS 证书 7 天后到期",
        effect="the certificate on mx1 ends in 7 days",
        wish=certificates.Wish(_NAMES, from_day=-358, until_day=7),
        matches=lambda shown: 0 < probes.days_left(shown) < _SOON_DAYS,
    ),
    _certificate_fault(
        "cert-name",
        "TLS 证书与主机名不符",
        effect="the certificate on mx1 is for another name",
        wish=certificates.Wish(("www.outside.example",)),
        matches=lambda shown: MX1.fqdn not in probes.names_of(shown),
    ),
    _certificate_fault(
        "cert-untrusted",
        "TLS 证书为自签名",
        effect="the certificate on mx1 is signed by itself",
        wish=certificates.Wish(_NAMES, is_self_signed=True),
        matches=lambda shown: shown.issuer == shown.subject,
    ),
    _certificate_fault(
        "chain-missing",
        "TLS 证书缺少中间证书",
        effect="the certificate on mx1 is signed by an intermediate authority that is not sent",
        wish=certificates.Wish(_NAMES, is_under_intermediate=True),
        matches=lambda shown: "intermediate" in shown.issuer.rfc4514_string(),
    ),
    _certificate_fault(
        "cert-vip-name",
        "TLS 证书不含虚拟地址的名称",
        effect="the certificate on mx1 lacks mail.shili-bank.example",
        wish=certificates.Wish([name for name in _NAMES if not name.startswith("mail.")]),
        matches=lambda shown: "mail.shili-bank.example" not in probes.names_of(shown),
    ),
)
