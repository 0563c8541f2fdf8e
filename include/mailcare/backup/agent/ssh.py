"""The agent on a host over SSH.

Authorisation and host keys are those of the inspection: `log_in` asks for the permission right
before it connects, and knows no key but the registered one.
"""

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import asyncssh

from mailcare.backup.agent.protocol import CutOff
from mailcare.backup.agent.seats import CHUNK_BYTES, FLAGS, Job
from mailcare.backup.source import NotReached
from mailcare.errors import MailcareError, NotAuthorised
from mailcare.inspection.collect.scene import Scene
from mailcare.inspection.collect.ssh_login import NoLogin, hang_up, log_in
from mailcare.systems.site import Node

START_S = 60.0
SILENCE_S = 60.0  # the agent says something every five seconds
_PENDING_CHUNKS = 64
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
            return f"{path} {' '.join(FLAGS)}", self.job.script()
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
