"""Read a mail queue: `postqueue -j`, the older `postqueue -p`, or the files of a directory."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from mailcare.inspection.check import Reply, ReplyError
from mailcare.inspection.hosts import CUT, NOT_FOUND, first_line, lines_of

# Postfix before 3.1 knows no -j: it ends with 1, and tells its list as text, in its own time zone.
POSTQUEUE = (
    "sh",
    "-c",
    "postqueue -j; code=$?; [ $code -eq 1 ] || exit $code; "
    'echo "mailcare: zone $(date +%z)"; exec postqueue -p',
)
# Two numbers instead of a row for each file; what find may not read it says on its own.
# A mail that leaves meanwhile is no trouble.
COUNT_FILES = (
    "[ -d \"$1\" ] || { echo 'mailcare: no such directory'; exit 1; }; "
    'find "$1" -ignore_readdir_race -type f -printf "%T@\\n" | '
    "awk 'NR == 1 || $1 < oldest { oldest = $1 } END { print \"mailcare:\", NR, oldest }'"
)
_COUNTED = re.compile(r"^mailcare: (\d{1,12})(?: (\d{1,11})(?:\.\d+)?)?\s*$", re.MULTILINE)
_ZONE = re.compile(r"^mailcare: zone ([+-])(\d\d)(\d\d)\s*$", re.MULTILINE | re.ASCII)
_TEXT_ROW = re.compile(
    r"^[0-9A-Za-z]{5,20}[*!#]{0,3} +\d{1,15} +[A-Z][a-z]{2} ([A-Z][a-z]{2}) ([ 0-3]?\d)"
    r" (\d\d):(\d\d):(\d\d) ",
    re.ASCII,
)
_TEXT_END = re.compile(r"^-- \d{1,15} Kbytes in (\d{1,12}) Requests?\.$", re.ASCII)
_EMPTY = "Mail queue is empty"
_WARNING = "postqueue: warning: "  # of a host without IPv6, for one
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_REASON_WIDTH = 160
_TOP_REASONS = 3
_WAITS_KEPT = 10
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Wait:
    """A recipient's domain, and why the mail has not got there yet."""

    domain: str
    reason: str


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that waits; `waits` is empty where nobody has tried to deliver it yet."""

    arrived_at: datetime
    waits: tuple[Wait, ...] = ()


@dataclass(frozen=True, slots=True)
class Queue:
    """The mail that waits; `is_partial` where the answer was cut: then there is more.

    `looked_at` is the host's own time, as the times of arrival are. A directory tells the number
    and the oldest only: `mails` is empty then.
    """

    count: int
    oldest_at: datetime | None
    looked_at: datetime
    mails: tuple[Mail, ...] = ()
    is_partial: bool = False

    @property
    def oldest_hours(self) -> float:
        """Return the age of the oldest mail; 0 where none waits."""
        return self.hours_since(self.oldest_at)

    @property
    def at_least(self) -> str:
        """Return the word that stands before a number of a cut answer."""
        return "至少 " if self.is_partial else ""

    @property
    def reasons(self) -> tuple[tuple[str, int], ...]:
        """Return the most frequent reasons, and of how many mails."""
        counted = Counter(mail.waits[0].reason for mail in self.mails if mail.waits)
        return tuple(counted.most_common(_TOP_REASONS))

    def hours_since(self, arrived_at: datetime | None) -> float:
        """Return the hours from an arrival to the look; 0 for none, and for one from tomorrow."""
        if arrived_at is None:
            return 0.0
        return max(0.0, (self.looked_at - arrived_at).total_seconds() / 3600)


def read_queue(listing: Reply, looked_at: datetime) -> Queue:
    """Read a listing of any kind; raise `ReplyError` where it does not hold the whole queue."""
    if listing.exit_code == NOT_FOUND:
        raise ReplyError("主机上没有读取队列的命令（postqueue 或 find、awk）")
    if _ZONE.search(listing.text):
        return _from_text(listing, looked_at)
    if "mailcare:" in listing.text:
        return _from_files(listing, looked_at)
    return _from_json(listing, looked_at)


def _from_files(listing: Reply, looked_at: datetime) -> Queue:
    counted = _COUNTED.search(listing.text)
    others = [line for line in lines_of(listing.text) if not _COUNTED.match(line)]
    if not counted or any(line.strip() for line in others):
        raise ReplyError(f"队列目录无法完整读取：{first_line(chr(10).join(others))}")
    count = int(counted[1])
    oldest_at = _moment(int(counted[2])) if count and counted[2] else None
    return Queue(count, oldest_at, looked_at)


def _from_json(listing: Reply, looked_at: datetime) -> Queue:
    is_partial = _is_partial(listing)
    lines = [line for line in listing.text.split("\n") if line.startswith("{")]
    mails = [mail for line in lines if (mail := _json_mail(line)) is not None]
    unread = len(lines) - len(mails) - is_partial
    if unread > 0 or not (lines or _says_nothing(listing.text)):
        raise ReplyError(f"postqueue 的输出无法识别：{first_line(listing.text)}")
    return _queue(mails, looked_at, is_partial=is_partial)


def _says_nothing(text: str) -> bool:
    return all(not line.strip() or line.startswith(_WARNING) for line in lines_of(text))


def _is_partial(listing: Reply) -> bool:
    if listing.exit_code not in (0, CUT):
        raise ReplyError(f"postqueue 未能列出队列：{_complaint(listing.text)}")
    return listing.exit_code == CUT


def _complaint(text: str) -> str:
    return first_line(_ZONE.split(text)[-1]) or first_line(text)


def _queue(mails: list[Mail], looked_at: datetime, *, is_partial: bool) -> Queue:
    oldest_at = min((mail.arrived_at for mail in mails), default=None)
    return Queue(len(mails), oldest_at, looked_at, tuple(mails), is_partial)


def _json_mail(line: str) -> Mail | None:
    """Read one line of `postqueue -j`, None for what is no mail."""
    try:
        mail = json.loads(line)
    except (ValueError, RecursionError):
        return None
    arrival = mail.get("arrival_time") if isinstance(mail, dict) else None
    if not isinstance(arrival, int) or not 0 < arrival < 10**11:
        return None
    return Mail(_moment(arrival), tuple(_json_waits(mail))[:_WAITS_KEPT])


def _json_waits(mail: dict[str, Any]) -> Iterator[Wait]:
    recipients = mail.get("recipients")
    for recipient in recipients if isinstance(recipients, list) else ():
        if isinstance(recipient, dict):
            address, reason = recipient.get("address"), recipient.get("delay_reason")
            if isinstance(address, str) and isinstance(reason, str) and reason:
                yield _wait(address, reason)


def _wait(address: str, reason: str) -> Wait:
    return Wait(address.rpartition("@")[2].lower()[:255], reason[:_REASON_WIDTH])


def _from_text(listing: Reply, looked_at: datetime) -> Queue:
    is_partial = _is_partial(listing)
    zone = _zone(listing.text)
    rows = lines_of(listing.text[_end_of_zone(listing.text) :])
    mails = [_text_mail(group, looked_at.astimezone(zone)) for group in _groups(rows)]
    told = next((int(end[1]) for row in rows if (end := _TEXT_END.match(row))), None)
    if told is None and any(row.strip() == _EMPTY for row in rows):
        told = 0
    if told != len(mails) and not (is_partial and told is None):
        raise ReplyError(f"postqueue 的输出无法识别：{_complaint(listing.text)}")
    return _queue(mails, looked_at, is_partial=is_partial)


def _zone(text: str) -> timezone:
    found = _ZONE.search(text)
    assert found, "who comes here has seen the zone"
    minutes = int(found[2]) * 60 + int(found[3])
    if minutes >= 24 * 60:
        raise ReplyError("主机的时区无法识别")
    return timezone(timedelta(minutes=-minutes if found[1] == "-" else minutes))


def _end_of_zone(text: str) -> int:
    found = _ZONE.search(text)
    return found.end() if found else 0


def _groups(rows: Iterable[str]) -> Iterator[list[str]]:
    """Yield the lines of one mail after the other."""
    group: list[str] = []
    for row in rows:
        if _TEXT_ROW.match(row):
            if group:
                yield group
            group = [row]
        elif group and row[:1] in (" ", "\t"):
            group.append(row)
    if group:
        yield group


def _text_mail(group: list[str], looked_at: datetime) -> Mail:
    return Mail(_text_moment(group[0], looked_at), tuple(_text_waits(group[1:]))[:_WAITS_KEPT])


def _text_waits(rows: Iterable[str]) -> Iterator[Wait]:
    """Yield each recipient under the reason that stands before it."""
    reason = ""
    for row in map(str.strip, rows):
        if row.startswith("(") and row.endswith(")"):
            reason = row[1:-1]
        elif reason and "@" in row:
            yield _wait(row, reason)


def _text_moment(row: str, looked_at: datetime) -> datetime:
    """Read a time without a year: the latest one that is not later than tomorrow."""
    found = _TEXT_ROW.match(row)
    assert found, "a group begins with such a row"
    month, *rest = found.groups()
    day, hour, minute, second = map(int, rest)
    for year in (looked_at.year + 1, looked_at.year, looked_at.year - 1):
        try:
            moment = datetime(
                year, _MONTHS.index(month) + 1, day, hour, minute, second, tzinfo=looked_at.tzinfo
            )
        except ValueError:  # no such month, or 29 February of another year
            continue
        if moment <= looked_at + _DAY:
            return moment.astimezone(UTC)
    raise ReplyError(f"队列中的时间无法识别：{row[:60]}")


def _moment(seconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise ReplyError("队列中的时间无法识别") from None
