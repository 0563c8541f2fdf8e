"""Read logs on the host itself: matches are counted there, and how far the reading went is told.

A log may be gigabytes long and holds more than we need to know. So the host's own grep, sed and awk
look for patterns in the last part of each log and of its rotated neighbours; counts, addresses and
a few lines come back, what looks like a credential masked. The answer's lines:

`mailcare: now EPOCH ZONE`, `from ADDRESS` (ours, as the host sees it), `file BYTES PATH`,
`edge LINE` (the first and the last line read of each file), `cut PATH` (only its end was read),
`skipped PATH` (a packed file not unpacked), `unlogged PATH` (nothing that we may read), `usual
BYTES` (how long the web's front page is), `denied PATH`, `stale PATH` (nothing written for days),
`row NAME TAB COUNT TAB …` and `more NAME COUNT` (rows left out); `end` closes a whole answer.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from mailcare.inspection.check import Ask, Reply, ReplyError
from mailcare.inspection.hosts import NOT_FOUND, first_line, host_ask
from mailcare.systems.profile import AttackSign, LogPattern, ProfileGap
from mailcare.systems.site import Node

LOG_S = 25.0
READ_LIMIT_BYTES = 20 * 1024 * 1024
JOURNAL_LINES = 100_000
ROWS_LIMIT = 2000
_LINE_ROWS_LIMIT = 200  # rows that hold a whole line
_DAY_S = 86_400

# $1 days back, $2 bytes of each file, $3 rows of each pattern, $4 logs; then the patterns.
_HEAD = r"""set -f
days=$1 limit=$2 rows=$3 logs=$4 lines=@LINES@
shift 4
for tool in awk cat cut find grep ls sed sort tail tr wc; do
  command -v "$tool" >/dev/null || { echo "mailcare: missing $tool"; exit 127; }
done
echo "mailcare: now $(date '+%s %z')"
echo "mailcare: from ${SSH_CLIENT%% *}"
part() {
  case $1 in
  journald) journalctl -q --no-pager -o short-iso --since "$days days ago" -n "$lines" \
    SYSLOG_FACILITY=2 ;;
  *.gz) gzip -dc "$1" ;;
  *) if [ "$size" -gt "$limit" ]; then tail -c "$limit" "$1" | sed 1d; else cat "$1"; fi ;;
  esac 2>/dev/null | tr -d '\000'
}
mask() {
  names='pass|pwd|secret|token|sess|sid|auth|key|ticket'
  sed -E -e 's/([?&;][^=&?; "]*('"$names"')[^=&?; "]*=)[^&; "]*/\1***/Ig' \
    -e 's,//[^/@ "]*:[^/@ "]*@,//***@,g'
}
told() {
  sort -rn | awk -v name="$1" -v rows="$rows" 'NR <= rows { print "mailcare: row " name "\t" $0 }
    END { if (NR > rows) print "mailcare: more " name " " NR - rows }'
}
neighbours() {
  find -L "$folder" -maxdepth 1 -type f \
    \( -name "$name" -o -name "$name[.-][0-9]*" \) -mtime "-$days" -exec ls -1td {} + 2>/dev/null
}
"""
# Lines of one address, hour and status (with the length of a page that was given) become one row:
# count, time of the last, the first line.
_COUNT_LINES = r"""edge=160
count() {
  file=$1
  shift
  part "$file" | awk 'match($0, /"GET \/ HTTP\/[0-9.]+" 200 [0-9]+/) {
    split(substr($0, RSTART, RLENGTH), word, " "); seen[word[5]]++
  } END { for (bytes in seen) print seen[bytes] " " bytes }' | sort -rn |
    awk 'NR <= 20 { print "mailcare: usual " $2 }'
  while [ $# -ge 2 ]; do
    part "$file" | grep -Ei -e "$2" | cut -c 1-1500 | mask | awk '{
      time = ""; status = ""
      if (match($0, /\[[^]]*\]/)) time = substr($0, RSTART + 1, RLENGTH - 2)
      if (match($0, /" [1-5][0-9][0-9] /)) status = substr($0, RSTART + 2, 3)
      if (match($0, /" 2[0-9][0-9] [0-9]+/)) status = substr($0, RSTART + 2, RLENGTH - 2)
      key = $1 SUBSEP substr(time, 1, 14) SUBSEP status
      if (!(key in seen)) first[key] = substr($0, 1, 400)
      seen[key]++; last[key] = substr(time, 1, 40)
    } END { for (key in seen) print seen[key] "\t" last[key] "\t" first[key] }' | told "$1"
    shift 2
  done
}
"""
# Lines of one hour, address and account become one row: count, first and last time, both names.
_COUNT_NAMES = r"""edge=32
count() {
  file=$1
  shift
  while [ $# -ge 3 ]; do
    part "$file" | grep -E -e "$2" | cut -c 1-2000 | sed -nE "$3" | awk -F '<mailcare>' '{
      time = substr($1, 1, 32)
      hour = substr(time, 1, time ~ /^[0-9]/ ? 13 : 9)
      key = hour SUBSEP substr($2, 1, 60) SUBSEP substr($3, 1, 120)
      if (!(key in seen)) first[key] = time
      seen[key]++; last[key] = time
    } END { for (key in seen) { split(key, of, SUBSEP)
      print seen[key] "\t" first[key] "\t" last[key] "\t" of[2] "\t" of[3] } }' | told "$1"
    shift 3
  done
}
"""
_TAIL = r"""
edges() { sed -n '1p;$p' | cut -c "1-$edge" | mask | sed 's/^/mailcare: edge /'; }
journal() {
  number=$(part journald | wc -l)
  [ "$number" -gt 0 ] || { echo "mailcare: unlogged journald"; return; }
  echo "mailcare: file 0 journald"
  part journald | edges
  count journald "$@"
  [ "$number" -lt "$lines" ] || echo "mailcare: cut journald"
}
known=
for log in $logs; do
  if [ "$log" = journald ]; then
    [ -n "$known" ] || ! command -v journalctl >/dev/null || journal "$@"
    continue
  fi
  folder=${log%/*} name=${log##*/}
  [ -d "$folder" ] || continue
  if [ -r "$folder" ]; then files=$(neighbours)
  elif [ -r "$log" ]; then files=$log
  else echo "mailcare: denied $log"; continue; fi
  if [ -z "$files" ]; then
    [ ! -f "$log" ] || echo "mailcare: stale $log"
    continue
  fi
  known=1
  echo "$files" | while IFS= read -r file; do
    [ -r "$file" ] || { echo "mailcare: denied $file"; continue; }
    size=$(wc -c <"$file")
    size=$((size))
    case $file in
    *.gz) [ "$size" -le "$((limit / 8))" ] || { echo "mailcare: skipped $file"; break; } ;;
    *.xz | *.bz2 | *.zst | *.lz4 | *.Z | *.zip) echo "mailcare: skipped $file"; break ;;
    esac
    echo "mailcare: file $size $file"
    part "$file" | edges
    count "$file" "$@"
    [ "$size" -le "$limit" ] || { echo "mailcare: cut $file"; break; }
  done
done
echo "mailcare: end"
"""

_NAMED_GROUP = re.compile(r"\(\?P<[A-Za-z_]\w*>")
_NOT_POSIX = re.compile(r"\(\?|\\[dDwWsSbBAZ1-9]|(?<!\\)[*+?}][?+]")
_MOST_GROUPS = 9  # what sed can name


@dataclass(frozen=True, slots=True)
class Row:
    """Lines of one kind: under which name they were looked for, how many, and their fields."""

    name: str
    count: int
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LogReading:
    """What was found in the logs of a host, and what of them was read.

    `from_at` and `to_at` are the moments of the first and the last line read; `gaps` says what was
    left out; `worker` is the address from which the inspector is logged in, empty in a bundle;
    `front_page_bytes` are the lengths of the web's front page, the frequent ones.
    """

    now_at: datetime
    worker: str
    files: tuple[str, ...]
    from_at: datetime
    to_at: datetime
    gaps: tuple[str, ...]
    rows: tuple[Row, ...]
    left_out: Mapping[str, int]
    front_page_bytes: frozenset[int] = frozenset()

    @property
    def span(self) -> str:
        """Say from when to when the logs were read, in the host's time, and what was not."""
        gaps = f"，{'、'.join(self.gaps)}" if self.gaps else ""
        start, end = f"{self.from_at:%Y-%m-%d %H:%M}", f"{self.to_at:%Y-%m-%d %H:%M}"
        return f"已查 {start} 至 {end} 的日志{gaps}"

    def is_worker(self, address: str) -> bool:
        """Tell whether an address may be the inspector's own; nobody knows where a bundle is."""
        return self.worker in ("", address)

    @property
    def at_least(self) -> str:
        """Return the word that stands before a number where rows were left out."""
        return "至少 " if self.left_out else ""


def lines_ask(node: Node, log: str, signs: Iterable[AttackSign], *, days: int) -> Ask:
    """Ask a host for the lines of its web access log that match the signs, counted."""
    words = [word for sign in signs for word in (sign.name, _posix(sign.regex, "attack_signs"))]
    return _log_ask(node, _COUNT_LINES, log, words, days=days, rows=_LINE_ROWS_LIMIT)


def names_ask(
    node: Node, patterns: Mapping[str, Sequence[LogPattern]], *, days: int
) -> tuple[Ask, ...]:
    """Ask a host how often which address and account stand in lines that match; an ask for a log.

    `patterns` are the profile's, by the field that holds them, which also names their rows.
    """
    by_log: dict[str, list[str]] = {}
    for field, several in patterns.items():
        for one in several:
            words = (field, _posix(one.regex, field), _extraction(one, field))
            by_log.setdefault(one.path, []).extend(words)
    return tuple(
        _log_ask(node, _COUNT_NAMES, log, words, days=days, rows=ROWS_LIMIT)
        for log, words in by_log.items()
    )


def _log_ask(
    node: Node, count: str, log: str, words: Sequence[str], *, days: int, rows: int
) -> Ask:
    bounds = (str(days + 1), str(READ_LIMIT_BYTES), str(rows), log)
    script = _HEAD.replace("@LINES@", str(JOURNAL_LINES)) + count + _TAIL
    return host_ask(node, "sh", "-c", script, "logs", *bounds, *words, timeout_s=LOG_S)


def _posix(regex: str, field: str) -> str:
    plain = _NAMED_GROUP.sub("(", regex)
    try:
        re.compile(regex)
    except re.error as error:
        raise ProfileGap(f"{field} 中的 {regex} 不是正则表达式：{error}") from None
    if _NOT_POSIX.search(plain) or "\n" in plain:
        raise ProfileGap(f"{field} 中的 {regex} 不是 POSIX 扩展正则表达式，主机上无法查找")
    return plain


def _extraction(pattern: LogPattern, field: str) -> str:
    """Return the sed command that leaves the address and the account of a line, marked."""
    compiled = re.compile(pattern.regex)
    groups = compiled.groupindex
    if "address" not in groups or "account" not in groups or compiled.groups > _MOST_GROUPS:
        raise ProfileGap(f"{field} 的正则表达式应有 address、account 两个命名分组，至多 9 个分组")
    plain = re.sub(r"\\?/", r"\\/", _posix(pattern.regex, field))
    marked = f"<mailcare>\\{groups['address']}<mailcare>\\{groups['account']}<mailcare>"
    return f"s/{plain}/{marked}/p"


def read_logs(replies: Sequence[Reply]) -> LogReading:
    """Read what a host answered about its logs; raise `ReplyError` where that is not the whole.

    The logs of several replies are one body: what is absent in one may stand in another.
    """
    told = [_told(reply) for reply in replies]
    events = [event for part in told for event in part]
    files = _all(events, "file")
    if denied := _all(events, "denied"):
        raise ReplyError(
            f"没有权限读取 {denied[0]}：请将巡检账号加入日志所属的组（Debian 为 adm）"
            "或用 setfacl 授予只读权限"
        )
    if not files:
        raise ReplyError(_absent(events))
    now_at = _now(events)
    moments = [at for line in _all(events, "edge") if (at := moment_in(line, now_at))]
    if not moments:
        raise ReplyError(f"日志 {_path(files[0])} 为空，或其中的时间无法识别")
    return LogReading(
        now_at=now_at,
        worker=next(iter(_all(events, "from")), ""),
        files=tuple(map(_path, files)),
        from_at=min(moments),
        to_at=max(moments),
        gaps=tuple(_gaps(events)),
        rows=tuple(_rows(events)),
        left_out=_left_out(events),
        front_page_bytes=frozenset(map(_count, _all(events, "usual"))),
    )


def _told(reply: Reply) -> list[tuple[str, str]]:
    if reply.exit_code == NOT_FOUND:
        raise ReplyError(f"主机上缺少读取日志的命令：{first_line(reply.text)}")
    # Not splitlines: a name that an attacker chose may hold U+2028, which ends no line of a log.
    ended = (line.rstrip("\r")[:4096] for line in reply.text.split("\n"))
    lines = [line for line in ended if line.startswith("mailcare: ")]
    if not lines or lines[-1].rstrip() != "mailcare: end":
        raise ReplyError(f"日志没有查完：{first_line(reply.text)}")
    words = (line.removeprefix("mailcare: ").partition(" ") for line in lines)
    return [(kind, rest) for kind, _, rest in words]


def _all(events: Iterable[tuple[str, str]], kind: str) -> list[str]:
    return [rest for name, rest in events if name == kind]


def _path(file: str) -> str:
    return file.partition(" ")[2]


def _absent(events: Iterable[tuple[str, str]]) -> str:
    if stale := _all(events, "stale"):
        return f"日志 {stale[0]} 多日没有写入，请确认日志是否启用、路径是否正确"
    if _all(events, "unlogged"):
        return (
            "主机上没有产品档案所写的日志，journald 中也没有可读的邮件日志：请将巡检账号加入"
            " systemd-journal 组，或在站点文件的 overrides 中填写实际路径"
        )
    return "主机上没有产品档案所写的日志，请在站点文件的 overrides 中填写实际路径"


def _gaps(events: Iterable[tuple[str, str]]) -> Iterator[str]:
    for kind, path in events:
        if kind == "cut" and path == "journald":
            yield f"journald 只读了最后 {JOURNAL_LINES} 行"
        elif kind == "unlogged":
            yield f"{path} 中没有可读的邮件日志"
        elif kind == "cut":
            yield f"{path} 只读了最后 {READ_LIMIT_BYTES // 1024 // 1024} MiB"
        elif kind == "skipped":
            yield f"未解压 {path}"


def _left_out(events: Iterable[tuple[str, str]]) -> dict[str, int]:
    left: dict[str, int] = {}
    for kind, rest in events:
        name, _, number = rest.partition(" ")
        if kind == "more" and (count := _count(number.strip())):
            left[name] = left.get(name, 0) + count
    return left


def _rows(events: Iterable[tuple[str, str]]) -> Iterator[Row]:
    for row in _all(events, "row"):
        name, _, rest = row.partition("\t")
        number, _, fields = rest.partition("\t")
        count = _count(number)
        if not count or not fields:
            raise ReplyError(f"日志的查找结果无法识别：{row[:120]}")
        yield Row(name, count, tuple(fields.split("\t", 3)))


def _count(text: str) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,12}", text) else 0


def _now(events: Iterable[tuple[str, str]]) -> datetime:
    found = re.fullmatch(r"([0-9]{9,11}) ([-+])([01][0-9])([0-5][0-9])\s*", _one(events, "now"))
    if not found:
        raise ReplyError("主机没有说出自己的时间和时区")
    ahead = timedelta(hours=int(found[3]), minutes=int(found[4]))
    zone = timezone(-ahead if found[2] == "-" else ahead)
    return datetime.fromtimestamp(int(found[1]), UTC).astimezone(zone)


def _one(events: Iterable[tuple[str, str]], kind: str) -> str:
    return next(iter(_all(events, kind)), "")


_MONTHS = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1
    )
}
_CLOCK = r"([0-2][0-9]):([0-5][0-9]):([0-6][0-9])"
_ISO = re.compile(
    rf"([0-9]{{4}})-([01][0-9])-([0-3][0-9])[T ]{_CLOCK}(?:[.,][0-9]{{1,9}})?"
    r"(Z|[-+][0-9]{2}:?[0-9]{2})?",
    re.ASCII,
)
_SYSLOG = re.compile(
    rf"(?:<[0-9]{{1,3}}>)?([A-Z][a-z]{{2}}) {{1,2}}([0-3]?[0-9]) {_CLOCK}", re.ASCII
)
_WEB = re.compile(
    rf"([0-3][0-9])/([A-Z][a-z]{{2}})/([0-9]{{4}}):{_CLOCK}(?: ([-+][0-9]{{4}}))?", re.ASCII
)


def moment_in(line: str, now_at: datetime) -> datetime | None:
    """Return the moment that a log line names, in the zone of `now_at`; None where there is none.

    A line without a zone is in the host's. Old syslog names no year: the latest that is not in the
    future, by more than a day, is meant.
    """
    try:
        return _named_moment(line, now_at)
    except (ValueError, OverflowError):
        return None


def _named_moment(line: str, now_at: datetime) -> datetime | None:
    if found := _ISO.match(line):
        year, month, day, *clock = (int(found[at]) for at in range(1, 7))
        return _in_zone((year, month, day, *clock), found[7], now_at)
    if (found := _SYSLOG.match(line)) and found[1] in _MONTHS:
        return _latest(_MONTHS[found[1]], [int(found[at]) for at in range(2, 6)], now_at)
    if (found := _WEB.search(line)) and found[2] in _MONTHS:
        clock = [int(found[at]) for at in range(4, 7)]
        return _in_zone((int(found[3]), _MONTHS[found[2]], int(found[1]), *clock), found[7], now_at)
    return None


def _in_zone(numbers: tuple[int, ...], zone: str | None, now_at: datetime) -> datetime:
    year, month, day, hour, minute, second = numbers
    moment = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=now_at.tzinfo)
    if zone is None:
        return moment
    if zone == "Z":
        return moment.replace(tzinfo=UTC).astimezone(now_at.tzinfo)
    ahead = timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
    named = timezone(-ahead if zone[0] == "-" else ahead)
    return moment.replace(tzinfo=named).astimezone(now_at.tzinfo)


def _latest(month: int, rest: Sequence[int], now_at: datetime) -> datetime:
    this_year = _in_zone((now_at.year, month, *rest), None, now_at)
    if this_year <= now_at + timedelta(seconds=_DAY_S):
        return this_year
    return _in_zone((now_at.year - 1, month, *rest), None, now_at)
