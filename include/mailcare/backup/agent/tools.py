"""The agent's part for tools: restic and borg, run where the repository lies, writing to scratch.

It is sent after `agent.script`; Python 3.6, the standard library.
"""

import fcntl
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import tarfile
import tempfile
import threading
from functools import partial
from typing import IO, Any, Dict, List, Optional, Tuple

from mailcare.backup.agent.script import (
    BLOCK_BYTES,
    FILES_A_RECORD,
    TASKS,
    Pace,
    Refused,
    Stream,
    b64,
    ignore_signals,
    need_folder,
    refusal_of,
    send_blocks,
    send_file,
    surroundings,
    unb64,
)

LINE_BYTES = 65536
PREFIX, MARK = "mailcare-", ".mailcare-owner"
WENT_BACK = "borg went back by transactions:"


class Scratch:
    """A folder that is removed whatever happens: by us, or by the next run where we were killed.

    Its mark is a file that its owner holds locked: the lock ends with the owner, however that ends.
    """

    def __init__(self, base: Optional[str]) -> None:
        try:
            sweep(base or tempfile.gettempdir())
            self.path, self.handle = marked(tempfile.mkdtemp(prefix=PREFIX, dir=base))
        except OSError as error:
            raise Refused("scratch", "没有可用的临时目录：%s" % error.strerror)

    def __enter__(self) -> str:
        return self.path

    def __exit__(self, *_error: Any) -> None:
        before = ignore_signals()  # one that came now would stop the removal half way
        remove(self.path)
        os.close(self.handle)
        for number, handler in before:
            signal.signal(number, handler)


def marked(folder: str) -> Tuple[str, int]:
    """Mark a folder as owned by this process; return it with the handle that keeps it so."""
    draft = os.path.join(folder, MARK + ".new")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX)
        os.rename(draft, os.path.join(folder, MARK))  # nobody sees the mark without its lock
    except OSError:
        shutil.rmtree(folder)
        raise
    return folder, handle


def sweep(base: str) -> None:
    """Remove what runs of ours left in a folder that were killed; nothing else of it."""
    for name in os.listdir(base):
        if name.startswith(PREFIX):
            remove_dead(os.path.join(base, name))


def remove_dead(folder: str) -> None:
    """Remove a scratch folder of ours whose owner is no more."""
    try:
        status = os.lstat(folder)
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
            return
        mark = os.open(os.path.join(folder, MARK), os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return  # without a mark it is not ours to judge
    try:
        fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        remove(folder)
    except OSError:
        pass  # its owner lives, or another sweeper was faster
    finally:
        os.close(mark)


def remove(folder: str) -> None:
    """Remove a folder, whatever a tool made of the modes in it."""
    for inner, names, _ in os.walk(folder):
        for name in names:
            if not os.path.islink(os.path.join(inner, name)):
                os.chmod(os.path.join(inner, name), 0o700)
    shutil.rmtree(folder)


def task_tool(job: Dict[str, Any], stream: Stream, pace: Pace) -> None:
    """Run one program; its output becomes records as the job says."""
    with Scratch(job.get("scratch")) as scratch:
        os.mkdir(os.path.join(scratch, "cache"))
        os.mkdir(os.path.join(scratch, "out"))
        if job.get("restic"):
            need_plain(job["restic"])
        stand_in = os.path.join(scratch, "repo")
        if job.get("borg"):
            make_shadow(job["borg"], stand_in)
        began = transaction(stand_in)
        words = [word.replace("{scratch}", scratch) for word in job["words"]]
        child, said = start(words, environment(job, scratch), stream, job.get("give_up"))
        try:
            read = {"lines": say_lines, "rows": say_rows, "tar": send_tar}[job["output"]]
            read(child.stdout, job, stream)
            code = child.wait()
        finally:
            end_child(child, said)
        if 0 < transaction(stand_in) < began:
            stream.say("error", text="%s %d -> %d" % (WENT_BACK, began, transaction(stand_in)))
        if job.get("collect"):
            collect(job["collect"], os.path.join(scratch, "out"), stream, pace)
        stream.say("exit", code=code)


def environment(job: Dict[str, Any], scratch: str) -> Dict[str, str]:
    """Return the surroundings of a tool: every cache in scratch, secrets from the job."""
    given = {name: text.replace("{scratch}", scratch) for name, text in job["env"].items()}
    keys = borg_keys() if job.get("borg") else {}
    return dict(surroundings(scratch), **keys, **given)


def borg_keys() -> Dict[str, str]:
    """Return where borg finds the user's own key files, all else of borg's being in scratch.

    In keyfile mode the key is not in the repository. A folder that is not there borg would make.
    """
    place = os.environ.get("BORG_KEYS_DIR") or os.path.expanduser("~/.config/borg/keys")
    return {"BORG_KEYS_DIR": place} if os.path.isdir(place) else {}


def start(
    words: List[str], env: Dict[str, str], stream: Stream, give_up: Optional[list]
) -> Tuple[Any, threading.Thread]:
    """Start a program in a group of its own, and read what it says on standard error.

    It is ended when it has said the text that `give_up` names so many times.
    """
    try:
        child = subprocess.Popen(
            words,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except (FileNotFoundError, PermissionError):
        raise Refused("tool", "没有安装 %s" % words[0])
    said = threading.Thread(target=say_errors, args=(child, stream, give_up), daemon=True)
    said.start()
    return child, said


def end_child(child: Any, said: threading.Thread) -> None:
    """End a program that still runs, and what it started; hear the rest of what it said."""
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    said.join(5)
    child.stdout.close()
    child.stderr.close()


def need_plain(folder: str) -> None:
    """Refuse a pipe or a device among a repository's files: a tool would wait for it for ever."""
    try:
        with os.scandir(folder) as found:
            for one in found:
                if one.is_dir(follow_symlinks=False):
                    need_plain(one.path)
                elif not (one.is_symlink() or one.is_file()):
                    raise Refused("damaged", "%s 既不是文件也不是目录" % one.path)
    except OSError:
        pass  # the tool meets it too, and tells what it is


def make_shadow(repository: str, place: str) -> None:
    """Stand a borg repository up in scratch: what it writes to copied, its files linked.

    borg writes into a repository that it merely reads, and deletes in it; in this one it may. What
    it does not read it is not given: of a `config.old` it would overwrite what the link leads to.
    """
    os.mkdir(place)
    need_folder(os.fsencode(repository))
    need_plain(repository)
    for name in ("config", "nonce"):
        source = os.path.join(repository, name)
        if os.path.isfile(source):
            try:
                shutil.copyfile(source, os.path.join(place, name))
            except OSError as error:  # of one that met it while reading, Python names no file
                raise refusal_of(error, source)
    for name in os.listdir(repository):
        if name.startswith(("index.", "hints.", "integrity.")):
            link_files(os.path.join(repository, name), os.path.join(place, name), 0)
    if os.path.lexists(os.path.join(repository, "data")):
        link_files(os.path.join(repository, "data"), os.path.join(place, "data"), 2)


def link_files(source: str, target: str, depth: int) -> None:
    """Link a file, or every file of a folder by itself: a link to the folder would let them go.

    A folder where a file has to be stays an obstacle.
    """
    if not os.path.isdir(source):
        os.symlink(os.path.abspath(source), target)
        return
    os.mkdir(target)
    for name in os.listdir(source) if depth else ():
        link_files(os.path.join(source, name), os.path.join(target, name), depth - 1)


def transaction(stand_in: str) -> int:
    """Return the last transaction that a borg repository has an index of; 0 where it has none.

    borg writes the index when a transaction is committed, and an older one when it finds that the
    commit is not among the segments: it says nothing of that, and the newest archive is no more.
    """
    names = os.listdir(stand_in) if os.path.isdir(stand_in) else []
    return max([int(one[6:]) for one in names if re.match(r"index\.[0-9]+$", one)] or [0])


def say_errors(child: Any, stream: Stream, give_up: Optional[list]) -> None:
    """Tell each line of standard error; end what only says the same again and again."""
    text, times = give_up or ("\n\n", 1)
    for line in iter(lambda: child.stderr.readline(LINE_BYTES), b""):
        said = line.decode("utf-8", "replace").rstrip("\n")
        stream.say("error", text=said)
        times -= text in said
        if times == 0 and child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)


def say_lines(pipe: IO[bytes], _job: Dict[str, Any], stream: Stream) -> None:
    """Tell each line of standard output."""
    for line in iter(lambda: pipe.readline(LINE_BYTES), b""):
        stream.say("line", text=line.decode("utf-8", "replace").rstrip("\n"))


def say_rows(pipe: IO[bytes], job: Dict[str, Any], stream: Stream) -> None:
    """Tell the files of a listing in JSON lines, folder by folder, as `task_list` does."""
    names = job["names"]
    folder, rows = None, []  # type: Optional[bytes], List[list]
    for line in pipe:
        path, row = row_of(json.loads(line.decode("utf-8", "replace")), names)
        if row is None:
            continue
        if path != folder or len(rows) == FILES_A_RECORD:
            flush_rows(folder, rows, stream)
            folder, rows = path, []
        rows.append(row)
    flush_rows(folder, rows, stream)


def flush_rows(folder: Optional[bytes], rows: List[list], stream: Stream) -> None:
    """Tell the files of one folder."""
    if folder is not None:
        stream.say(
            "folder", path=b64(folder), files=[row for row in rows if row], last=True, written=0
        )
        stream.count("files", len(rows))


def row_of(node: Dict[str, Any], names: Dict[str, str]) -> Tuple[bytes, Optional[list]]:
    """Return the folder and the row of one node; an empty row for a folder itself."""
    if node.get("path") is None:
        return b"", None
    path = node["path"].encode("utf-8", "surrogateescape")
    if node["type"] in ("dir", "d"):
        return path, []
    if node["type"] not in ("file", "-", "h"):
        return b"", None
    folder, _, name = path.rpartition(b"/")
    link = node.get("source") or None
    return folder, [b64(name), node.get("size", 0), node.get(names["mtime"], ""), link]


def send_tar(pipe: IO[bytes], job: Dict[str, Any], stream: Stream) -> None:
    """Send the regular files of a tar stream."""
    wanted = job["keys"]  # what to call them, by their paths
    try:
        with tarfile.open(
            fileobj=pipe, mode="r|", encoding="utf-8", errors="surrogateescape"
        ) as archive:
            for member in archive:
                send_member(archive, member, wanted, stream)
    except (tarfile.TarError, EOFError) as error:
        stream.say("error", text="tar: %s" % error)  # what was not sent whole is missing
    for _ in iter(partial(pipe.read, BLOCK_BYTES), b""):
        pass  # what follows the last member must be taken, or the tool never ends


def send_member(archive: Any, member: Any, wanted: Dict[str, str], stream: Stream) -> None:
    """Send one member of a tar stream where it is wanted."""
    name = b64(member.name.encode("utf-8", "surrogateescape"))
    content = archive.extractfile(member) if member.isreg() else None
    if content is not None and name in wanted:
        send_blocks(iter(partial(content.read, BLOCK_BYTES), b""), wanted[name], stream)
    elif member.islnk() and name in wanted:
        first = b64(member.linkname.encode("utf-8", "surrogateescape"))
        stream.say("link", path=wanted[name], to=wanted.get(first, ""))


def collect(wanted: Dict[str, str], out: str, stream: Stream, pace: Pace) -> None:
    """Send what a tool restored, under the names that the job gave."""
    for name, place in wanted.items():
        send_file(os.path.join(os.fsencode(out), unb64(place).lstrip(b"/")), name, stream, pace)


TASKS["tool"] = task_tool
