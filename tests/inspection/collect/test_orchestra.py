import asyncio
import threading
from dataclasses import replace

from mailcare.errors import NotAuthorised
from mailcare.inspection.check import Ask, Channel, NoReply, Reply
from mailcare.inspection.collect.orchestra import _Worker, collect_answers
from tests.inspection.collect.loopback import Peer, Server
from tests.inspection.collect.probing import ask, scene


class Counting:
    """An SMTP server that knows how many conversations it had at once."""

    def __init__(self) -> None:
        self.open = self.most = self.total = 0
        self._lock = threading.Lock()

    def talk(self, peer: Peer) -> None:
        with self._lock:
            self.open += 1
            self.total += 1
            self.most = max(self.most, self.open)
        threading.Event().wait(0.05)
        peer.sendall(b"220 mx1.shili-bank.example ESMTP\r\n")
        while line := peer.reader.readline():
            is_last = line.upper().startswith(b"QUIT")
            if is_last:
                with self._lock:
                    self.open -= 1
            peer.sendall(b"221 bye\r\n" if is_last else b"250 ok\r\n")
            if is_last:
                return


def refuse(_node: str) -> None:
    raise NotAuthorised("没有授权")


def test_a_server_has_one_smtp_conversation_at_a_time():
    counting = Counting()
    with Server(counting.talk) as server:
        asks = [replace(ask(Channel.SMTP, "greeting", server), sample=n) for n in range(5)]
        tls = replace(ask(Channel.TLS, "handshake", server, "smtp"), node="mx1")
        answers = collect_answers([*asks, tls], scene())
    assert counting.total >= 5
    assert counting.most == 1
    assert all(isinstance(answers[one], Reply) for one in asks)


def meet(*outcomes: str) -> list[bool]:
    """Hold conversations with one port that end so; tell whether the last two were held at once."""
    to_port = Ask(Channel.SMTP, ("relay", "127.0.0.1", "25", "none", ""), node="mx1")
    together = threading.Barrier(2)

    def meets() -> bool:
        try:
            together.wait(0.3)
        except threading.BrokenBarrierError:
            together.reset()
            return False
        return True

    async def hold() -> list[bool]:
        worker = _Worker(scene())
        for outcome in outcomes:
            await worker.carry_out(to_port, lambda outcome=outcome: outcome)
        last = (worker.carry_out(to_port, meets) for _ in range(2))
        return list(await asyncio.gather(*last))

    return asyncio.run(hold())


def test_a_port_without_a_sign_of_life_is_tried_side_by_side():
    assert meet("failed timeout connect") == [True, True]
    assert meet("failed unreachable No route to host") == [True, True]


def test_a_port_that_answers_again_is_talked_to_one_at_a_time_again():
    assert meet("failed refused") == [False, False]
    assert meet("failed timeout connect", "ok 3.0") == [False, False]


def test_without_permission_nothing_connects():
    counting = Counting()
    with Server(counting.talk) as server:
        probe = ask(Channel.SMTP, "greeting", server)
        command = Ask(Channel.SSH, ("cat", "/proc/uptime"), node="mx1")
        answers = collect_answers([probe, command], replace(scene(), permit=refuse))
    assert counting.total == 0
    for answer in (answers[probe], answers[command]):
        assert isinstance(answer, NoReply)
        assert answer.permanent
        assert "没有授权" in answer.reason


def test_each_answer_is_told_once_and_none_is_missing():
    told: list[Ask] = []
    with Server(Counting().talk) as server:
        asks = [replace(ask(Channel.SMTP, "greeting", server), sample=n) for n in range(4)]
        answers = collect_answers(asks, scene(), on_answer=lambda one, _answer: told.append(one))
    assert sorted(told, key=lambda one: one.sample) == asks
    assert set(answers) == set(asks)


def test_no_ask_is_no_work():
    assert collect_answers([], scene()) == {}
