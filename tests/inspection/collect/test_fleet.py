"""Many hosts at once: none is lost, and one that does not answer holds up no other."""

import threading
from pathlib import Path

import pytest

from bench import targets
from bench.ask import ours
from mailcare.inspection.check import Answer, Ask, NoReply, Reply
from mailcare.inspection.collect.orchestra import HOSTS_AT_ONCE, collect_answers
from mailcare.inspection.collect.scene import Scene
from mailcare.secrets import find_secret
from mailcare.systems.site import Site
from mailcare.systems.system import System
from tests.inspection.collect.loopback import Peer, Server


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fleet")
    targets.make_keys(folder)
    return folder


def with_silent_host(system: System, port: int) -> System:
    """Let the first host be the one behind that port."""
    definition = system.site.model_dump(mode="json", by_alias=True)
    definition["nodes"][0] |= {"address": "127.0.0.1"}
    definition["nodes"][0]["ssh"]["port"] = port
    return System(Site.model_validate(definition), system.profile)


def test_more_hosts_than_are_asked_at_once_are_all_answered(folder):
    count = HOSTS_AT_ONCE + 20
    system = targets.system_of(count, targets.LIGHT_PORT, folder)
    with targets.light(folder):
        texts = ours(system, targets.facts_of(system))
    assert len(texts) == count


def test_a_silent_host_holds_up_no_other(folder):
    count = HOSTS_AT_ONCE + 5
    heard: set[str] = set()
    all_others = threading.Event()

    def say_nothing(_peer: Peer) -> None:
        assert all_others.wait(60), "the others wait for the silent host"

    def note(ask: Ask, answer: Answer) -> None:
        if isinstance(answer, Reply):
            heard.add(ask.node)
        if len(heard) == count - 1:
            all_others.set()

    with targets.light(folder), Server(say_nothing) as silent:
        system = targets.system_of(count, targets.LIGHT_PORT, folder)
        system = with_silent_host(system, silent.port)
        scene = Scene(system, find_secret, lambda _node: None)
        answers = collect_answers(targets.facts_of(system), scene, on_answer=note)
    assert all_others.is_set()
    assert {ask.node for ask, one in answers.items() if isinstance(one, NoReply)} == {"h0"}
