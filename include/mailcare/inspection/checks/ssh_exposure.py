"""Whether SSH can be entered with a guessed password, and whether root can."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

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
from mailcare.inspection.checks.listeners import SSH_PORT
from mailcare.inspection.dialogues import last_line, read_opened, silence
from mailcare.inspection.hosts import (
    LOGIN_FIRST,
    NOT_FOUND,
    ask_hosts,
    asked_hosts,
    first_line,
    lines_of,
)
from mailcare.inspection.probes import TALK_S
from mailcare.systems.system import System

_METHODS = re.compile(r"^[a-z0-9@.-]+( [a-z0-9@.-]+)*$")
_BY_PASSWORD = ("password", "keyboard-interactive")
_ANYBODY = "mailcare"  # whom to ask for where the site file names no account

# The files first; the effective settings only for root, so sudo, if it is granted, comes second.
_SETTINGS = (
    "sh",
    "-c",
    "for file in /etc/ssh/sshd_config.d /etc/ssh/sshd_config /etc/ssh/sshd_config.d/*.conf; do "
    '[ -e "$file" ] || continue; '
    '[ -r "$file" ] || { sudo -n /usr/sbin/sshd -T 2>/dev/null && exit; '
    'echo "mailcare: denied $file"; exit 1; }; done; '
    "for file in /etc/ssh/sshd_config /etc/ssh/sshd_config.d/*.conf; do "
    '[ -e "$file" ] || continue; echo "mailcare: file $file"; '
    "grep -Ei '^[[:space:]]*#?(include|match|permitrootlogin|passwordauthentication|"
    'kbdinteractiveauthentication|challengeresponseauthentication)[[:space:]=]\' "$file"; done; '
    "echo 'mailcare: end'",
)
_FILE = "mailcare: file "


@dataclass(frozen=True, slots=True)
class Offer:
    """The ways to log in that a server offers to an account."""

    methods: tuple[str, ...]
    account: str


@dataclass(frozen=True, slots=True)
class OfferLimits:
    """No way that a guessed password opens."""

    by_password: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """sshd's settings about root and passwords, lower case, and the lines that say so."""

    root: str
    password: str
    interactive: str
    lines: tuple[str, ...]

    @property
    def takes_passwords(self) -> bool:
        """Tell whether anybody may log in with a password; what is not set is so."""
        return "yes" in (self.password, self.interactive)


@dataclass(frozen=True, slots=True)
class RootLimits:
    """Root must not be able to log in with a password, and should not at all."""

    by_password: bool = False


def _ask_methods(system: System) -> Iterator[Question]:
    for node in asked_hosts(system):
        port = node.ssh.port if node.ssh else SSH_PORT
        account = node.ssh.credential.login if node.ssh else _ANYBODY
        words = ("ssh-methods", node.address, str(port), account)
        yield Question(Target(node.name), (Ask(Channel.TCP, words, TALK_S, node.name),))


def _parse_methods(replies: tuple[Reply, ...]) -> Offer:
    transcript = read_opened(replies[0])
    said = last_line(transcript.said()).strip()
    if not _METHODS.match(said[:500]):
        raise ReplyError(f"SSH 服务没有说出登录方式：{silence(transcript) or '没有应答'}")
    asked = (text for mark, text in transcript.lines if mark == ">")
    return Offer(tuple(said.split()), next(asked, "").removeprefix("none "))


def _judge_methods(offer: Offer, _limits: OfferLimits, subject: Subject) -> Iterator[Verdict]:
    weak = [method for method in offer.methods if method in _BY_PASSWORD]
    evidence = (f"账号 {offer.account}：{' '.join(offer.methods)}",)
    offered = "、".join(offer.methods)
    if not weak:
        summary = f"SSH 不接受口令登录，只提供 {offered}（应无 {'、'.join(_BY_PASSWORD)}）"
        yield Verdict(Severity.OK, summary, evidence=evidence)
        return
    node = subject.system.node(subject.target.node)
    yield Verdict(
        Severity.WARNING if node.is_seen else Severity.NOTICE,
        f"SSH 接受口令登录：提供 {offered}（应无 {'、'.join(_BY_PASSWORD)}）"
        + ("" if node.is_seen else "；该主机登记的是内网地址"),
        _KEYS_ADVICE,
        evidence=evidence,
    )


_KEYS_ADVICE = (
    "请确认管理员均已用密钥登录后，在 sshd_config 中设 PasswordAuthentication no、"
    "KbdInteractiveAuthentication no 并重载 sshd；键盘交互若用于动态口令，请注明并登记；"
    "暂不能关闭的请限制来源网段。"
)


def _ask_settings(system: System) -> Iterator[Question]:
    return ask_hosts(system, _SETTINGS)


def _parse_settings(replies: tuple[Reply, ...]) -> Settings:
    reply = replies[0]
    if reply.exit_code == NOT_FOUND:
        raise ReplyError("主机上没有 sh 或 grep")
    lines = [line.strip() for line in lines_of(reply.text, width=500)]
    if denied := [line for line in lines if line.startswith("mailcare: denied ")]:
        path = denied[0].rpartition(" ")[2]
        raise ReplyError(
            f"没有权限读取 {path}：请授予巡检账号只读权限（setfacl -m u:账号:r），"
            "或允许免口令 sudo /usr/sbin/sshd -T"
        )
    if "mailcare: end" in lines:
        return _from_files(lines)
    return _from_effective(lines, reply)


def _from_effective(lines: list[str], reply: Reply) -> Settings:
    values = dict(reversed([_setting(line) for line in lines]))
    if "permitrootlogin" not in values or "passwordauthentication" not in values:
        raise ReplyError(f"sshd 的设置无法识别：{first_line(reply.text)}")
    return _settings(values, {})


def _from_files(lines: list[str]) -> Settings:
    ordered = _in_order(lines)
    if not any(line.startswith(_FILE) for line in lines):
        raise ReplyError("主机上没有 /etc/ssh/sshd_config，无法判断")
    values, defaults = dict[str, str](), dict[str, str]()
    for line in ordered:
        key, value = _setting(line.removeprefix("#"))
        # The shipped file holds each default as a comment; the first value of a setting counts.
        (defaults if line.startswith("#") else values).setdefault(key, value)
    return _settings(values, defaults)


def _in_order(lines: list[str]) -> list[str]:
    """Put the included files where sshd reads them, and leave out what holds for some only."""
    files = list[list[str]]()
    for line in lines:
        if line.startswith(_FILE):
            files.append([])
        elif files and not line.startswith("mailcare: "):
            files[-1].append(line)
    main, *included = [_general(file) for file in files] or [[]]
    more = [line for file in included for line in file]
    place = next((at for at, line in enumerate(main) if _setting(line)[0] == "include"), None)
    return main if place is None else [*main[:place], *more, *main[place:]]


def _general(lines: list[str]) -> list[str]:
    end = next((at for at, line in enumerate(lines) if _setting(line)[0] == "match"), len(lines))
    return lines[:end]


def _setting(line: str) -> tuple[str, str]:
    key, _, value = line.replace("=", " ", 1).strip().partition(" ")
    return key.lower(), value.strip().strip('"').lower()


def _settings(values: dict[str, str], defaults: dict[str, str]) -> Settings:
    def value(fallback: str, *names: str) -> str:
        known = (source[name] for source in (values, defaults) for name in names if name in source)
        return next(known, fallback)

    root = value("prohibit-password", "permitrootlogin")
    interactive = ("kbdinteractiveauthentication", "challengeresponseauthentication")
    lines = tuple(f"{name} {text}" for name, text in values.items() if name != "include")
    return Settings(root, value("yes", "passwordauthentication"), value("yes", *interactive), lines)


def _judge_root(settings: Settings, _limits: RootLimits, _subject: Subject) -> Iterator[Verdict]:
    root = f"PermitRootLogin 为 {settings.root}"
    passwords = f"PasswordAuthentication 为 {settings.password}"
    evidence = settings.lines or ("均为缺省值",)
    if settings.root != "yes":
        yield Verdict(Severity.OK, f"root 不能用口令登录 SSH（{root}）", evidence=evidence)
    elif settings.takes_passwords:
        summary = f"root 可以用口令登录 SSH（{root}，{passwords}；应为 no）"
        yield Verdict(Severity.WARNING, summary, _ROOT_ADVICE, evidence=evidence)
    else:
        summary = f"root 可以用密钥登录 SSH（{root}，{passwords}；建议为 no）"
        yield Verdict(Severity.NOTICE, summary, _ROOT_ADVICE, evidence=evidence)


_ROOT_ADVICE = (
    "请改用个人账号加 sudo 管理，在 sshd_config 中设 PermitRootLogin no（至少 prohibit-password）"
    "并重载 sshd；修改前请确认有其他账号能登录。"
)

CHECKS = (
    Check(
        name="security.ssh_password",
        area=Area.SECURITY,
        title="SSH 口令登录",
        question="SSH 是否允许用口令登录？",
        ask=_ask_methods,
        parse=_parse_methods,
        judge=_judge_methods,
        limits=OfferLimits(),
        source=(
            "RFC 4252 §5.2：none 请求得到可用的登录方式；"
            "Mail-in-a-Box status_checks：SSH 应只用密钥登录"
        ),
        blind_after=LOGIN_FIRST,
    ),
    Check(
        name="security.ssh_root",
        area=Area.SECURITY,
        title="SSH 的 root 登录",
        question="root 能否直接用口令登录 SSH？",
        ask=_ask_settings,
        parse=_parse_settings,
        judge=_judge_root,
        limits=RootLimits(),
        source="CIS Debian Linux Benchmark：PermitRootLogin 应禁用；sshd_config(5)",
        blind_after=LOGIN_FIRST,
    ),
)
