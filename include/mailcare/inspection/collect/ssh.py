"""Ask one host everything in one round trip: log in, run the collector, read what it streams.

The ask without words is answered by the record of the login itself
(`# connecting`, `# connected`, `# server`, `# host-key`, then `# logged-in`, or what prevented it).
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import asyncssh

from mailcare.inspection.check import Answer, Ask, NoReply, Reply
from mailcare.inspection.collect.frames import (
    NO_OUTPUT,
    FrameStream,
    keyed,
    to_reply,
    why_missing,
)
from mailcare.inspection.collect.scene import Scene
from mailcare.inspection.collect.script import SAMPLE_WINDOW_S, collector_script, windows_of
from mailcare.inspection.collect.ssh_login import NoLogin, hang_up, log_in
from mailcare.systems.site import Node

ANSWERS_S = 120.0
REPLY_LIMIT_BYTES = 16 * 1024 * 1024
CHUNK_BYTES = 256 * 1024

Take = Callable[[Ask, Answer], None]


@dataclass(slots=True)
class _Visit:
    """One host, what is asked of it, and the record of the login so far."""

    node: Node
    asks: tuple[Ask, ...]
    scene: Scene
    take: Take
    record: list[str] = field(default_factory=list)
    source: str = field(init=False)

    def __post_init__(self) -> None:
        self.source = f"ssh://{self.node.name}"  # one for all its replies

    def note(self, event: str) -> None:
        self.record.append(f"# {event}\n")

    def tell_login(self, *, exit_code: int) -> None:
        for ask in self.asks:
            if not ask.words:
                text = "".join(self.record)
                self.take(ask, Reply(text, exit_code, self.scene.now(), self.source))

    def give_up(self, asks: Sequence[Ask], reason: str, *, permanent: bool = False) -> None:
        for ask in asks:
            answer = NoReply(reason, self.scene.now(), self.source, permanent=permanent)
            self.take(ask, answer)

    def commands(self) -> list[Ask]:
        return [ask for ask in self.asks if ask.words]


async def ask_host(node: Node, asks: tuple[Ask, ...], scene: Scene, take: Take) -> None:
    """Give `take` an answer to every ask; what goes wrong on the way is a `NoReply`.

    Raise `InputError` where the credential or the registered host key is of no use, and
    `NotAuthorised` where nobody permits the connection.
    """
    visit = _Visit(node, asks, scene, take)
    if node.ssh is None:
        visit.give_up(asks, "站点文件未填写该主机的 ssh，未登录", permanent=True)
        return
    try:
        connection = await log_in(node, node.ssh, scene=scene, note=visit.note)
    except NoLogin as failure:
        visit.note(failure.event)
        visit.tell_login(exit_code=1)
        visit.give_up(visit.commands(), str(failure), permanent=failure.permanent)
        return
    visit.tell_login(exit_code=0)
    try:
        await _collect(visit, connection)
    finally:
        await hang_up(connection)


async def _collect(visit: _Visit, connection: asyncssh.SSHClientConnection) -> None:
    waiting = keyed(visit.asks)
    stream = FrameStream()
    allowed_s = _allowed_s(visit.commands())
    reason = ""
    try:
        async with asyncio.timeout(allowed_s):
            reason = await _listen(visit, connection, stream, waiting)
    except TimeoutError:
        reason = f"主机在 {allowed_s:g} 秒内没有答完"
    except (asyncssh.Error, OSError) as error:
        reason = f"连接中断，回复不完整（{' '.join(str(error).split()) or type(error).__name__}）"
    for key, asks in waiting.items():
        visit.give_up(asks, reason or why_missing(stream, key))


def _allowed_s(asks: Sequence[Ask]) -> float:
    # Each command's limit, a second for its end, the sampling windows, and a margin for the link.
    windows_s = windows_of(asks) * SAMPLE_WINDOW_S
    return min(ANSWERS_S, sum(ask.timeout_s + 1 for ask in asks) + windows_s + 10)


async def _listen(
    visit: _Visit,
    connection: asyncssh.SSHClientConnection,
    stream: FrameStream,
    waiting: dict[str, list[Ask]],
) -> str:
    """Take the answers as they come; return why the rest is missing, empty where frames tell."""
    process = await connection.create_process("sh -s", stderr=asyncssh.DEVNULL, encoding=None)
    process.stdin.write(collector_script(visit.asks).encode())
    process.stdin.write_eof()
    received_bytes = 0
    first = b""
    while data := await process.stdout.read(CHUNK_BYTES):
        first = first or data
        for frame in stream.feed(data):
            reply = to_reply(frame, source=visit.source, taken_at=visit.scene.now())
            for ask in waiting.pop(frame.key, ()):
                visit.take(ask, reply)
        received_bytes += len(data)
        if received_bytes > REPLY_LIMIT_BYTES:
            return f"回复超过上限 {REPLY_LIMIT_BYTES // 1024 // 1024} MiB，已停止接收"
    return "" if stream.has_begun else _not_run(first)


def _not_run(output: bytes) -> str:
    line = output.decode("utf-8", "backslashreplace").strip().partition("\n")[0][:100]
    said = f"，主机回答：{line}" if line.isprintable() and line else ""
    return f"登录后{NO_OUTPUT}{said}"
