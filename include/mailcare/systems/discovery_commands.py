"""What discovery asks an unknown host: read-only POSIX commands, without root, ss or systemd.

They list names, sockets and open logs. No account file, no mail, no key and no password is read; a
password on somebody's command line stays on the host.
"""

from dataclasses import dataclass

MASK = (
    "sed -E -e 's/(sshpass +-p) *[^ ]+/\\1***/g' -e 's/ -p[^ ]+/ -p***/g' "
    "-e 's#://[^/ ]*:[^/ ]*@#://***@#g' "
    "-e 's/((pass(word|wd|phrase)?|pwd|secret|token)[=: ]+)[^ ]+/\\1***/Ig'"
)
_UNITS = "/etc/systemd/system /usr/lib/systemd/system /lib/systemd/system"


@dataclass(frozen=True, slots=True)
class Command:
    """A command, and what it shows, in words for the person who reads the draft."""

    name: str
    title: str
    words: tuple[str, ...]
    timeout_s: float = 10.0


def _shell(name: str, title: str, script: str, *more: str, timeout_s: float = 10.0) -> Command:
    words = ("sh", "-c", script, *(("sh", *more) if more else ()))
    return Command(name, title, words, timeout_s)


SOCKETS = Command("sockets", "监听端口", ("grep", "-h", " 0A ", "/proc/net/tcp", "/proc/net/tcp6"))
SS = Command("ss", "监听端口（ss）", ("ss", "-lntp"))
PROCESSES = _shell(
    "processes",
    "进程",
    "command -v ps >/dev/null || exit 127; { ps -ww -eo pid,user,args 2>/dev/null || "
    f"ps -ww -ef 2>/dev/null || ps w 2>/dev/null || ps; }} | {MASK}",
)
OPEN_FILES = _shell(
    "open_files",
    "进程打开的端口与日志",
    "ls -l /proc/[0-9]*/fd 2>/dev/null | grep -E '^/proc/|socket:|[.]log$'",
    timeout_s=20.0,
)
PLACES = _shell(
    "places", "进程的程序与目录", "ls -ld /proc/[0-9]*/exe /proc/[0-9]*/cwd 2>/dev/null; exit 0"
)
UNITS = _shell("units", "系统服务", f"ls {_UNITS} /etc/init.d /etc/rc.d/init.d 2>/dev/null; exit 0")
RELEASE = _shell(
    "release",
    "操作系统",
    "{ cat /etc/os-release || head -n 1 /etc/redhat-release /etc/SuSE-release; } 2>/dev/null",
)
HOSTNAME = _shell("hostname", "主机名", "hostname -f 2>/dev/null || uname -n")
ADDRESSES = _shell("addresses", "地址", "ip -o addr show 2>/dev/null || ifconfig -a 2>/dev/null")
HYPERVISOR = Command(
    "hypervisor", "是否虚拟机", ("grep", "-m", "1", "-c", "-w", "hypervisor", "/proc/cpuinfo")
)
POSTFIX = Command(
    "postfix",
    "Postfix 设置",
    (
        *("postconf", "mail_version", "myhostname", "mydomain", "mydestination"),
        *("virtual_mailbox_domains", "virtual_mailbox_base", "maillog_file"),
    ),
)
DOVECOT = _shell(
    "dovecot",
    "Dovecot 设置",
    "command -v dovecot >/dev/null || exit 127; doveconf mail_location 2>/dev/null || "
    'doveconf mail_path 2>/dev/null; echo "version = $(dovecot --version 2>/dev/null)"',
)
LOGS = _shell(
    "logs",
    "日志文件",
    "for log in /var/log/mail.log /var/log/maillog /var/log/mail /var/log/nginx/access.log "
    "/var/log/httpd/access_log /var/log/apache2/access.log; do "
    'if [ -f "$log" ] && [ -r "$log" ]; then echo "readable $log"; '
    'elif [ -f "$log" ]; then echo "closed $log"; fi; done',
)
NAMED_DIRECTORIES = _shell(
    "named_directories",
    "名为 turbomail 的目录",
    "ls -d /*[Tt]urbo[Mm]ail*/ /*/*[Tt]urbo[Mm]ail*/ /*/*/*[Tt]urbo[Mm]ail*/ 2>/dev/null; exit 0",
)

AT_FIRST = (
    *(SOCKETS, SS, PROCESSES, OPEN_FILES, PLACES, UNITS, RELEASE, HOSTNAME, ADDRESSES),
    *(HYPERVISOR, POSTFIX, DOVECOT, LOGS, NAMED_DIRECTORIES),
)


def at_home(home: str) -> tuple[Command, ...]:
    """Return what is asked about the directory in which a product is installed.

    The vendor's own scripts are looked at, never run: nobody has said yet what they do.
    """
    return (
        _shell(
            "web_xml",
            "web.xml",
            'find "$1" -maxdepth 6 -name accounts -prune -o -name web.xml -type f '
            "-exec grep -l turbomail.web.MailMain {} + 2>/dev/null; exit 0",
            home,
            timeout_s=30.0,
        ),
        _shell(
            "layout",
            "安装目录",
            'find "$1" -maxdepth 3 -name accounts -prune -print '
            "-o -type d \\( -name logs -o -name log \\) -prune -print "
            "-o -type l -name logs -print -o -type f -name '*.sh' -print 2>/dev/null | head -n 60",
            home,
            timeout_s=20.0,
        ),
        _shell(
            "version_script",
            "显示版本的脚本",
            'grep -lsE \'^[[:space:]]*[("]?version"?[)]\' "$1"/*.sh "$1"/bin/*.sh; exit 0',
            home,
        ),
        _shell(
            "starters",
            "启动方式",
            f'grep -rlsF -- "$1" {_UNITS} /etc/init.d /etc/rc.d/init.d /etc/rc.local; exit 0',
            home,
        ),
        _shell(
            "cron",
            "定时任务",
            "{ crontab -l; cat /etc/crontab /etc/cron.d/*; } 2>/dev/null "
            f'| grep -F -- "$1" | {MASK}',
            home,
        ),
    )
