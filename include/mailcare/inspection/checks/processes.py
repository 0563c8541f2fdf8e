"""Whether the programs of the mail system run on each mail host."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mailcare.inspection.check import (
    Area,
    Check,
    Question,
    Reply,
    ReplyError,
    Severity,
    Subject,
    Verdict,
)
from mailcare.inspection.hosts import (
    LOGIN_FIRST,
    ask_mail_hosts,
    first_line,
    lines_of,
    whole_output_of,
)
from mailcare.systems.profile import ProfileGap, Service
from mailcare.systems.system import System

# procps, then System V style, then busybox; each names its columns in the first line. A password
# on somebody's command line stays on the host.
PROCESS_LIST = (
    "sh",
    "-c",
    "command -v ps >/dev/null || exit 127; "
    "{ ps -ww -eo pid,etime,args 2>/dev/null || ps -ww -ef 2>/dev/null || ps w 2>/dev/null || ps; }"
    " | sed -E 's/(sshpass +-p *)[^ ]+/\\1***/g; s#(://[^:/@ ]*:)[^@/ ]+@#\\1***@#g; "
    "s/((pass(word|wd|phrase)?|pwd|secret|token)([_-]?key)?\"?[=: ]+)[^ ]+/\\1***/Ig'",
)
_COMMAND_COLUMNS = frozenset({"COMMAND", "CMD", "ARGS"})
_EVIDENCE_LINES = 4
_COMMAND_WIDTH = 32_768  # a Java program names all its libraries


@dataclass(frozen=True, slots=True)
class Process:
    """A command line, and the line of `ps` that it stood in."""

    command: str
    line: str


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """How many processes each service must have at least."""

    least_count: int


def _ask(system: System) -> Iterator[Question]:
    services = system.profile.need("services")
    for service in services:
        _compiled(service)
    return ask_mail_hosts(system, PROCESS_LIST) if services else iter(())


def _compiled(service: Service) -> re.Pattern[str]:
    try:
        return re.compile(service.process)
    except re.error as error:
        raise ProfileGap(f"services 中 {service.name} 的 process 不是正则表达式：{error}") from None


def read_processes(replies: tuple[Reply, ...]) -> tuple[Process, ...]:
    """Read the answer to `PROCESS_LIST`; raise `ReplyError` where it is not the whole list."""
    text = whole_output_of(replies[0], "ps")
    head, *lines = lines_of(text, width=_COMMAND_WIDTH)
    columns = head.split()
    place = next((at for at, name in enumerate(columns) if name in _COMMAND_COLUMNS), None)
    if place is None:
        raise ReplyError(f"ps 的输出无法识别：{first_line(text)}")
    rows = [(line.split(None, place), line) for line in lines]
    rows = [(row, line) for row, line in rows if len(row) > place]
    # Every machine and container has a process 1: without it we see only some of them.
    if "PID" not in columns or not any(row[columns.index("PID")] == "1" for row, _ in rows):
        raise ReplyError("ps 看不到其他用户的进程（/proc 可能以 hidepid 挂载），无法判断")
    return tuple(Process(row[place], line) for row, line in rows)


def _judge(
    processes: tuple[Process, ...], limits: ProcessLimits, subject: Subject
) -> Iterator[Verdict]:
    for service in subject.system.profile.need("services"):
        pattern = _compiled(service)
        lines = [one.line for one in processes if pattern.search(one.command)]
        if len(lines) >= limits.least_count:
            yield Verdict(
                Severity.OK,
                f"{service.title}（{service.name}）正在运行，{len(lines)} 个进程",
                evidence=tuple(line.strip()[:300] for line in lines[:_EVIDENCE_LINES]),
                metrics={"processes_count": float(len(lines))},
                part=service.name,
            )
        else:
            yield _missing(service, len(processes))


def _missing(service: Service, seen_count: int) -> Verdict:
    return Verdict(
        Severity.CRITICAL,
        f"{service.title}（{service.name}）没有运行：没有与「{service.process}」相符的进程",
        f"请查看 {service.name} 的日志找出停止原因，启动服务，并确认其已设为开机自启。",
        evidence=(f"共查看 {seen_count} 个进程，无一相符",),
        metrics={"processes_count": 0.0},
        part=service.name,
    )


CHECKS = (
    Check(
        name="service.processes",
        area=Area.SERVICE,
        title="服务进程",
        question="邮件系统的各个程序是否在运行？",
        ask=_ask,
        parse=read_processes,
        judge=_judge,
        limits=ProcessLimits(least_count=1),
        source="产品档案 services：每项服务至少一个进程",
        after=LOGIN_FIRST,
    ),
)
