"""A mail queue that piles up: a destination that cannot be reached, mail that is on hold."""

import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

from lab import hosts, probes
from lab.faults.fault import Fault, switch
from lab.topology import MX1
from lab.waiting import wait_until

_MAILS = 130
_ENOUGH = 120
_FORGOTTEN = 12
_OLD_H = (9, 5)  # from the oldest to the newest
_NEW_H = (2, 1)
_OLD_S = 4 * 3600
_DESTINATION = "partner.example"
_ADDRESS = "10.66.0.98"
# The first records of a queue file: sizes, then T with the arrival time as ten digits.
_ARRIVAL = re.compile(rb"T.(\d{10}) \d+")
_HEAD_BYTES = 512


def _stick() -> None:
    running = hosts.get_running(MX1)
    # Without the route each attempt would wait seconds for an ARP answer.
    running.run("ip", "route", "replace", "unreachable", _ADDRESS)
    _send(_MAILS)
    wait_until(lambda: len(_ids_in("deferred")) >= _MAILS, "deferred mails in the queue")
    deferred = running.root / "var/spool/postfix/deferred"
    _age([deferred / mail[0] / mail for mail in _ids_in("deferred")], *_OLD_H)


def _unstick() -> None:
    running = hosts.get_running(MX1)
    running.attempt("ip", "route", "del", "unreachable", _ADDRESS)
    running.run("postsuper", "-d", "-", stdin=_lines(_stuck_ids()))


def _send(mails: int) -> None:
    addresses = ["-f", "zhangsan@shili-bank.example", "-t", f"orders@{_DESTINATION}"]
    words = ["smtp-source", "-s", "8", "-m", str(mails), *addresses, "127.0.0.1:25"]
    hosts.get_running(MX1).run(*words)


def _hold(mails: int, hours: tuple[int, int]) -> None:
    """Put mails on hold before anybody has tried to deliver them, as a HOLD action does."""
    running = hosts.get_running(MX1)
    running.run("pkill", "-STOP", "-x", "qmgr")
    try:
        _send(mails)
        running.run("postsuper", "-h", "-", stdin=_lines(_stuck_ids()))
    finally:
        running.run("pkill", "-CONT", "-x", "qmgr")
    held = running.root / "var/spool/postfix/hold"
    _age([held / mail for mail in _ids_in("hold")], *hours)


def _lines(ids: list[str]) -> str:
    return "".join(f"{mail}\n" for mail in ids)


def _stuck_mails() -> list[dict[str, object]]:
    lines = hosts.get_running(MX1).run("postqueue", "-j").splitlines()
    return [mail for mail in map(json.loads, lines) if f"@{_DESTINATION}" in json.dumps(mail)]


def _stuck_ids() -> list[str]:
    return [str(mail["queue_id"]) for mail in _stuck_mails()]


def _ids_in(queue: str) -> list[str]:
    return [str(mail["queue_id"]) for mail in _stuck_mails() if mail["queue_name"] == queue]


def _age(paths: list[Path], oldest_h: int, newest_h: int) -> None:
    """Rewrite the arrival times, spread over some hours; nothing else in Postfix ages a mail."""
    span_s = (oldest_h - newest_h) * 3600
    for number, path in enumerate(paths):
        arrived_at = int(time.time()) - oldest_h * 3600 + number * span_s // len(paths)
        handle = os.open(path, os.O_RDWR)
        try:
            found = _ARRIVAL.search(os.pread(handle, _HEAD_BYTES, 0))
            if found:
                os.pwrite(handle, str(arrived_at).encode(), found.start(1))
        finally:
            os.close(handle)


def _is_stuck() -> bool:
    lines = probes.read_over_ssh("/usr/sbin/postqueue -j").splitlines()
    mails = [mail for mail in map(json.loads, lines) if mail["queue_name"] == "deferred"]
    oldest = min((mail["arrival_time"] for mail in mails), default=time.time())
    return len(mails) >= _ENOUGH and time.time() - oldest > _OLD_S


def _is_holding(mails: int) -> bool:
    lines = probes.read_over_ssh("/usr/sbin/postqueue -j").splitlines()
    return sum(mail["queue_name"] == "hold" for mail in map(json.loads, lines)) >= mails


def _queue_fault(
    name: str,
    title: str,
    effect: str,
    *,
    inject: Callable[[], None],
    is_visible: Callable[[], bool],
) -> Fault:
    return Fault(
        name=name,
        title=title,
        effect=effect,
        host=MX1,
        slot="mx1 queue",
        apply=switch(name, inject, _unstick),
        is_visible=is_visible,
    )


FAULTS = (
    _queue_fault(
        "queue-stuck",
        "邮件队列积压",
        f"{_MAILS} mails to {_DESTINATION} wait in the queue of mx1, the oldest for hours",
        inject=_stick,
        is_visible=_is_stuck,
    ),
    _queue_fault(
        "queue-held",
        "大量邮件被搁置(HOLD)",
        f"{_MAILS} mails that arrived an hour ago are on hold in the queue of mx1",
        inject=lambda: _hold(_MAILS, _NEW_H),
        is_visible=lambda: _is_holding(_ENOUGH),
    ),
    _queue_fault(
        "queue-forgotten",
        "少量邮件被搁置数小时",
        f"{_FORGOTTEN} mails have been on hold for hours in the queue of mx1",
        inject=lambda: _hold(_FORGOTTEN, _OLD_H),
        is_visible=lambda: _is_holding(_FORGOTTEN),
    ),
)
