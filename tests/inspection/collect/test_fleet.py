"""Many hosts at once: none is lost, and one that does not answer holds up no other."""

import asyncio
import threading
from pathlib import Path

import asyncssh
import pytest

from bench import light, targets
from bench.ask import ours
from mailcare.inspection.check import Answer, Ask, NoReply, Reply
from mailcare.inspection.checks import all_checks
from mailcare.inspection.collect import orchestra
from mailcare.inspection.collect.orchestra import collect_answers
from mailcare.inspection.collect.scene import Scene
from mailcare.inspection.planning import plan_inspection
from mailcare.secrets import find_secret
from mailcare.systems.site import Site
from mailcare.systems.system import System
from tests.inspection.collect.loopback import Peer, Server, closed_port


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fleet")
    targets.make_keys(folder)
    return folder


@pytest.fixture
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> int:
    """Ask eight hosts at once: more logins together are for a machine that does nothing else."""
    monkeypatch.setattr(orchestra, "HOSTS_AT_ONCE", 8)
    return 8


def with_ports(system: System, *ports: int) -> System:
    """Let the first hosts be the ones behind these ports."""
    definition = system.site.model_dump(mode="json", by_alias=True)
    for number, port in enumerate(ports):
        definition["nodes"][number] |= {"address": "127.0.0.1"}
        definition["nodes"][number]["ssh"]["port"] = port
    return System(Site.model_validate(definition), system.profile)


def test_more_hosts_than_are_asked_at_once_are_all_answered(folder, few_at_once):
    count = few_at_once + 12
    system = targets.system_of(count, targets.LIGHT_PORT, folder)
    with targets.light(folder):
        texts = ours(system, targets.facts_of(system))
    assert len(texts) == count


def test_each_host_is_logged_in_to_once_however_much_is_asked(folder):
    logins: list[str] = []

    class Gate(asyncssh.SSHServer):
        def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
            logins.append(conn.get_extra_info("sockname")[0])

    async def answer(process: "asyncssh.SSHServerProcess[str]") -> None:
        process.stdout.write(light.framed(await process.stdin.read()))
        process.exit(0)

    async def inspect() -> None:
        server = await asyncssh.listen(
            "0.0.0.0",
            0,
            server_factory=Gate,
            server_host_keys=[str(folder / "host_key")],
            authorized_client_keys=str(folder / "login_key.pub"),
            process_factory=answer,
        )
        async with server:
            system = targets.system_of(8, server.get_port(), folder)
            asks = targets.everything_of(system)
            assert len(asks) > 8 * 20
            scene = Scene(system, find_secret, lambda _node: None)
            answers = await asyncio.to_thread(collect_answers, asks, scene)
        assert all(isinstance(one, Reply) for one in answers.values())
        assert sorted(logins) == sorted(node.address for node in system.site.nodes)

    asyncio.run(inspect())


def test_a_fleets_asks_are_one_object_however_many_checks_want_them(folder):
    system = targets.system_of(2, targets.LIGHT_PORT, folder)
    plan = plan_inspection(system, all_checks())
    asks = [ask for _, one in plan.questions for ask in (*one.asks, *one.asides)]
    assert len(asks) > len(set(asks))
    assert len({id(ask) for ask in asks}) == len(set(asks))


def test_a_dead_host_and_a_silent_one_hold_up_no_other(folder, few_at_once):
    count = few_at_once + 5
    heard: set[str] = set()
    all_others = threading.Event()

    def say_nothing(_peer: Peer) -> None:
        assert all_others.wait(60), "the others wait for the silent host"

    def note(ask: Ask, answer: Answer) -> None:
        if isinstance(answer, Reply):
            heard.add(ask.node)
        if len(heard) == count - 2:
            all_others.set()

    with targets.light(folder), Server(say_nothing) as silent:
        system = targets.system_of(count, targets.LIGHT_PORT, folder)
        system = with_ports(system, silent.port, closed_port())
        scene = Scene(system, find_secret, lambda _node: None)
        answers = collect_answers(targets.facts_of(system), scene, on_answer=note)
    assert all_others.is_set()
    assert {ask.node for ask, one in answers.items() if isinstance(one, NoReply)} == {"h0", "h1"}
