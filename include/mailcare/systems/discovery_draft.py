"""Turn what was discovered into profile overrides, each with where it was seen.

Every override is `assumed`: a person confirms it. What was not seen gets no override, so that the
check concerned says which field is missing instead of judging a guess.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from mailcare.systems.discovery import Facts, Process
from mailcare.systems.discovery_homes import MAIL_PORTS, HomeFacts
from mailcare.systems.profile import load_profile

SSH_PORT = 22
# Ports of the mail or web service that no probe of ours speaks to.
_BESIDE_MAIL = {80: "HTTP", 4190: "ManageSieve"}
# IANA's service names; whether STARTTLS is offered is for a person to confirm.
_REGISTERED = {
    25: ("smtp", "smtp", "starttls"),
    587: ("submission", "submission", "starttls"),
    465: ("smtps", "submission", "implicit"),
    143: ("imap", "imap", "starttls"),
    993: ("imaps", "imap", "implicit"),
    110: ("pop3", "pop3", "starttls"),
    995: ("pop3s", "pop3", "implicit"),
    443: ("https", "https", "implicit"),
}
_VERSION = r"(\d+(?:\.\d+)+)"
_STORE = re.compile(r"(?:[a-z]{2,10}:)?(/[^%~:\s]{1,200})")
_MAIL_LOGS = ("/var/log/mail.log", "/var/log/maillog", "/var/log/mail")
_WEB_PROGRAMS = ("nginx", "httpd", "apache2")

Value = str | list[dict[str, object]] | dict[str, object]


@dataclass(frozen=True, slots=True)
class Known:
    """A mail or web program of the operating system: how it is told apart in `ps`."""

    name: str
    title: str
    programs: tuple[str, ...]
    process: str
    protocols: tuple[str, ...]


_KNOWN = (
    Known("postfix", "Postfix 邮件传输", ("master",), "(^|/)master( |$)", ("smtp", "submission")),
    Known("dovecot", "Dovecot 收信服务", ("dovecot",), "(^|/)dovecot( |$)", ("imap", "pop3")),
    Known("exim", "Exim 邮件传输", ("exim", "exim4"), "(^|/)exim4?( |$)", ("smtp", "submission")),
    Known("sendmail", "Sendmail", ("sendmail",), "^sendmail: ", ("smtp", "submission")),
    Known("nginx", "Web 服务 nginx", ("nginx",), "nginx: master process", ("https",)),
    Known(
        "apache",
        "Web 服务 Apache",
        ("httpd", "apache2"),
        "(^|/)(httpd|apache2)( |$)",
        ("https",),
    ),
    Known("opendkim", "OpenDKIM 签名", ("opendkim",), "(^|/)opendkim( |$)", ()),
)


@dataclass(frozen=True, slots=True)
class Override:
    """A field of the profile as it was found, and where it was seen."""

    field: str
    value: Value
    seen: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pending:
    """An open port that is neither mail, web nor SSH: a person says whether it belongs there."""

    port: int
    program: str


@dataclass(frozen=True, slots=True)
class Draft:
    """What a person is asked to confirm; `reasons` are why this profile was chosen."""

    profile: str
    reasons: tuple[str, ...]
    overrides: tuple[Override, ...]
    expected_ports: tuple[int, ...]
    pending: tuple[Pending, ...]
    notes: tuple[str, ...]
    unseen: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Discovered:
    """All that was found out about a host; `greetings` are first lines of its mail ports."""

    facts: Facts
    homes: tuple[HomeFacts, ...] = ()
    greetings: Mapping[int, str] = field(default_factory=dict)
    ssh_port: int = SSH_PORT


def draft(found: Discovered) -> Draft:
    """Return the draft; it never fails, whatever could not be seen."""
    profile, reasons = choose_profile(found)
    home = _home(found, profile)
    services = _services(found, home)
    return Draft(
        profile,
        reasons,
        tuple(_overrides(found, profile, home, services)),
        tuple(port for port in found.facts.open_ports() if port in _BESIDE_MAIL),
        tuple(_pending(found)),
        tuple(_notes(found, home)),
        (*found.facts.unseen, *_gaps(found, services)),
    )


def choose_profile(found: Discovered) -> tuple[str, tuple[str, ...]]:
    """Return the profile that fits, and what speaks for it."""
    if signs := tuple(_turbomail_signs(found)):
        return "turbomail", signs
    signs = tuple(_postfix_signs(found.facts))
    if len(signs) == 2:
        return "postfix-dovecot", signs
    return "generic", ("没有看到 TurboMail，也没有同时看到 Postfix 与 Dovecot", *signs)


def _turbomail_signs(found: Discovered) -> Iterator[str]:
    for home in found.homes:
        yield from (f"{path} 含 turbomail.web.MailMain" for path in home.web_xml)
        if home.home.is_turbomail and home.home.programs:
            yield f"程序 {'、'.join(home.home.programs)} 运行于 {home.home.path}"
    for port, line in found.greetings.items():
        if "turbomail" in line.lower():
            yield f"{port} 端口的问候语：{line}"


def _postfix_signs(facts: Facts) -> Iterator[str]:
    if _has_postfix(facts):
        yield _sign("Postfix", facts.runs("master"), f"postconf mail_version = {_version(facts)}")
    if _has_dovecot(facts):
        yield _sign("Dovecot", facts.runs("dovecot"), "dovecot 命令可用，收信端口正在监听")


# Where other users' processes are hidden, the settings and the ports have to do.


def _has_postfix(facts: Facts) -> bool:
    if not facts.hides_processes:
        return facts.runs("master") is not None
    return "mail_version" in facts.postfix and 25 in facts.open_ports()


def _has_dovecot(facts: Facts) -> bool:
    if not facts.hides_processes:
        return facts.runs("dovecot") is not None
    return bool(facts.dovecot) and not {110, 143, 993, 995}.isdisjoint(facts.open_ports())


def _sign(title: str, process: Process | None, otherwise: str) -> str:
    return f"{title}：进程 {process.pid} {process.command[:60]}" if process else otherwise


def _version(facts: Facts) -> str:
    return facts.postfix.get("mail_version", "未知")


def _home(found: Discovered, profile: str) -> HomeFacts | None:
    """Return the home of the product; a directory where nothing runs is none."""
    if profile == "postfix-dovecot":
        return None
    with_class = [one for one in found.homes if one.web_xml]
    running = [
        one
        for one in found.homes
        if one.home.programs and (one.home.is_turbomail or MAIL_PORTS.intersection(one.home.ports))
    ]
    return next(iter((*with_class, *running)), None)


@dataclass(frozen=True, slots=True)
class _Service:
    name: str
    title: str
    process: str
    seen: str
    protocols: tuple[str, ...]

    def entry(self) -> dict[str, object]:
        return {"name": self.name, "title": self.title, "process": self.process}


def _services(found: Discovered, home: HomeFacts | None) -> tuple[_Service, ...]:
    """Return the running programs of the mail system, the product's own first."""
    services: list[_Service] = []
    if home and home.home.programs:
        title = "TurboMail" if home.home.is_turbomail or home.web_xml else "邮件系统程序"
        name = _service_name(home)
        programs = "、".join(home.home.programs)
        process = re.escape(home.home.path) + "/"
        every = ("smtp", "submission", "imap", "pop3", "https")
        services.append(_Service(name, title, process, f"运行中的程序：{programs}", every))
    for known in _KNOWN:
        if process := found.facts.runs(*known.programs):
            seen = f"进程 {process.pid} {process.command[:60]}{_starter(found.facts, known)}"
            services.append(_Service(known.name, known.title, known.process, seen, known.protocols))
    return tuple(services)


def _service_name(home: HomeFacts) -> str:
    return "turbomail" if home.home.is_turbomail or home.web_xml else "mail"


def _starter(facts: Facts, known: Known) -> str:
    stems = {known.name, *known.programs} - {"master"}
    named = (one for one in facts.units if PurePosixPath(one).stem in stems)
    first = next(iter(sorted(named, key=_is_init_script)), "")
    return f"，由 {first} 启动" if first else ""


def _is_init_script(unit: str) -> bool:
    return not unit.endswith(".service")


def _overrides(
    found: Discovered, profile: str, home: HomeFacts | None, services: tuple[_Service, ...]
) -> Iterator[Override]:
    if home:
        seen = "运行中的程序所在目录" if home.home.programs else "目录中的 web.xml"
        yield Override("home", home.home.path, (seen,))
    if services:
        seen_each = tuple(f"{one.name}：{one.seen}" for one in services)
        yield Override("services", [one.entry() for one in services], seen_each)
    if listeners := list(_listeners(found, profile, services)):
        yield Override("listeners", listeners, tuple(_seen_ports(found)))
    yield from _version_query(profile, home, found.facts)
    yield from _places(found.facts, home)


def _listeners(
    found: Discovered, profile: str, services: tuple[_Service, ...]
) -> Iterator[dict[str, object]]:
    known = {one.port: one for one in load_profile(profile).listeners.value or ()}
    for port in found.facts.open_ports():
        if port not in _REGISTERED:
            continue
        name, protocol, tls = _REGISTERED[port]
        service = _service_of(port, protocol, found, services)
        entry: dict[str, object] = {"name": name, "port": port, "protocol": protocol}
        entry |= {"tls": tls, "service": service}
        if port in known and known[port].service == service and known[port].needs:
            entry["needs"] = list(known[port].needs)
        yield entry


def _service_of(port: int, protocol: str, found: Discovered, services: tuple[_Service, ...]) -> str:
    owner = found.facts.owners.get(port)
    known = next((one for one in _KNOWN if owner and owner.program in one.programs), None)
    if known:
        return known.name
    speaking = [one.name for one in services if protocol in one.protocols]
    return next(iter(speaking), "web" if protocol == "https" else protocol)


def _seen_ports(found: Discovered) -> Iterator[str]:
    yield "监听端口（/proc/net/tcp 或 ss）；协议与 TLS 按端口号推定"
    yield from (f"{port} 的问候语：{line}" for port, line in found.greetings.items())


def _version_query(profile: str, home: HomeFacts | None, facts: Facts) -> Iterator[Override]:
    if home and home.version_scripts:
        words = [home.version_scripts[0], "version"]
        seen = f"{home.version_scripts[0]} 中有 version 一项；本次没有执行，请确认其只读"
        yield Override("version", {"words": words, "regex": _VERSION}, (seen,))
    elif profile == "generic" and _has_postfix(facts) and "mail_version" in facts.postfix:
        words = ["postconf", "-h", "mail_version"]
        seen = f"postconf mail_version = {_version(facts)}"
        yield Override("version", {"words": words, "regex": f"^{_VERSION}"}, (seen,))
        yield Override("queue", {"kind": "postqueue_json"}, (seen,))


def _places(facts: Facts, home: HomeFacts | None) -> Iterator[Override]:
    if home:
        if home.stores:
            yield Override("mail_store", home.stores[0], ("产品目录下名为 accounts 的目录",))
        return
    for field_name, found in (
        ("mail_store", _store_of(facts)),
        ("mail_log", _mail_log(facts)),
        ("access_log", _web_log(facts)),
    ):
        if found:
            yield Override(field_name, found[0], (found[1],))


def _store_of(facts: Facts) -> tuple[str, str] | None:
    """Return the mail store that the settings name, and which setting that is."""
    sources = (
        ("doveconf mail_location", facts.dovecot.get("mail_location", "")),
        ("doveconf mail_path", facts.dovecot.get("mail_path", "")),
        ("postconf virtual_mailbox_base", facts.postfix.get("virtual_mailbox_base", "")),
    )
    for source, value in sources:
        if found := _STORE.match(value):
            return found[1].rstrip("/") or "/", f"{source} = {value[:80]}"
    return None


def _mail_log(facts: Facts) -> tuple[str, str] | None:
    if (log := facts.postfix.get("maillog_file", "")).startswith("/"):
        return log, "postconf maillog_file"
    logs = [log for log in _MAIL_LOGS if log in facts.log_files]
    return (logs[0], _readable(facts, logs[0])) if logs else None


def _web_log(facts: Facts) -> tuple[str, str] | None:
    running = [name for name in _WEB_PROGRAMS if facts.runs(name)]
    for log in facts.log_files:
        if log not in _MAIL_LOGS and any(f"/{name}/" in log for name in running):
            return log, _readable(facts, log)
    return None


def _readable(facts: Facts, log: str) -> str:
    if facts.log_files[log]:
        return "文件存在，巡检账号可以读取"
    return "文件存在，但巡检账号读不到：请客户授予读取权限"


def _pending(found: Discovered) -> Iterator[Pending]:
    spoken_for = {*_REGISTERED, *_BESIDE_MAIL, SSH_PORT, found.ssh_port}
    for port in found.facts.open_ports():
        if port not in spoken_for:
            owner = found.facts.owners.get(port)
            yield Pending(port, owner.program if owner else "")


def _notes(found: Discovered, home: HomeFacts | None) -> Iterator[str]:
    facts = found.facts
    yield f"操作系统：{facts.system or '未知'}"
    if facts.addresses:
        yield f"主机自己的地址：{'、'.join(facts.addresses)}"
    if inner := facts.inner_ports():
        yield f"只监听本机回环地址的端口（未登记）：{'、'.join(map(str, inner))}"
    if facts.open_logs:
        yield f"进程打开着的日志：{'、'.join(facts.open_logs[:20])}"
    for one in found.homes:
        yield from _home_notes(one, "产品目录" if one is home else "另有目录")


def _home_notes(one: HomeFacts, called: str) -> Iterator[str]:
    running = "、".join(one.home.programs) or "没有看到运行中的程序"
    yield f"{called} {one.home.path}：{running}"
    for title, paths in (
        ("邮件目录", one.stores),
        ("日志目录", one.logs),
        ("脚本", one.scripts),
        ("有 version 一项的脚本（没有执行）", one.version_scripts),
        ("启动方式", one.starters),
        ("定时任务", one.cron_lines),
    ):
        if paths:
            yield f"  {title}：{'、'.join(paths[:10])}"


def _gaps(found: Discovered, services: tuple[_Service, ...]) -> Iterator[str]:
    if not services:
        yield "邮件系统的程序：没有认出任何一个，请向客户询问后填写 services"
    if not MAIL_PORTS.intersection(found.facts.open_ports()):
        yield "邮件端口：没有看到对外监听的邮件端口，请确认登录的是邮件主机"
