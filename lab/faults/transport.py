"""Encryption that is promised or offered wrongly, and addresses that move between hosts."""

import socket

from lab import dns, hosts, layers, probes
from lab.commands import attempt
from lab.faults import zones
from lab.faults.fault import Fault, switch
from lab.faults.nginx import CONF, write_nginx
from lab.topology import DNS1, MX1, VIRTUAL_ADDRESS
from lab.waiting import wait_until

_DOMAIN = "shili-bank.example"
_POLICY = "etc/mailcare-lab/mta-sts.txt"
_DOVECOT = "etc/dovecot/dovecot.conf"
_MODERN = "ssl_min_protocol = TLSv1.2"
_SECURED = "listen 443 ssl "
_MODERN_WEB = "ssl_protocols TLSv1.2 TLSv1.3;"
_OLD_WEB = "ssl_protocols TLSv1; ssl_ciphers ALL:@SECLEVEL=0;"
_OLD = "ssl_min_protocol = TLSv1\nssl_cipher_list = ALL:@SECLEVEL=0"
_BLOCKED_PORT = 25
_TABLE = "mailcare_lab"
_SECOND_ADDRESS = "10.66.0.54"
_SECOND_CONFIG = f"""options {{
  directory "/var/cache/bind"; pid-file "/run/named/second.pid";
  session-keyfile "/run/named/second.key"; listen-on {{ {_SECOND_ADDRESS}; }};
  listen-on-v6 {{ none; }}; recursion no; dnssec-validation no; notify no;
}};
controls {{ }};
zone "{_DOMAIN}" {{ type primary; file "/etc/bind/lab/second.zone"; }};
"""


def _seed(path: str) -> str:
    """Read a file of mx1 as a healthy host has it."""
    text = (layers.FILES / MX1.name / path).read_text()
    return layers.replace_tokens(text, layers.tokens_for(MX1))


def _set_dovecot(text: str) -> None:
    running = hosts.get_running(MX1)
    running.write(_DOVECOT, text)
    running.attempt("doveadm", "reload")


def _takes_old_tls(port: int) -> bool:
    words = ["openssl", "s_client", "-tls1", "-cipher", "ALL:@SECLEVEL=0", "-connect"]
    outcome = attempt(["timeout", "3", *words, f"{MX1.address}:{port}"])
    return "Cipher is " in outcome.text and "Cipher is (NONE)" not in outcome.text


def _answers_plainly() -> bool:
    """Speak HTTP to the HTTPS port: nginx redirects or refuses with 400 where TLS is on."""
    request = b"GET / HTTP/1.0\r\n\r\n"
    with socket.create_connection((MX1.address, 443), timeout=2) as connection:
        connection.sendall(request)
        return b" 400 " not in connection.recv(512).partition(b"\r\n")[0]


def _set_policy(text: str) -> None:
    hosts.get_running(MX1).write(_POLICY, text)


def _policy_of_another() -> str:
    return _seed(_POLICY).replace(f"*.{_DOMAIN}", "mx.old-provider.example")


def _has_virtual_address() -> bool:
    return f"{VIRTUAL_ADDRESS}/" in hosts.get_running(MX1).run("ip", "-o", "addr", "show", "eth0")


def _drop_virtual_address() -> None:
    if _has_virtual_address():
        hosts.get_running(MX1).run("ip", "addr", "del", f"{VIRTUAL_ADDRESS}/16", "dev", "eth0")


def _take_virtual_address() -> None:
    if not _has_virtual_address():
        hosts.get_running(MX1).run("ip", "addr", "add", f"{VIRTUAL_ADDRESS}/16", "dev", "eth0")


def _block_virtual_port() -> None:
    rules = (
        f"add table ip {_TABLE}; "
        f"add chain ip {_TABLE} input {{ type filter hook input priority 0; }}; "
        f"add rule ip {_TABLE} input ip daddr {VIRTUAL_ADDRESS} tcp dport {_BLOCKED_PORT} "
        "reject with tcp reset"
    )
    hosts.get_running(MX1).run("/usr/sbin/nft", rules)


def _open_virtual_port() -> None:
    hosts.get_running(MX1).attempt("/usr/sbin/nft", f"delete table ip {_TABLE}")


def _is_blocked() -> bool:
    if not probes.can_connect(MX1.address, _BLOCKED_PORT):
        message = f"port {_BLOCKED_PORT} of mx1 is closed altogether"
        raise OSError(message)
    return not probes.can_connect(VIRTUAL_ADDRESS, _BLOCKED_PORT)


def _start_second_server() -> None:
    running = hosts.get_running(DNS1)
    zone = dns.render_zones()[f"{_DOMAIN}.zone"]
    stale = zone.replace(str(dns.serial_of(zone)), "1", 1)
    for path, text in (("second.zone", stale), ("second.conf", _SECOND_CONFIG)):
        running.run("sh", "-c", f"cat >/etc/bind/lab/{path}", stdin=text)
    running.attempt("ip", "addr", "add", f"{_SECOND_ADDRESS}/16", "dev", "eth0")
    running.attempt("sh", "-c", "named -u bind -c /etc/bind/lab/second.conf >/dev/null 2>&1")
    wait_until(lambda: probes.can_connect(_SECOND_ADDRESS, 53), "start of the second server")


def _stop_second_server() -> None:
    running = hosts.get_running(DNS1)
    running.attempt("sh", "-c", "kill $(cat /run/named/second.pid)")
    running.attempt("ip", "addr", "del", f"{_SECOND_ADDRESS}/16", "dev", "eth0")


def _apply_serials(active: frozenset[str]) -> None:
    if "soa-differs" in active:
        _start_second_server()
    zones.apply(active)
    if "soa-differs" not in active:
        _stop_second_server()


def _has_second_server() -> bool:
    return any("dns2" in name for name in probes.ask_dns(_DOMAIN, "NS"))


FAULTS = (
    Fault(
        name="tls-old",
        title="仍接受 TLS 1.0、1.1",
        effect="Dovecot on mx1 takes TLS 1.0 and 1.1 on its four ports",
        host=MX1,
        slot="mx1 dovecot.conf",
        apply=switch(
            "tls-old",
            lambda: _set_dovecot(_seed(_DOVECOT).replace(_MODERN, _OLD)),
            lambda: _set_dovecot(_seed(_DOVECOT)),
        ),
        is_visible=lambda: _takes_old_tls(993),
    ),
    Fault(
        name="tls-outdated",
        title="443 端口只支持 TLS 1.0",
        effect="nginx on mx1 takes TLS 1.0 and nothing newer",
        host=MX1,
        slot="mx1 nginx.conf",
        apply=switch(
            "tls-outdated",
            lambda: write_nginx(_seed(CONF).replace(_MODERN_WEB, _OLD_WEB)),
            lambda: write_nginx(_seed(CONF)),
        ),
        is_visible=lambda: _takes_old_tls(443),
    ),
    Fault(
        name="tls-plain",
        title="443 端口未启用 TLS",
        effect="nginx on mx1 speaks plain HTTP on port 443",
        host=MX1,
        slot="mx1 nginx.conf",
        apply=switch(
            "tls-plain",
            lambda: write_nginx(_seed(CONF).replace(_SECURED, "listen 443 ")),
            lambda: write_nginx(_seed(CONF)),
        ),
        is_visible=_answers_plainly,
    ),
    Fault(
        name="mta-sts-mismatch",
        title="MTA-STS 策略不含现用 MX 主机",
        effect="the MTA-STS policy of shili-bank.example enforces another provider's MX",
        host=MX1,
        slot="mx1 MTA-STS policy",
        apply=switch(
            "mta-sts-mismatch",
            lambda: _set_policy(_policy_of_another()),
            lambda: _set_policy(_seed(_POLICY)),
        ),
        is_visible=lambda: "old-provider" in (hosts.get_running(MX1).root / _POLICY).read_text(),
    ),
    Fault(
        name="vip-down",
        title="虚拟地址没有主机持有",
        effect=f"no host holds {VIRTUAL_ADDRESS}",
        host=MX1,
        slot="mx1 virtual address",
        apply=switch("vip-down", _drop_virtual_address, _take_virtual_address),
        is_visible=lambda: not _has_virtual_address(),
    ),
    Fault(
        name="vip-blocked",
        title="虚拟地址的 25 端口被防火墙拦截",
        effect=f"mx1 refuses port {_BLOCKED_PORT} of {VIRTUAL_ADDRESS}, its own address is fine",
        host=MX1,
        slot="mx1 firewall of the virtual address",
        apply=switch("vip-blocked", _block_virtual_port, _open_virtual_port),
        is_visible=_is_blocked,
    ),
    Fault(
        name="soa-differs",
        title="两台权威 DNS 的序列号不同",
        effect="a second name server of shili-bank.example serves an old copy of the zone",
        host=DNS1,
        slot="@/NS",
        apply=_apply_serials,
        is_visible=_has_second_server,
    ),
)
