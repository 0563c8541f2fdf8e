"""Where the agent runs: on this machine, or on a host over SSH. The script is the same.

Authorisation and host keys are those of the inspection: `log_in` asks for the permission right
before it connects, and knows no key but the registered one.
"""

import asyncio
import base64
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, Protocol

import asyncssh

from mailcare.backup.agent.protocol import CutOff
from mailcare.backup.source import NotReached
from mailcare.errors import MailcareError, NotAuthorised
from mailcare.inspection.collect.scene import Scene
from mailcare.inspection.collect.ssh_login import NoLogin, hang_up, log_in
from mailcare.systems.site import Node

START_S = 60.0
END_S = 30.0
SILENCE_S = 60.0  # the agent says something every five seconds
CHUNK_BYTES = 256 * 1024
_PENDING_CHUNKS = 64
_FLAGS = ("-I", "-S", "-B", "-")
_AGENT = "mailcare.backup.agent"
_SCRIPT, _ARCHIVE_PARTS = "script", ("packed", "tar", "zips", "zstd", "archive")
_PARTS = {"tool": ("tools",), "archive": _ARCHIVE_PARTS, "members": _ARCHIVE_PARTS}
_WHOLE = """\
import sys, types
for name, source in {parts}:
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(source, name, "exec"), module.__dict__)
sys.exit(sys.modules["{script}"].main({text!r}))
"""
# A host's own Python may have another name; what is older than 3.6 cannot read the script.
_FIND_INTERPRETER = """\
for python in python3 /usr/libexec/platform-python; do
  if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 6))' 2>/dev/null; then
    echo "python $python"; exit
  fi
done
for tool in awk base64 dd df find grep od sed sha256sum sort stat tr xargs; do
  command -v $tool >/dev/null || { echo none; exit; }
done
echo shell sh
"""


@dataclass(frozen=True, slots=True)
class Job:
    """What the agent shall do; what it is given may hold secrets and never shows in a repr."""

    task: str
    given: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def script(self) -> bytes:
        """Return the agent as one text, its parts as modules in it, with this job at its end."""
        names = (_SCRIPT, *_PARTS.get(self.task, ()))
        parts = [(f"{_AGENT}.{name}", _source(f"{name}.py")) for name in names]
        text = json.dumps({"task": self.task, **self.given})
        return _WHOLE.format(parts=ascii(parts), script=parts[0][0], text=text).encode("ascii")

    def shell_script(self) -> bytes:
        """Return the agent for a host without Python, with this job before it."""
        source = _source("script.sh").encode()
        given = self.given
        paths = given.get("paths", ())
        names = map(os.fsencode if self.task == "look" else base64.b64decode, paths)
        cursor = given.get("cursor")
        values = {
            "TASK": self.task,
            "ROOT": _escaped(os.fsencode(given.get("root", ""))),
            "CURSOR": "" if cursor is None else _sorting(base64.b64decode(cursor)),
            "PATHS": "\n".join(map(_escaped, names)),
            "FIRST": str(given.get("first", 0)),
        }
        told = "".join(f"{name}='{value}'\n" for name, value in values.items())
        return told.encode() + source

    def with_(self, **more: Any) -> "Job":  # what a task is given is JSON, and its own business
        """Return the job with something else given."""
        return Job(self.task, {**self.given, **more})


def _source(name: str) -> str:
    return resources.files(_AGENT).joinpath(name).read_text("utf-8")


def _escaped(name: bytes) -> str:
    return "".join(f"\\{byte:03o}" for byte in name)


def _sorting(cursor: bytes) -> str:
    """Return a folder as the script compares it with others, below the dot that it begins at."""
    path = b"./" + cursor if cursor else b"."
    return _escaped(path).replace("\\057", "\\000").replace("\\", "/")


class Seat(Protocol):
    """A machine on which the agent can run."""

    @property
    def name(self) -> str:
        """Return what people call it."""
        ...

    def stream(self, job: Job) -> Iterator[bytes]:
        """Run a job and yield its output; raise `CutOff` where that breaks off.

        Raise `NotReached` where the agent cannot be started at all.
        """
        ...


@dataclass(frozen=True, slots=True)
class Here:
    """The machine that mailcare itself runs on."""

    name: str = "本机"

    def stream(self, job: Job) -> Iterator[bytes]:
        """Run a job in a process of its own."""
        child = subprocess.Popen(
            [sys.executable, *_FLAGS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert child.stdin
        assert child.stdout
        feeder = threading.Thread(target=_feed, args=(child, job.script()), daemon=True)
        feeder.start()
        try:
            while data := os.read(child.stdout.fileno(), CHUNK_BYTES):
                yield data
        finally:
            _end(child)
            feeder.join(5)


def _feed(child: subprocess.Popen[bytes], script: bytes) -> None:
    assert child.stdin
    with suppress(BrokenPipeError):
        child.stdin.write(script)
        child.stdin.close()


def _end(child: subprocess.Popen[bytes]) -> None:
    """Let the agent end by itself, so that it removes its scratch; then insist."""
    assert child.stdout
    assert child.stderr
    child.stdout.close()
    if child.poll() is None:
        with suppress(ProcessLookupError):
            child.send_signal(signal.SIGTERM)
    try:
        child.wait(END_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    child.stderr.close()


@dataclass(frozen=True, slots=True)
class There:
    """A host of the site, over SSH; one connection for each job."""

    node: Node
    scene: Scene = field(repr=False)

    @property
    def name(self) -> str:
        """Return the host's name in the site file."""
        return self.node.name

    def stream(self, job: Job) -> Iterator[bytes]:
        """Run a job over SSH; the connection lives in a thread of its own."""
        visit = _Visit(self.node, self.scene, job)
        worker = threading.Thread(target=visit.run, daemon=True)
        worker.start()
        try:
            yield from visit.chunks()
        finally:
            visit.is_over.set()
            worker.join(10)


_End = Exception | None


@dataclass(slots=True)
class _Visit:
    """One job on one host: the thread that talks to it, and the queue to the one that reads."""

    node: Node
    scene: Scene
    job: Job
    pending: queue.Queue[bytes | _End] = field(default_factory=lambda: queue.Queue(_PENDING_CHUNKS))
    is_over: threading.Event = field(default_factory=threading.Event)

    def chunks(self) -> Iterator[bytes]:
        """Yield what comes; raise what the thread met with."""
        while True:
            one = self.pending.get()
            if isinstance(one, bytes):
                yield one
            elif one is not None:
                raise one
            else:
                return

    def run(self) -> None:
        """Talk to the host and leave the outcome in the queue."""
        ending: _End = None
        try:
            asyncio.run(self._talk())
        except (NotReached, CutOff, MailcareError) as error:
            ending = error
        except (asyncssh.Error, OSError) as error:
            detail = " ".join(str(error).split()) or type(error).__name__
            ending = CutOff(f"连接中断（{detail}）")
        self._put(ending)

    def _put(self, one: bytes | _End) -> bool:
        while not self.is_over.is_set():
            with suppress(queue.Full):
                self.pending.put(one, timeout=0.2)
                return True
        return False

    async def _talk(self) -> None:
        connection = await self._connection()
        try:
            command, script = await self._interpreter(connection)
            async for data in self._output(connection, command, script):
                if not await asyncio.to_thread(self._put, data):
                    return
        finally:
            await hang_up(connection)

    async def _connection(self) -> asyncssh.SSHClientConnection:
        if self.node.ssh is None:
            raise NotReached("unreachable", "站点文件未填写该主机的 ssh", subject=self.node.name)
        try:
            return await log_in(self.node, self.node.ssh, scene=self.scene, note=_unheard)
        except NoLogin as failure:
            raise NotReached("unreachable", str(failure), subject=self.node.name) from None
        except NotAuthorised as refusal:
            raise NotReached("authorisation", str(refusal)) from None

    async def _interpreter(self, connection: asyncssh.SSHClientConnection) -> tuple[str, bytes]:
        """Return the command that reads the agent on that host, and the agent for it."""
        found = await connection.run("sh -s", input=_FIND_INTERPRETER, timeout=START_S)
        word, _, path = str(found.stdout or "").strip().partition(" ")
        if word == "python":
            return f"{path} {' '.join(_FLAGS)}", self.job.script()
        if word == "shell":
            return f"{path} -s", self.job.shell_script()
        message = "主机上没有 Python 3.6 以上版本，也没有 find、stat、sha256sum 等基本工具"
        raise NotReached("tool", message, subject=self.node.name)

    async def _output(
        self, connection: asyncssh.SSHClientConnection, command: str, script: bytes
    ) -> AsyncIterator[bytes]:
        process = await connection.create_process(command, stderr=asyncssh.DEVNULL, encoding=None)
        process.stdin.write(script)
        process.stdin.write_eof()
        while True:
            try:
                async with asyncio.timeout(SILENCE_S):
                    data = await process.stdout.read(CHUNK_BYTES)
            except TimeoutError:
                raise CutOff(f"主机 {SILENCE_S:g} 秒没有任何输出") from None
            if not data:
                return
            yield data


def _unheard(_event: str) -> None:
    """Let the login's record go: it is the inspection's, here only the outcome counts."""
