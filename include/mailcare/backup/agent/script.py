"""The agent: the standard library, Python 3.6 or newer, given on standard input.

It reads what lies on a backup host and writes JSON lines to standard output: a header, records, a
heartbeat while nothing else is said, a trailer with counters and the SHA-256 of all that came
before. A stream without its trailer is incomplete. Nothing is installed; nothing is written but a
scratch folder of its own, which it removes. It is the lowest in priority, limits its own rate, and
leaves neither access times nor pages in the cache behind.

This part is sent with every job; `agent.tools` and `agent.archive` with those that they do. It runs
on old machines: no syntax and no library that came after Python 3.6.
"""

import base64
import errno
import fcntl
import hashlib
import json
import os
import re
import signal
import stat
import struct
import subprocess
import sys
import threading
import time
from typing import IO, Any, Dict, Iterator, List, Optional, Tuple, Union

VERSION = 1
BLOCK_BYTES = 1024 * 1024
PIECE_BYTES = 192 * 1024
HEAD_BYTES = 4096
LONG_HEAD_BYTES = 256 * 1024
FILES_A_RECORD = 500
LINGER_S = 0.2
_NO_ACCESS_TIME = getattr(os, "O_NOATIME", 0)
_GET_FLAGS, _IMMUTABLE, _APPEND_ONLY = 0x80086601, 0x10, 0x20
_ALARMS = (errno.EIO, errno.ESTALE, getattr(errno, "EUCLEAN", 117), errno.EBADMSG)
_CODES = dict.fromkeys(_ALARMS, "alarm")
_CODES.update(dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "scratch"))
SHORT = (errno.ENOMEM, errno.EAGAIN, errno.EMFILE, errno.ENFILE)
_CODES.update(dict.fromkeys(SHORT, "shortage"))
DYING = "输入/输出错误：磁盘可能正在损坏"
SHORTAGE = re.compile(
    r"(cannot|can't|could not|unable to|failed to) allocate|(not enough|out of|insufficient) memory"
    r"|MemoryError|bad_alloc|resource temporarily unavailable|too many open files"
    r"|(create|start) new (OS )?thread|killed (with|by) signal",
    re.IGNORECASE,
)


class Refused(Exception):
    """The job cannot be done; `code` is for programs."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def shortage_of(code: int, said: str) -> str:
    """Say that a program failed for want of memory and the like, or was killed; else nothing.

    `code` is what it ended with, below zero for a signal. Such a failure is no word about what was
    read: it may go well another time.
    """
    if code < 0:
        return "被信号 %d 终止，多因内存不足，稍后可重试" % -code
    found = SHORTAGE.search(said) if code else None
    return "内存等资源不足（%s），腾出后可重试" % found.group() if found else ""


def b64(data: bytes) -> str:
    """Return bytes as text."""
    return base64.b64encode(data).decode("ascii")


def unb64(text: str) -> bytes:
    """Return the bytes of a text."""
    return base64.b64decode(text)


def refusal_of(error: OSError, path: str, absent: str = "unreadable") -> Refused:
    """Return that a job cannot be done, for what the system said of a path."""
    is_absent = error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
    code = absent if is_absent else _CODES.get(error.errno or 0, "unreadable")
    told = "%s（%s）" % (DYING, error.strerror) if code == "alarm" else error.strerror
    return Refused(code, "%s: %s" % (path, told))


class Stream:
    """JSON lines on standard output, with a count and a digest of them.

    Lines wait for others up to `LINGER_S`: each by itself would be a packet of the connection.
    """

    def __init__(self, out: IO[bytes], heartbeat_s: float) -> None:
        self.out = out
        self.counters = {}  # type: Dict[str, float]
        self.cursor = None  # type: Optional[str]
        self.lock = threading.Lock()
        self.digest = hashlib.sha256()
        self.lines = 0
        self.said_at = time.monotonic()
        self.sent_at = 0.0
        self.heartbeat_s = heartbeat_s
        self.over = threading.Event()
        self.beat = threading.Thread(target=self.keep_alive, daemon=True)

    def say(self, kind: str, **values: Any) -> None:
        """Write a record."""
        line = json.dumps(dict(values, kind=kind), separators=(",", ":")).encode("ascii") + b"\n"
        with self.lock:
            self.digest.update(line)
            self.lines += 1
            self.said_at = time.monotonic()
            self.out.write(line)
            if self.said_at - self.sent_at >= LINGER_S:
                self.send()

    def send(self) -> None:
        """Let no line wait any longer."""
        self.out.flush()
        self.sent_at = time.monotonic()

    def count(self, name: str, number: float = 1) -> None:
        """Add to a counter of the trailer."""
        self.counters[name] = self.counters.get(name, 0) + number

    def problem(self, path: bytes, error: OSError) -> None:
        """Tell of something that could not be read: vanished, closed to us, or a dying disk."""
        code = error.errno
        word = "alarm" if code in _ALARMS else "gone" if code == errno.ENOENT else "unreadable"
        self.count(word)
        self.say("problem", what=word, path=b64(path), text=os.strerror(code or 0))

    def keep_alive(self) -> None:
        """Say how far it is while nothing else is said; end everything when nobody listens."""
        while not self.over.wait(min(self.heartbeat_s / 4, 1.0)):
            try:
                if time.monotonic() - self.said_at >= self.heartbeat_s:
                    self.say("heartbeat", cursor=self.cursor, counters=self.counters)
                with self.lock:
                    self.send()
            except OSError:
                os.kill(os.getpid(), signal.SIGTERM)
                return

    def end(self) -> None:
        """Write the trailer."""
        self.over.set()
        with self.lock:
            trailer = {
                "kind": "trailer",
                "counters": self.counters,
                "records": self.lines,
                "sha256": self.digest.hexdigest(),
            }
            self.out.write(json.dumps(trailer).encode("ascii") + b"\n")
            self.out.flush()


class Pace:
    """A token bucket on bytes: one second's worth may be taken at once."""

    def __init__(self, bytes_per_s: float) -> None:
        self.rate = bytes_per_s
        self.left = bytes_per_s
        self.at = time.monotonic()

    def take(self, number: int) -> None:
        """Wait until so many bytes may be read."""
        if not self.rate:
            return
        now = time.monotonic()
        self.left = min(self.rate, self.left + (now - self.at) * self.rate) - number
        self.at = now
        if self.left < 0:
            time.sleep(-self.left / self.rate)


def be_quiet() -> None:
    """Take the lowest priority for processor and disk; programs started from here inherit it."""
    os.nice(19)
    words = ["ionice", "-c", "3", "-p", str(os.getpid())]
    try:
        subprocess.call(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except OSError:
        pass  # a host without ionice has one priority less to give up


def surroundings(home: str) -> Dict[str, str]:
    """Return the environment of a program that is started from here."""
    usual = os.environ.get("PATH", "") + ":/usr/local/bin:/usr/bin:/bin:/usr/local/sbin"
    return {"PATH": usual, "HOME": home, "TMPDIR": home, "LC_ALL": "C.UTF-8", "TZ": "UTC"}


# Files.

GZIP, BZIP2, XZ, ZSTD = b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd"
CRYPTED, LZ4 = b"CRYPTED\x03\x07", b"Dovecot-LZ4\r\x2a\x9b\xc5"
_DBOX_HEAD = rb"(?:2 [^\n]{1,100}\n\x01\x02N *[0-9A-Fa-f]{1,16}\n)?"  # before its first message
_PACKED = re.compile(_DBOX_HEAD + b"(?:%s)" % b"|".join(map(re.escape, (GZIP, BZIP2, XZ, ZSTD))))
_SEALED = re.compile(_DBOX_HEAD + b"(?:%s)" % b"|".join(map(re.escape, (CRYPTED, LZ4))))
_FIELD = re.compile(rb"(?:\A|[\r\n])(?:from|date|message-id|received)[ \t]*:", re.IGNORECASE)


def looks_like_mail(head: Union[bytes, memoryview]) -> bool:
    """Tell from the first bytes of a file whether they are the head of a mail (RFC 5322)."""
    field = _FIELD.search(head)
    # LZ4 leaves some of the text as it was: that is no mail to be read.
    return field is not None and (not field.start() or not is_sealed(head))


def is_packed(head: bytes) -> bool:
    """Tell from the first bytes of a file whether its server keeps the message compressed."""
    return _PACKED.match(head) is not None


def is_sealed(head: Union[bytes, memoryview]) -> bool:
    """Tell from the first bytes of a file whether nobody but its server opens the message.

    Dovecot has encrypted it (mail_crypt), or compressed it by its own kind of LZ4.
    """
    return _SEALED.match(head) is not None


def open_quietly(path: bytes) -> int:
    """Open a file for reading: no link is followed, no access time written, no pipe waited for."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        return os.open(path, flags | _NO_ACCESS_TIME)
    except PermissionError:
        return os.open(path, flags)  # the access time may be left alone by the owner only


def blocks_of(path: bytes, pace: Pace, first: int = 0) -> Iterator[bytes]:
    """Yield a file's content in blocks and let the cache forget it."""
    handle = open_quietly(path)
    try:
        os.lseek(handle, first, os.SEEK_SET)
        while True:
            block = os.read(handle, BLOCK_BYTES)
            if not block:
                break
            pace.take(len(block))
            yield block
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(handle)


def steps(path: bytes) -> List[bytes]:
    """Return the steps of a path, by which folders are put in order: each before those in it."""
    return path.split(b"/") if path else []


def is_before(folder: bytes, cursor: Optional[bytes]) -> bool:
    """Tell whether a folder itself was told of by the time of the cursor."""
    return cursor is not None and steps(folder) <= steps(cursor)


def is_above(folder: bytes, cursor: Optional[bytes]) -> bool:
    """Tell whether a folder is the cursor or one that it lies in."""
    return cursor is not None and steps(cursor)[: len(steps(folder))] == steps(folder)


def entries(root: bytes, folder: bytes, stream: Stream) -> List[Any]:
    """List a folder in order; one that cannot be listed is a problem."""
    try:
        with os.scandir(os.path.join(root, folder) if folder else root) as found:
            return sorted(found, key=lambda one: one.name)
    except OSError as error:
        stream.problem(folder, error)
        return []


def folders(root: bytes, stream: Stream, cursor: Optional[bytes]) -> Iterator[Tuple[bytes, list]]:
    """Yield each folder from the root down with its regular files and their status, in order.

    With a cursor the walk goes on behind it.
    """
    waiting = [b""]
    while waiting:
        folder = waiting.pop()
        is_told = is_before(folder, cursor)
        if is_told and not is_above(folder, cursor):
            continue
        files, below = sorted_out(root, folder, stream)
        waiting.extend(reversed(below))
        if not is_told:
            yield folder, files


def sorted_out(root: bytes, folder: bytes, stream: Stream) -> Tuple[list, List[bytes]]:
    """Return a folder's regular files with their status, and the folders in it."""
    files, below = [], []
    for one in entries(root, folder, stream):
        path = os.path.join(folder, one.name) if folder else one.name
        try:
            status = one.stat(follow_symlinks=False)
        except OSError as error:
            stream.problem(path, error)
            continue
        if stat.S_ISREG(status.st_mode):
            files.append((one.name, status))
        elif stat.S_ISDIR(status.st_mode):
            below.append(path)
        elif leads_out(root, path):
            stream.count("unreadable")
            stream.say("problem", what="unreadable", path=b64(path), text="指向此目录之外的链接")
        else:
            stream.count("special")
            stream.say("special", path=b64(path), mode=stat.S_IFMT(status.st_mode))
    return files, below


def leads_out(root: bytes, path: bytes) -> bool:
    """Tell whether a path below a root is a link to a folder elsewhere, which no walk reaches."""
    whole = os.path.join(root, path)
    if not (os.path.islink(whole) and os.path.isdir(whole)):
        return False
    top, place = os.path.realpath(root), os.path.realpath(whole)
    return os.path.commonpath([top, place]) != top


def task_list(job: Dict[str, Any], stream: Stream, _pace: Pace) -> None:
    """List a tree: a record for each folder, with name, size and time of every file in it."""
    root = os.fsencode(job["root"])
    need_folder(root)
    for folder, files in folders(root, stream, cursor_of(job)):
        rows = [[b64(name), one.st_size, one.st_mtime, one.st_ino] for name, one in files]
        written = max([one.st_ctime for _, one in files] or [0])
        for first in range(0, max(len(rows), 1), FILES_A_RECORD):
            part, is_last = (
                rows[first : first + FILES_A_RECORD],
                first + FILES_A_RECORD >= len(rows),
            )
            stream.say("folder", path=b64(folder), files=part, last=is_last, written=written)
        stream.cursor = b64(folder)
        stream.count("folders")
        stream.count("files", len(files))


def task_names(job: Dict[str, Any], stream: Stream, _pace: Pace) -> None:
    """List one folder: a place for everything in it."""
    root = os.fsencode(job["root"])
    need_folder(root)
    for one in entries(root, b"", stream):
        say_place(os.path.join(root, one.name), stream)


def need_folder(root: bytes) -> None:
    """Refuse a root that is not there or no folder."""
    try:
        status = os.stat(root)
    except OSError as error:
        raise refusal_of(error, os.fsdecode(root), absent="missing")
    if not stat.S_ISDIR(status.st_mode):
        raise Refused("missing", "%s 不是目录" % os.fsdecode(root))


def cursor_of(job: Dict[str, Any]) -> Optional[bytes]:
    """Return where a job that was cut off goes on."""
    return unb64(job["cursor"]) if job.get("cursor") is not None else None


def task_digest(job: Dict[str, Any], stream: Stream, pace: Pace) -> None:
    """Read the named files to their end: a record for each with SHA-256, size and its head."""
    root = os.fsencode(job["root"])
    for number, text in enumerate(job["paths"]):
        path = unb64(text)
        try:
            record = digest_of(os.path.join(root, path), pace)
        except OSError as error:
            stream.problem(path, error)
            continue
        stream.say("digest", path=text, **record)
        stream.cursor = str(number)
        stream.count("files")
        stream.count("bytes", record["size"])


def digest_of(path: bytes, pace: Pace) -> Dict[str, Any]:
    """Return what a file holds in short; one that changed meanwhile is read once more."""
    for _attempt in range(2):
        before = os.stat(path, follow_symlinks=False)
        digest, size, head = hashlib.sha256(), 0, b""
        for block in blocks_of(path, pace):
            head = head or block[:HEAD_BYTES]
            digest.update(block)
            size += len(block)
        after = os.stat(path, follow_symlinks=False)
        changed = (before.st_mtime, before.st_size) != (after.st_mtime, after.st_size)
        if not changed and size == after.st_size:
            break
    return {
        "sha256": digest.hexdigest(),
        "size": size,
        "mail": looks_like_mail(head),
        "packed": is_packed(head),
        "sealed": is_sealed(head),
        "changed": changed or size != after.st_size,
    }


def task_fetch(job: Dict[str, Any], stream: Stream, pace: Pace) -> None:
    """Send the named files whole, the first of them from byte `first` on."""
    root, first = os.fsencode(job["root"]), job["first"]
    for text in job["paths"]:
        send_file(os.path.join(root, unb64(text)), text, stream, pace, first)
        first = 0


def send_file(path: bytes, name: str, stream: Stream, pace: Pace, first: int = 0) -> None:
    """Send a file's content in pieces; the last one says so."""
    try:
        say_state(name, os.stat(path, follow_symlinks=False), stream)
        send_blocks(blocks_of(path, pace, first), name, stream)
    except OSError as error:
        stream.problem(unb64(name), error)


def say_state(name: str, status: os.stat_result, stream: Stream) -> None:
    """Tell what a file is known by from a later one of its name."""
    state = [status.st_ino, status.st_size, status.st_mtime_ns]
    stream.say("state", path=name, values=state)


def send_blocks(blocks: Iterator[bytes], name: str, stream: Stream) -> None:
    """Send content under a name, in pieces small enough for a line."""
    for block in blocks:
        for first in range(0, len(block), PIECE_BYTES):
            stream.say("piece", path=name, data=b64(block[first : first + PIECE_BYTES]))
        stream.count("bytes", len(block))
    stream.say("whole", path=name)
    stream.count("files")


def task_look(job: Dict[str, Any], stream: Stream, _pace: Pace) -> None:
    """Look at places: what they are, how old, on what file system, whether they can be changed."""
    for text in job["paths"]:
        say_place(os.fsencode(text), stream)


def say_place(path: bytes, stream: Stream) -> None:
    """Tell what a path is."""
    try:
        status = os.stat(path)
        system = os.statvfs(path)
    except OSError as error:
        stream.problem(path, error)
        return
    stream.say(
        "place",
        path=b64(path),
        identity=[status.st_dev, status.st_ino],
        boot=boot_id(),
        system=[b64(text) for text in system_of(path)],
        is_folder=stat.S_ISDIR(status.st_mode),
        size=status.st_size,
        mtime=status.st_mtime,
        read_only=bool(system.f_flag & os.ST_RDONLY),
        free_bytes=system.f_bavail * system.f_frsize,
        flags=flags_of(path),
    )


def boot_id() -> str:
    """Return what this boot of this machine is known by, in every container; empty if unknown."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read().strip()
    except OSError:
        return ""


def system_of(path: bytes) -> Tuple[bytes, bytes]:
    """Return the kind and the source of the file system that a path is on; empty if unknown."""
    place, found, longest = os.path.realpath(path) + b"/", (b"", b""), 0
    try:
        with open("/proc/self/mounts", "rb") as file:
            for line in file:
                source, on, kind = [unescaped(word) for word in line.split(b" ")[:3]]
                on = on.rstrip(b"/") + b"/"
                if place.startswith(on) and len(on) >= longest:
                    found, longest = (kind, source), len(on)
    except (OSError, ValueError):
        return b"", b""
    return found


def unescaped(word: bytes) -> bytes:
    """Return a word of the table of mounts as it was before it was written there."""
    return re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found.group(1), 8)]), word)


def flags_of(path: bytes) -> Optional[List[str]]:
    """Return which of immutable and append-only a file is; None where nothing tells."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        got = struct.unpack("i", fcntl.ioctl(handle, _GET_FLAGS, b"\0\0\0\0"))[0]
    except OSError:
        return None
    finally:
        os.close(handle)
    names = (("immutable", _IMMUTABLE), ("append", _APPEND_ONLY))
    return [name for name, bit in names if got & bit]


# The whole.

TASKS = {
    "look": task_look,
    "list": task_list,
    "names": task_names,
    "digest": task_digest,
    "fetch": task_fetch,
}  # type: Dict[str, Callable[[Dict[str, Any], Stream, Pace], None]]


def run(job: Dict[str, Any], out: IO[bytes]) -> int:
    """Do a job; return 0, or 1 where it was refused."""
    stream = Stream(out, job.get("heartbeat_s", 5.0))
    stream.say(
        "header",
        version=VERSION,
        task=job["task"],
        python=".".join(str(number) for number in sys.version_info[:3]),
        host=os.uname()[1],
        at=time.time(),
        uid=os.getuid(),
    )
    stream.beat.start()
    code = attempt(job, stream)
    stream.end()
    return code


def attempt(job: Dict[str, Any], stream: Stream) -> int:
    """Do a job and tell why where it cannot be done."""
    try:
        TASKS[job["task"]](job, stream, Pace(job.get("bytes_per_s", 0)))
    except Refused as refusal:
        stream.say("refused", code=refusal.code, text=str(refusal))
    except MemoryError:
        stream.say("refused", code="shortage", text=shortage_of(1, "MemoryError"))
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise
        refusal = refusal_of(error, str(error.filename))
        stream.say("refused", code=refusal.code, text=str(refusal))
    else:
        return 0
    return 1


def leave(_signal: int, _frame: Any) -> None:
    """End in good order, so that scratch and children go too."""
    ignore_signals()
    sys.exit(1)


def ignore_signals() -> List[Tuple[int, Any]]:
    """Let nothing disturb an end that has begun; return what was done about signals before."""
    if threading.current_thread() is not threading.main_thread():
        return []
    numbers = (signal.SIGTERM, signal.SIGHUP)
    return [(number, signal.signal(number, signal.SIG_IGN)) for number in numbers]


def main(text: str) -> int:
    """Do the job that stands in a text of JSON, for somebody at the other end of a pipe."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
    be_quiet()
    try:
        return run(json.loads(text), sys.stdout.buffer)
    except BrokenPipeError:
        return 1
