"""The hosts of the lab: names, addresses, services, disks. Other parts rely on these facts."""

from dataclasses import dataclass, replace

NETWORK = "10.66.0.0/16"
CORE_ADDRESS = "10.66.0.1"
ROOT_ADDRESS = "10.66.0.2"
ROOT_INTERFACE = "lab-root"
CORE_NAMESPACE = "lab-core"
RESOLVER_ADDRESS = "10.66.0.53"
VIRTUAL_ADDRESS = "10.66.0.10"


@dataclass(frozen=True, slots=True)
class Service:
    """Describe a daemon: how it starts and stops, and what shows that it is running."""

    name: str
    start: str
    stop: str
    ports: tuple[int, ...] = ()
    socket: str = ""


@dataclass(frozen=True, slots=True)
class Volume:
    """Describe a small file system of its own, so that a full disk is really full."""

    path: str
    size: str
    inodes: int


@dataclass(frozen=True, slots=True)
class Host:
    """Describe one host."""

    name: str
    fqdn: str
    address: str
    services: tuple[Service, ...]
    volumes: tuple[Volume, ...] = ()
    trees: tuple[str, ...] = ()
    more_addresses: tuple[str, ...] = ()

    @property
    def namespace(self) -> str:
        """Name the host's network namespace."""
        return f"lab-{self.name}"

    @property
    def mac(self) -> str:
        """Give the fixed MAC; a random one leaves stale ARP entries when a host is rebuilt."""
        return f"02:66:00:00:00:{int(self.address.rpartition('.')[2]):02x}"

    @property
    def port_link(self) -> str:
        """Name the bridge's end of the host's cable."""
        return f"p-{self.name}"

    def service(self, name: str) -> Service:
        """Find a service by its name."""
        return next(service for service in self.services if service.name == name)


def _end(pidfile: str) -> str:
    # Waits until the process is gone, so that a start right after it finds the port free.
    return (
        f"p=$(cat {pidfile} 2>/dev/null) || exit 0; kill $p 2>/dev/null || exit 0; "
        "n=0; while kill -0 $p 2>/dev/null && [ $n -lt 100 ]; do sleep 0.05; n=$((n+1)); done; "
        "kill -9 $p 2>/dev/null; exit 0"
    )


_SSH = Service("ssh", "/usr/sbin/sshd", _end("/run/sshd.pid"), ports=(22,))
_OA_BRIDGE = Service("oa-bridge", "setsid -f /usr/local/sbin/oa-bridge", "pkill -f sbin/oa-bridge")
_STAT_VIEW = Service("stat-view", "setsid -f /usr/local/sbin/stat-view", "pkill -f sbin/stat-view")
_APPROVAL_DESK = Service(
    "approval-desk",
    "setsid -f /usr/local/sbin/approval-desk",
    "pkill -f '[s]bin/approval-desk'",
)
_POSTFIX = Service("postfix", "postfix start", "postfix stop", ports=(25, 465, 587))

MX1 = Host(
    name="mx1",
    fqdn="mx1.shili-bank.example",
    address="10.66.0.11",
    trees=("all", "viewed", "mx1"),
    more_addresses=(VIRTUAL_ADDRESS,),
    volumes=(
        Volume("/var/spool/postfix", "24M", 4096),
        Volume("/var/vmail", "48M", 4096),
    ),
    services=(
        _SSH,
        _POSTFIX,
        Service("dovecot", "dovecot", "doveadm stop", ports=(110, 143, 993, 995)),
        Service(
            "opendkim",
            "opendkim -x /etc/opendkim.conf",
            _end("/run/opendkim/opendkim.pid"),
            ports=(8891,),
        ),
        Service("nginx", "nginx", _end("/run/nginx.pid"), ports=(80, 443)),
        Service(
            "php-fpm",
            "@PHP_FPM@ --fpm-config /etc/mailcare-lab/php-fpm.conf --daemonize",
            _end("/run/php-fpm.pid"),
            socket="/run/php-fpm.sock",
        ),
        _STAT_VIEW,
        _OA_BRIDGE,
        _APPROVAL_DESK,
    ),
)
# The second half of a distributed system; it is started only by the fault that needs it.
MX2 = replace(
    MX1, name="mx2", fqdn="mx2.shili-bank.example", address="10.66.0.12", more_addresses=()
)
OUT1 = Host(
    name="out1",
    fqdn="out1.outside.example",
    address="10.66.0.21",
    trees=("all", "out1"),
    services=(
        _SSH,
        _POSTFIX,
        Service("dovecot", "dovecot", "doveadm stop", ports=(143, 993)),
    ),
)
BAK1 = Host(
    name="bak1",
    fqdn="bak1.shili-bank.example",
    address="10.66.0.31",
    trees=("all", "viewed"),
    volumes=(Volume("/srv", "1G", 16384),),
    services=(_SSH, _STAT_VIEW),
)
DNS1 = Host(
    name="dns1",
    fqdn="dns1.shili-bank.example",
    address=RESOLVER_ADDRESS,
    trees=("all", "dns1"),
    services=(
        _SSH,
        Service(
            "named",
            "named -u bind -c /etc/bind/named.conf",
            _end("/run/named/named.pid"),
            ports=(53,),
        ),
    ),
)
HOSTS = (DNS1, MX1, OUT1, BAK1)
EVERY_HOST = (*HOSTS, MX2)


def find_host(name: str) -> Host:
    """Find a host by its short name; KeyError when there is none."""
    return {host.name: host for host in EVERY_HOST}[name]
