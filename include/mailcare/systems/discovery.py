"""Read what an unknown host told about itself: listeners, processes, open logs, settings.

Pure: the outputs of `discovery_commands` go in, `Facts` come out. What could not be seen is not
guessed: it is left out, and a sentence in `unseen` names it and what would show it.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TypeVar

from mailcare.systems import discovery_commands as ask
from mailcare.systems.discovery_commands import Command

NOT_FOUND = 127
FactT = TypeVar("FactT")

_LINE_WIDTH = 4096
_COMMAND_WIDTH = 32_768  # a Java program names all its libraries
_COMMAND_COLUMNS = frozenset({"COMMAND", "CMD", "ARGS"})
_HEX_ADDRESS = re.compile(r"(?:[0-9A-F]{8}|[0-9A-F]{32}):[0-9A-F]{4}")
_SS_OWNER = re.compile(r'\(\("([^"]{1,64})",(?:pid=)?(\d{1,10})')
_FD_HOME = re.compile(r"/proc/(\d{1,10})/fd:")
_FD_SOCKET = re.compile(r" -> socket:\[(\d{1,20})\]$")
_FD_LOG = re.compile(r" -> (/.{1,400}\.log)$")
_PLACE = re.compile(r"/proc/(\d{1,10})/(exe|cwd) -> (/.{0,1000})$")
_PRETTY_NAME = re.compile(r"PRETTY_NAME=[\"']?([^\"']{1,100})")
_INET = re.compile(r"\binet6?\s+(?:addr:\s?)?([0-9A-Fa-f.:]{2,45})")
_SETTING = re.compile(r"(\w{1,64}) =\s?(.*)$")
_LOG_STATE = re.compile(r"(readable|closed) (/.{1,400})$")


class NotSeen(Exception):
    """An output does not hold the fact; the text says why, and what would show it."""


@dataclass(frozen=True, slots=True)
class Output:
    """What a command printed, and how it ended."""

    text: str
    exit_code: int = 0


@dataclass(frozen=True, slots=True)
class Missing:
    """A command that brought nothing back, and why."""

    reason: str


Told = Output | Missing


@dataclass(frozen=True, slots=True)
class Listening:
    """A TCP port that is listened on; `inode` ties it to a process where that can be seen."""

    port: int
    address: IPv4Address | IPv6Address
    inode: int = 0

    @property
    def is_loopback(self) -> bool:
        """Tell whether only the host itself can connect."""
        mapped = getattr(self.address, "ipv4_mapped", None)
        return (mapped or self.address).is_loopback


@dataclass(frozen=True, slots=True)
class Process:
    """A running program; `places` are its executable and working directory where readable."""

    pid: int
    command: str
    places: tuple[str, ...] = ()

    @property
    def program(self) -> str:
        """Return the program's bare name: `master`, `nginx`, `java`."""
        first = self.command.split(maxsplit=1)[0] if self.command.strip() else ""
        return first.rstrip(":").rpartition("/")[2].lstrip("-")


@dataclass(frozen=True, slots=True)
class OpenFiles:
    """The open sockets by inode, and the logs that a process holds open, by process."""

    sockets: Mapping[int, int] = field(default_factory=dict)
    logs: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """All that one host told; `owners` are the processes behind ports, as far as seen."""

    hostname: str = ""
    addresses: tuple[str, ...] = ()
    system: str = ""
    is_virtual: bool = False
    listening: tuple[Listening, ...] = ()
    owners: Mapping[int, Process] = field(default_factory=dict)
    processes: tuple[Process, ...] = ()
    open_logs: tuple[str, ...] = ()
    log_files: Mapping[str, bool] = field(default_factory=dict)
    units: tuple[str, ...] = ()
    postfix: Mapping[str, str] = field(default_factory=dict)
    dovecot: Mapping[str, str] = field(default_factory=dict)
    named_directories: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()

    def open_ports(self) -> tuple[int, ...]:
        """Return the ports that other hosts can reach, sorted."""
        return tuple(sorted({one.port for one in self.listening if not one.is_loopback}))

    def inner_ports(self) -> tuple[int, ...]:
        """Return the ports that only the host itself can reach, sorted."""
        return tuple(sorted({one.port for one in self.listening} - set(self.open_ports())))

    @property
    def hides_processes(self) -> bool:
        """Tell whether other users' processes could not be seen: every machine has a process 1."""
        return not any(one.pid == 1 for one in self.processes)

    def runs(self, *programs: str) -> Process | None:
        """Return the first process of one of these programs, None where there is none."""
        return next((one for one in self.processes if one.program in programs), None)


@dataclass(slots=True)
class _Reading:
    """The outputs, and what has turned out to be missing in them so far."""

    told: Mapping[str, Told]
    unseen: list[str] = field(default_factory=list)

    def read(
        self, command: Command, reader: Callable[[Output], FactT], *, otherwise: FactT
    ) -> FactT:
        try:
            return reader(self.output(command))
        except NotSeen as reason:
            self.unseen.append(f"{command.title}：{reason}")
            return otherwise

    def output(self, command: Command) -> Output:
        told = self.told.get(command.name, Missing("没有问过"))
        if isinstance(told, Missing):
            raise NotSeen(told.reason)
        return told

    def try_read(
        self, command: Command, reader: Callable[[Output], FactT], *, otherwise: FactT
    ) -> FactT:
        """Read what a host may well lack without harm."""
        try:
            return reader(self.output(command))
        except NotSeen:
            return otherwise


def read_facts(told: Mapping[str, Told]) -> Facts:
    """Return what the outputs, by the names of their commands, tell; any text is taken."""
    reading = _Reading(told)
    open_files = reading.read(ask.OPEN_FILES, read_open_files, otherwise=OpenFiles())
    places = reading.try_read(ask.PLACES, read_places, otherwise={})
    processes = reading.read(ask.PROCESSES, read_processes, otherwise=())
    processes = tuple(Process(one.pid, one.command, places.get(one.pid, ())) for one in processes)
    listening = _listening(reading)
    owners = _owners(reading, listening, open_files, processes)
    _note_hidden(reading, listening, owners, processes)
    return Facts(
        hostname=reading.read(ask.HOSTNAME, read_hostname, otherwise=""),
        addresses=reading.read(ask.ADDRESSES, read_addresses, otherwise=()),
        system=reading.read(ask.RELEASE, read_release, otherwise=""),
        is_virtual=reading.try_read(ask.HYPERVISOR, _counts_one, otherwise=False),
        listening=listening,
        owners=owners,
        processes=processes,
        open_logs=tuple(dict.fromkeys(log for _, log in open_files.logs)),
        log_files=reading.try_read(ask.LOGS, read_log_files, otherwise={}),
        units=reading.try_read(ask.UNITS, read_units, otherwise=()),
        postfix=reading.try_read(ask.POSTFIX, read_settings, otherwise={}),
        dovecot=reading.try_read(ask.DOVECOT, read_settings, otherwise={}),
        named_directories=reading.try_read(ask.NAMED_DIRECTORIES, read_directories, otherwise=()),
        unseen=tuple(reading.unseen),
    )


def _listening(reading: _Reading) -> tuple[Listening, ...]:
    """Read /proc/net/tcp; where that fails `ss`; only both failing is worth a word."""
    with_ss = reading.try_read(ask.SS, read_ss, otherwise=())
    if with_ss and not reading.try_read(ask.SOCKETS, read_sockets, otherwise=()):
        return with_ss
    return reading.read(ask.SOCKETS, read_sockets, otherwise=())


def _owners(
    reading: _Reading,
    listening: tuple[Listening, ...],
    open_files: OpenFiles,
    processes: tuple[Process, ...],
) -> dict[int, Process]:
    known = {one.pid: one for one in processes}
    by_port = reading.try_read(ask.SS, read_ss_owners, otherwise={})
    by_port |= {
        one.port: Process(pid, "")
        for one in listening
        if (pid := open_files.sockets.get(one.inode)) is not None
    }
    return {port: known.get(owner.pid, owner) for port, owner in by_port.items()}


def _note_hidden(
    reading: _Reading,
    listening: tuple[Listening, ...],
    owners: Mapping[int, Process],
    processes: tuple[Process, ...],
) -> None:
    if nobody := sorted({one.port for one in listening} - set(owners)):
        ports = "、".join(map(str, nobody))
        reading.unseen.append(f"端口 {ports} 由哪个程序监听：需要 root 才能读取 /proc/PID/fd")
    if processes and not any(one.pid == 1 for one in processes):
        reading.unseen.append(
            "其他用户的进程：/proc 以 hidepid 挂载，需要 root 或把巡检账号加入其 gid= 指定的组"
        )


def lines_of(output: Output, *, width: int = _LINE_WIDTH) -> list[str]:
    """Return the lines, each cut at `width`: no pattern is tried on a line of megabytes."""
    return [line[:width] for line in output.text.splitlines()]


def _text_of(output: Output, command: str) -> str:
    if output.exit_code == NOT_FOUND:
        raise NotSeen(f"主机上没有命令 {command}")
    return output.text


def read_sockets(output: Output) -> tuple[Listening, ...]:
    """Read the listening rows of /proc/net/tcp and tcp6."""
    _text_of(output, "grep")
    rows = (line.split() for line in lines_of(output))
    found = tuple(one for row in rows if (one := _socket(row)) is not None)
    if not found:
        raise NotSeen("无法读取 /proc/net/tcp，也没有 ss 可用")
    return found


def _socket(row: list[str]) -> Listening | None:
    if len(row) < 10 or row[3] != "0A" or not _HEX_ADDRESS.fullmatch(row[1]):
        return None
    address, _, port = row[1].partition(":")
    inode = int(row[9]) if row[9].isdecimal() and len(row[9]) <= 20 else 0
    return Listening(int(port, 16), _kernel_address(address), inode)


def _kernel_address(digits: str) -> IPv4Address | IPv6Address:
    # The kernel writes words in the host's byte order; mail hosts are little-endian.
    words = (bytes.fromhex(digits[at : at + 8])[::-1] for at in range(0, len(digits), 8))
    return ip_address(b"".join(words))


def read_ss(output: Output) -> tuple[Listening, ...]:
    """Read the ports of `ss -lnt`, for hosts that hide /proc/net."""
    rows = (row for row in map(str.split, lines_of(output)) if row[:1] == ["LISTEN"])
    return tuple(one for row in rows if (one := _ss_socket(row)) is not None)


def _ss_socket(row: list[str]) -> Listening | None:
    host, _, port = (row[3] if len(row) > 3 else "").rpartition(":")
    if not (port.isdecimal() and len(port) <= 5 and int(port) <= 65535):
        return None
    bare = host.partition("%")[0].strip("[]")
    try:
        return Listening(int(port), ip_address("::" if bare in ("*", "") else bare))
    except ValueError:
        return None


def read_ss_owners(output: Output) -> dict[int, Process]:
    """Read which process listens on which port, as far as `ss -p` was allowed to see."""
    found: dict[int, Process] = {}
    for line in lines_of(output):
        row = line.split()
        listening = _ss_socket(row) if row[:1] == ["LISTEN"] else None
        if listening and (owner := _SS_OWNER.search(line)):
            found[listening.port] = Process(int(owner[2]), owner[1])
    return found


def read_processes(output: Output) -> tuple[Process, ...]:
    """Read `ps` of procps, System V or busybox, by the names of its columns."""
    head, *rows = lines_of(Output(_text_of(output, "ps")), width=_COMMAND_WIDTH) or [""]
    columns = head.split()
    place = next((at for at, name in enumerate(columns) if name in _COMMAND_COLUMNS), None)
    if place is None or "PID" not in columns:
        raise NotSeen("ps 的输出无法识别")
    pid_place = columns.index("PID")
    cells = (row.split(None, place) for row in rows)
    return tuple(
        Process(int(row[pid_place]), row[place])
        for row in cells
        if len(row) > place and _is_pid(row[pid_place]) and not row[place].startswith("[")
    )


def _is_pid(word: str) -> bool:
    return word.isdecimal() and len(word) <= 10


def read_open_files(output: Output) -> OpenFiles:
    """Read `ls -l /proc/PID/fd`: the sockets and the logs of the processes that may be read."""
    sockets: dict[int, int] = {}
    logs: list[tuple[int, str]] = []
    pid = 0
    for line in lines_of(output):
        if header := _FD_HOME.match(line):
            pid = int(header[1])
        elif found := _FD_SOCKET.search(line):
            sockets[int(found[1])] = pid
        elif found := _FD_LOG.search(line):
            logs.append((pid, found[1]))
    return OpenFiles(sockets, tuple(logs))


def read_places(output: Output) -> dict[int, tuple[str, ...]]:
    """Read the executables and working directories of the processes that may be read."""
    found: dict[int, tuple[str, ...]] = {}
    for line in lines_of(output):
        if place := _PLACE.search(line):
            pid = int(place[1])
            found[pid] = (*found.get(pid, ()), place[3].removesuffix(" (deleted)"))
    return found


def read_units(output: Output) -> tuple[str, ...]:
    """Read the names of systemd services and init scripts, sorted, as paths."""
    folder, found = "", set[str]()
    for line in map(str.strip, lines_of(output)):
        if line.startswith("/") and line.endswith(":"):
            folder = line[:-1]
        elif folder.endswith("init.d") or line.endswith(".service"):
            found.add(f"{folder}/{line}")
    return tuple(sorted(found))


def read_hostname(output: Output) -> str:
    """Read the host's own name."""
    word = next(iter(output.text.split()), "")
    if output.exit_code or not word or len(word) > 253:
        raise NotSeen("hostname 与 uname 都没有给出主机名")
    return word.lower()


def read_addresses(output: Output) -> tuple[str, ...]:
    """Read the addresses of the host, those of the loopback and the link left out."""
    found = dict.fromkeys(map(str, _outer(_INET.findall(output.text[:1_000_000]))))
    if not found:
        raise NotSeen("主机上没有 ip 与 ifconfig，或只有回环地址")
    return tuple(found)


def _outer(words: Iterable[str]) -> Iterator[IPv4Address | IPv6Address]:
    for word in words:
        try:
            address = ip_address(word)
        except ValueError:
            continue
        if not (address.is_loopback or address.is_link_local):
            yield address


def read_release(output: Output) -> str:
    """Read the name of the operating system."""
    lines = [line.strip() for line in lines_of(output)]
    pretty = next((found[1] for line in lines if (found := _PRETTY_NAME.match(line))), "")
    first = next((line for line in lines if line and not line.startswith(("==>", "head:"))), "")
    if not (pretty or first):  # `head` ends with 1 where one of its files is missing
        raise NotSeen("无法读取 /etc/os-release")
    return pretty or first[:100]


def _counts_one(output: Output) -> bool:
    return output.exit_code == 0 and output.text.strip() == "1"


def read_settings(output: Output) -> dict[str, str]:
    """Read `name = value` lines as postconf and doveconf print them."""
    if output.exit_code == NOT_FOUND:
        return {}
    rows = (found for line in lines_of(output) if (found := _SETTING.match(line)))
    return {row[1]: row[2].strip() for row in rows if row[2].strip()}


def read_log_files(output: Output) -> dict[str, bool]:
    """Read which well-known logs there are, and whether the inspector's account may read them."""
    rows = (found for line in lines_of(output) if (found := _LOG_STATE.match(line)))
    return {row[2]: row[1] == "readable" for row in rows}


def read_directories(output: Output) -> tuple[str, ...]:
    """Read absolute paths, one a line, without the slash at their end."""
    lines = (line.rstrip("/") for line in lines_of(output))
    return tuple(dict.fromkeys(line for line in lines if line.startswith("/")))
