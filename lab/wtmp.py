"""Write the record of a host's starts and stops, as wtmp(5) has it."""

import struct
from datetime import datetime, timedelta

_RECORD = struct.Struct("=h2xi32s4s32s256s2hiii16s20x")
_RUN_LEVEL, _BOOT = 1, 2
_KERNEL = b"6.1.0-37-amd64"


def started_and_stopped(now: datetime, *, crash_days_ago: float | None = None) -> bytes:
    """Return a year with two maintenance restarts, and a start without a stop if one is wanted."""
    events: list[tuple[timedelta, str]] = []
    for days in (300, 90):
        events += [(timedelta(days=days, minutes=3), "shutdown"), (timedelta(days=days), "reboot")]
    events.insert(0, (timedelta(days=330), "reboot"))
    if crash_days_ago is not None:
        events.append((timedelta(days=crash_days_ago), "reboot"))
    return b"".join(_record(name, now - ago) for ago, name in events)


def _record(name: str, at: datetime) -> bytes:
    kind = _BOOT if name == "reboot" else _RUN_LEVEL
    return _RECORD.pack(
        kind, 0, b"~", b"~~", name.encode(), _KERNEL, 0, 0, 0, int(at.timestamp()), 0, b""
    )
