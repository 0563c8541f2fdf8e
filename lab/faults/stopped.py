"""Services that are not running."""

from collections.abc import Callable

from lab import hosts, probes
from lab.faults.fault import Fault, switch
from lab.topology import DNS1, MX1, Host

_BAD_GATEWAY = 502


def _stopped(
    name: str, title: str, *, host: Host, service: str, is_visible: Callable[[], bool]
) -> Fault:
    daemon = host.service(service)
    return Fault(
        name=name,
        title=title,
        effect=f"{service} on {host.name} is stopped",
        host=host,
        slot=f"{host.name} {service}",
        apply=switch(
            name,
            lambda: hosts.get_running(host).stop(daemon),
            lambda: hosts.get_running(host).start(daemon),
        ),
        is_visible=is_visible,
    )


def _is_closed(*ports: int) -> bool:
    return not any(probes.can_connect(MX1.address, port) for port in ports)


FAULTS = (
    _stopped(
        "postfix-down",
        "SMTP 服务停止",
        host=MX1,
        service="postfix",
        is_visible=lambda: _is_closed(25, 465, 587),
    ),
    _stopped(
        "dovecot-down",
        "IMAP/POP3 服务停止",
        host=MX1,
        service="dovecot",
        is_visible=lambda: _is_closed(110, 143, 993, 995),
    ),
    _stopped(
        "webmail-down",
        "网页邮箱停止服务",
        host=MX1,
        service="nginx",
        is_visible=lambda: _is_closed(80, 443),
    ),
    _stopped(
        "webmail-error",
        "网页邮箱返回 502 错误",
        host=MX1,
        service="php-fpm",
        is_visible=lambda: probes.https_status(MX1.address) == _BAD_GATEWAY,
    ),
    _stopped(
        "opendkim-down",
        "DKIM 签名服务停止,外发邮件无签名",
        host=MX1,
        service="opendkim",
        is_visible=lambda: ":8891 " not in probes.read_over_ssh("ss -lnt"),
    ),
    _stopped(
        "dns-down",
        "DNS 服务器停止应答",
        host=DNS1,
        service="named",
        is_visible=lambda: not probes.answers_dns(),
    ),
)
