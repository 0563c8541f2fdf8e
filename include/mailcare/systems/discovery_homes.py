"""Where a product that no package manager knows is installed, and what lies there.

A home is the common parent of what runs from one place below /opt, /usr/local, /home, /data and
the like; programs of the operating system have none.
"""

import os.path
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from mailcare.systems.discovery import (
    Facts,
    Missing,
    Output,
    Process,
    Told,
    lines_of,
    read_directories,
)

HOMES_LOOKED_AT = 3
MAIL_PORTS = frozenset({25, 110, 143, 465, 587, 993, 995})
_SYSTEM_ROOTS = frozenset(
    {
        *("bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "proc", "root", "run", "sbin"),
        *("snap", "sys", "tmp", "usr", "var"),
    }
)
_LEAVES = frozenset(
    {
        *("bin", "conf", "java", "jdk", "jre", "jvm", "lib", "lib64", "libexec", "sbin"),
        *("tomcat", "web", "webapps"),
    }
)
_PATHS = re.compile(r"(?:^|[\s=:])(/[\w.+@/-]{2,300})")
_MAIL_PROGRAMS = ("master", "dovecot", "exim", "exim4", "sendmail")
# Programs that only carry a path on their command line, like our own commands.
_BYSTANDERS = frozenset(
    {
        *("ash", "bash", "cat", "cron", "crond", "dash", "find", "grep", "head", "less", "ls"),
        *("ps", "rsync", "sed", "sh", "ssh", "sshd", "tail", "tar", "timeout", "vi", "vim"),
    }
)


@dataclass(frozen=True, slots=True)
class Home:
    """A directory from which programs run; `ports` are theirs, where that could be seen."""

    path: str
    programs: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()

    @property
    def is_turbomail(self) -> bool:
        """Tell whether the directory is named for TurboMail."""
        return "turbomail" in self.path.lower()


@dataclass(frozen=True, slots=True)
class HomeFacts:
    """What lies in a home and who starts it; paths only."""

    home: Home
    web_xml: tuple[str, ...] = ()
    stores: tuple[str, ...] = ()
    logs: tuple[str, ...] = ()
    scripts: tuple[str, ...] = ()
    version_scripts: tuple[str, ...] = ()
    starters: tuple[str, ...] = ()
    cron_lines: tuple[str, ...] = ()


def find_homes(facts: Facts) -> tuple[Home, ...]:
    """Return the likeliest homes first: mail ports, TurboMail's name, then most programs."""
    groups: dict[str, list[tuple[str, Process]]] = defaultdict(list)
    for process in facts.processes:
        for path in _own_paths(process):
            groups[_root_of(path)].append((path, process))
    homes = [_home(members, facts) for members in groups.values()]
    homes = [one for one in homes if _may_be_mail(one, facts)]
    known = {one.path for one in homes}
    homes += [Home(path) for path in facts.named_directories if path not in known]
    return tuple(sorted(homes, key=_likelihood)[:HOMES_LOOKED_AT])


def _may_be_mail(home: Home, facts: Facts) -> bool:
    """Tell whether to look into a directory: another's only while the mail programs are unknown."""
    unexplained = MAIL_PORTS.intersection(facts.open_ports()) - set(facts.owners)
    return (
        home.is_turbomail
        or not MAIL_PORTS.isdisjoint(home.ports)
        or (bool(unexplained) and facts.runs(*_MAIL_PROGRAMS) is None)
    )


def _likelihood(home: Home) -> tuple[int, bool, int, str]:
    mail = len(MAIL_PORTS.intersection(home.ports))
    return -mail, not home.is_turbomail, -len(home.programs), home.path


def _own_paths(process: Process) -> Iterator[str]:
    if process.program in _BYSTANDERS:
        return
    for path in (*process.places, *_PATHS.findall(process.command)):
        clean = os.path.normpath(path)
        if _root_of(clean):
            yield clean


def _root_of(path: str) -> str:
    """Return the directory that a product would have to itself; empty for the system's own."""
    parts = PurePosixPath(path).parts[1:]
    depth = 3 if parts[:2] == ("usr", "local") else 2
    if len(parts) < depth or (parts[0] in _SYSTEM_ROOTS and depth == 2):
        return ""
    if depth == 3 and parts[2] in _LEAVES | {"share", "etc"}:
        return ""
    return "/" + "/".join(parts[:depth])


def _home(members: list[tuple[str, Process]], facts: Facts) -> Home:
    root = _root_of(members[0][0])
    common = PurePosixPath(os.path.commonpath([_folder(path, root) for path, _ in members]))
    while common.name in _LEAVES and str(common) != root:
        common = common.parent
    pids = {process.pid for _, process in members}
    ports = tuple(sorted(port for port, owner in facts.owners.items() if owner.pid in pids))
    programs = tuple(sorted({process.program for _, process in members}))
    return Home(str(common), programs, ports)


def _folder(path: str, root: str) -> str:
    return path if path == root else str(PurePosixPath(path).parent)


def read_home(home: Home, told: Mapping[str, Told]) -> HomeFacts:
    """Return what the commands of `discovery_commands.at_home` told about a home."""
    scripts = _paths_in(told, "layout", below=home.path)
    return HomeFacts(
        home,
        web_xml=_paths_in(told, "web_xml", below=home.path),
        stores=_named(scripts, "accounts"),
        logs=_named(scripts, "logs", "log"),
        scripts=tuple(one for one in scripts if one.endswith(".sh")),
        version_scripts=_paths_in(told, "version_script", below=home.path),
        starters=_paths_in(told, "starters", below="/etc", also=("/usr/lib", "/lib")),
        cron_lines=tuple(_cron_lines(told.get("cron"), home.path)),
    )


def _paths_in(
    told: Mapping[str, Told], name: str, *, below: str, also: Iterable[str] = ()
) -> tuple[str, ...]:
    output = told.get(name, Missing(""))
    if isinstance(output, Missing):
        return ()
    folders = tuple(f"{folder}/" for folder in (below, *also))
    return tuple(one for one in read_directories(output) if one.startswith(folders))


def _named(paths: Iterable[str], *names: str) -> tuple[str, ...]:
    return tuple(one for one in paths if PurePosixPath(one).name in names)


def _cron_lines(told: Told | None, home: str) -> Iterator[str]:
    if not isinstance(told, Output):
        return
    for line in lines_of(told):
        if home in line and not line.lstrip().startswith("#"):
            # What stands behind the program may be a password.
            before, _, behind = line.strip().partition(home)
            yield f"{before}{home}{behind.partition(' ')[0]}"
