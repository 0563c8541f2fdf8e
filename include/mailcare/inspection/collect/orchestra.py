"""Put all asks of a plan to the network: hosts and probes side by side, in a bounded number."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping

from mailcare.errors import MailcareError
from mailcare.inspection.check import Answer, Ask, Channel, NoReply
from mailcare.inspection.collect import dns, https, imap, loop, pop3, smtp, ssh, tcp, tls
from mailcare.inspection.collect.scene import Scene
from mailcare.inspection.planning import by_node, hosts_touched
from mailcare.systems.profile import Protocol

PROBES_AT_ONCE = 16
HOSTS_AT_ONCE = 64

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
}


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
    async with asyncio.TaskGroup() as tasks:
        for node, host_asks in groups.items():
            tasks.create_task(_within(hosts, _ask_host(node, host_asks, scene, take)))
        tasks.create_task(_ask_network(probes, scene, take))
    return answers


async def _within(limit: asyncio.Semaphore, work: Awaitable[None]) -> None:
    async with limit:
        await work


async def _ask_host(node: str, asks: tuple[Ask, ...], scene: Scene, take: OnAnswer) -> None:
    try:
        await ssh.ask_host(scene.system.node(node), asks, scene, take)
    except MailcareError as error:
        for ask in asks:
            take(ask, _refusal(ask, error, scene))


async def _ask_network(asks: tuple[Ask, ...], scene: Scene, take: OnAnswer) -> None:
    limit = asyncio.Semaphore(PROBES_AT_ONCE)
    servers: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
    async with asyncio.TaskGroup() as tasks:
        for ask in asks:
            work = _ask_probe(ask, scene, take)
            if _speaks_smtp(ask):
                work = _one_by_one(servers[ask.node], work)
            tasks.create_task(_within(limit, work))


def _speaks_smtp(ask: Ask) -> bool:
    return ask.channel is Channel.SMTP or (
        ask.channel is Channel.TLS
        and not {Protocol.SMTP, Protocol.SUBMISSION}.isdisjoint(ask.words)
    )


async def _one_by_one(server: asyncio.Lock, work: Awaitable[None]) -> None:
    async with server:
        await work


async def _ask_probe(ask: Ask, scene: Scene, take: OnAnswer) -> None:
    try:
        for host in hosts_touched(ask, scene.system):
            scene.permit(host)
        answer = await asyncio.to_thread(PROBES[ask.channel], ask, scene)
    except MailcareError as error:
        answer = _refusal(ask, error, scene)
    take(ask, answer)


def _refusal(ask: Ask, error: MailcareError, scene: Scene) -> NoReply:
    source = f"{ask.channel}://{ask.node or 'worker'}"
    return NoReply(str(error), scene.now(), source, permanent=error.permanent)
