"""Put all asks of a plan to the network: hosts and probes side by side, in a bounded number."""

import asyncio
import gc
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

from mailcare.errors import MailcareError
from mailcare.inspection.check import Answer, Ask, Channel, NoReply, Reply
from mailcare.inspection.collect import (
    dns,
    functions,
    https,
    imap,
    loop,
    pop3,
    series,
    smtp,
    ssh,
    tcp,
    tls,
)
from mailcare.inspection.collect.scene import Scene
from mailcare.inspection.planning import by_node, hosts_touched
from mailcare.systems.profile import Protocol

PROBES_AT_ONCE = 16
TRAVELS_AT_ONCE = 16  # probes that wait for a mail, perhaps for an hour, hold up no other
HOSTS_AT_ONCE = 64

DoneT = TypeVar("DoneT")
OnAnswer = Callable[[Ask, Answer], None]
Probe = Callable[[Ask, Scene], Answer]

PROBES: Mapping[Channel, Probe] = {
    Channel.TCP: tcp.probe,
    Channel.SMTP: smtp.probe,
    Channel.IMAP: imap.probe,
    Channel.POP3: pop3.probe,
    Channel.HTTPS: https.probe,
    Channel.TLS: tls.probe,
    Channel.DNS: dns.probe,
    Channel.LOOP: loop.probe,
    Channel.FUNCTION: functions.probe,
}
_SILENT_REPLY = re.compile(r"^# (?:timeout connect|unreachable)", re.MULTILINE)
_SILENT_ROUND = ("failed timeout connect", "failed unreachable")
_TRAVELS = (Channel.LOOP, Channel.FUNCTION)
_SMTP = {Protocol.SMTP, Protocol.SUBMISSION}


def collect_answers(
    asks: Iterable[Ask], scene: Scene, *, on_answer: OnAnswer = lambda _ask, _answer: None
) -> dict[Ask, Answer]:
    """Return an answer to every ask; `on_answer` is told of each as it comes in.

    One SSH connection a host, one SMTP conversation a server at a time. What goes wrong on the
    way is a `NoReply`, never an exception.
    """
    return asyncio.run(_collect(tuple(asks), scene, on_answer))


async def _collect(asks: tuple[Ask, ...], scene: Scene, on_answer: OnAnswer) -> dict[Ask, Answer]:
    answers: dict[Ask, Answer] = {}

    def take(ask: Ask, answer: Answer) -> None:
        answers[ask] = answer
        on_answer(ask, answer)

    groups = by_node(asks)
    probes = groups.pop("", ())
    hosts = asyncio.Semaphore(HOSTS_AT_ONCE)

    async def visit(number: int, node: str, host_asks: tuple[Ask, ...]) -> None:
        async with hosts:
            await _ask_host(node, host_asks, scene, take)
        if number % HOSTS_AT_ONCE == 0:
            # A closed connection refers to itself: many would wait for Python's rare full round.
            gc.collect()

    async with asyncio.TaskGroup() as tasks:
        for number, (node, host_asks) in enumerate(groups.items(), 1):
            tasks.create_task(visit(number, node, host_asks))
        tasks.create_task(_ask_network(probes, scene, take))
    return answers


async def _ask_host(node: str, asks: tuple[Ask, ...], scene: Scene, take: OnAnswer) -> None:
    try:
        await ssh.ask_host(scene.system.node(node), asks, scene, take)
    except MailcareError as error:
        for ask in asks:
            take(ask, _refusal(ask, error, scene))


async def _ask_network(asks: tuple[Ask, ...], scene: Scene, take: OnAnswer) -> None:
    worker = _Worker(scene)
    threads = ThreadPoolExecutor(PROBES_AT_ONCE + TRAVELS_AT_ONCE)
    asyncio.get_running_loop().set_default_executor(threads)  # its own has few on a small machine
    async with asyncio.TaskGroup() as tasks:
        for ask in asks:
            tasks.create_task(_ask_probe(ask, worker, scene, take))


class _Worker:
    """Carries out conversations: so many at once, and one at a time with each SMTP server.

    A port that gives no sign of life has no conversation to be disturbed: once that has shown,
    those who want to try it too do so side by side, until it answers one of them.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._probes = asyncio.Semaphore(PROBES_AT_ONCE)
        self._travels = asyncio.Semaphore(TRAVELS_AT_ONCE)
        self._servers: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._silent: set[tuple[str, ...]] = set()

    async def carry_out(self, ask: Ask, conversation: Callable[[], DoneT]) -> DoneT:
        """Hold a conversation in a thread when its turn has come and the customer permits it."""
        limit = self._travels if ask.channel in _TRAVELS else self._probes
        async with self._turn(ask), limit:
            for host in hosts_touched(ask, self._scene.system):
                self._scene.permit(host)
            done = await asyncio.to_thread(conversation)
            note = self._silent.add if _met_silence(done) else self._silent.discard
            note(_port(ask))
            return done

    @asynccontextmanager
    async def _turn(self, ask: Ask) -> AsyncIterator[None]:
        if _speaks_smtp(ask):
            async with self._servers[ask.node]:
                if _port(ask) not in self._silent:
                    yield
                    return
        yield


def _port(ask: Ask) -> tuple[str, ...]:
    return ask.words[1:3]  # its address and number, behind the verb of every ask to a port


def _met_silence(done: object) -> bool:
    """Tell whether an answer, or a round of a series, says that not even a connection was made."""
    if isinstance(done, Reply):
        return _SILENT_REPLY.search(done.text) is not None
    return isinstance(done, str) and done.startswith(_SILENT_ROUND)


def _speaks_smtp(ask: Ask) -> bool:
    return ask.channel is Channel.SMTP or (
        ask.channel in (Channel.TLS, Channel.SERIES) and not _SMTP.isdisjoint(ask.words)
    )


async def _ask_probe(ask: Ask, worker: _Worker, scene: Scene, take: OnAnswer) -> None:
    try:
        answer = await _answer(ask, worker, scene)
    except MailcareError as error:
        answer = _refusal(ask, error, scene)
    take(ask, answer)


async def _answer(ask: Ask, worker: _Worker, scene: Scene) -> Answer:
    if ask.channel is Channel.SERIES:
        return await series.probe(ask, scene, lambda one: worker.carry_out(ask, one))
    return await worker.carry_out(ask, lambda: PROBES[ask.channel](ask, scene))


def _refusal(ask: Ask, error: MailcareError, scene: Scene) -> NoReply:
    source = f"{ask.channel}://{ask.node or 'worker'}"
    return NoReply(str(error), scene.now(), source, permanent=error.permanent)
