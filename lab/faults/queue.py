"""A mail queue that piles up because one destination cannot be reached."""

import json
import os
import re
import time

from lab import hosts, probes
from lab.faults.fault import Fault, switch
from lab.topology import MX1
from lab.waiting import wait_until

_MAILS = 130
_ENOUGH = 120
_OLDEST_H = 9
_NEWEST_H = 5
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
    addresses = ["-f", "zhangsan@shili-bank.example", "-t", f"orders@{_DESTINATION}"]
    running.run("smtp-source", "-s", "8", "-m", str(_MAILS), *addresses, "127.0.0.1:25")
    wait_until(lambda: len(_deferred_ids()) >= _MAILS, "deferred mails in the queue")
    _age()


def _unstick() -> None:
    running = hosts.get_running(MX1)
    running.attempt("ip", "route", "del", "unreachable", _ADDRESS)
    running.run("postsuper", "-d", "-", stdin="".join(f"{mail}\n" for mail in _stuck_ids()))


def _stuck_mails() -> list[dict[str, object]]:
    lines = hosts.get_running(MX1).run("postqueue", "-j").splitlines()
    return [mail for mail in map(json.loads, lines) if f"@{_DESTINATION}" in json.dumps(mail)]


def _stuck_ids() -> list[str]:
    return [str(mail["queue_id"]) for mail in _stuck_mails()]


def _deferred_ids() -> list[str]:
    return [str(mail["queue_id"]) for mail in _stuck_mails() if mail["queue_name"] == "deferred"]


def _age() -> None:
    """Rewrite the arrival times, spread over some hours; nothing else in Postfix ages a mail."""
    ids = _deferred_ids()
    span_s = (_OLDEST_H - _NEWEST_H) * 3600
    deferred = hosts.get_running(MX1).root / "var/spool/postfix/deferred"
    for number, queue_id in enumerate(ids):
        arrived_at = int(time.time()) - _OLDEST_H * 3600 + number * span_s // len(ids)
        path = deferred / queue_id[0] / queue_id
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


FAULTS = (
    Fault(
        name="queue-stuck",
        title="邮件队列积压",
        effect=f"{_MAILS} mails to {_DESTINATION} wait in the queue of mx1, the oldest for hours",
        host=MX1,
        slot="mx1 queue",
        apply=switch("queue-stuck", _stick, _unstick),
        is_visible=_is_stuck,
    ),
)
