import asyncio
import threading
from dataclasses import replace
from itertools import count

import pytest

from mailcare.inspection.check import Ask, Channel, Reply
from mailcare.inspection.collect import series
from mailcare.inspection.collect.orchestra import collect_answers
from tests.inspection.collect.loopback import (
    HOSTNAME,
    IMAP_ANSWERS,
    IMAP_GREETING,
    POP3_ANSWERS,
    POP3_GREETING,
    SMTP_ANSWERS,
    SMTP_GREETING,
    Peer,
    Server,
    Talk,
    closed_port,
    converses,
    hangs,
    self_signed,
    sends,
)
from tests.inspection.collect.probing import scene
from tests.inspection.collect.test_orchestra import Counting

PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"


def series_ask(
    port: int,
    protocol: str,
    *,
    tls: str = "none",
    rounds: int = 3,
    over_s: float = 0,
    timeout_s: float = 5.0,
) -> Ask:
    words = ("127.0.0.1", str(port), tls, HOSTNAME, protocol, str(rounds), str(over_s), "/")
    return Ask(Channel.SERIES, ("rounds", *words), timeout_s, "mx1")


def tried(ask: Ask) -> Reply:
    answer = collect_answers([ask], scene())[ask]
    assert isinstance(answer, Reply)
    return answer


def rounds_of(reply: Reply) -> list[str]:
    rows = [row.split(maxsplit=3)[3] for row in reply.text.splitlines() if row[:8] == "# round "]
    assert rows
    return rows


def answers_page(peer: Peer) -> None:
    while peer.reader.readline().strip():
        pass
    peer.sendall(PAGE)


def in_turn(*talks: Talk) -> Talk:
    """Serve the first connection by the first talk, and so on, over and over."""
    number = count()
    lock = threading.Lock()

    def talk(peer: Peer) -> None:
        with lock:
            chosen = talks[next(number) % len(talks)]
        chosen(peer)

    return talk


@pytest.mark.parametrize(
    ("protocol", "tls", "talk"),
    [
        ("smtp", "starttls", converses(SMTP_GREETING, SMTP_ANSWERS)),
        ("imap", "none", converses(IMAP_GREETING, IMAP_ANSWERS)),
        (
            "imap",
            "implicit",
            converses(IMAP_GREETING, IMAP_ANSWERS, tls=self_signed().context(), implicit=True),
        ),
        ("pop3", "starttls", converses(POP3_GREETING, POP3_ANSWERS)),
        ("https", "none", answers_page),
    ],
)
def test_each_round_is_a_conversation_of_its_own(protocol, tls, talk):
    with Server(talk) as server:
        reply = tried(series_ask(server.port, protocol, tls=tls))
    assert reply.exit_code == 0
    assert reply.text.startswith(f"# series {protocol} 3 0\n# round 1 ok ")
    assert [row.split()[0] for row in rounds_of(reply)] == ["ok", "ok", "ok"]


def test_the_good_and_the_bad_rounds_are_told_apart():
    good = converses(SMTP_GREETING, SMTP_ANSWERS)
    with Server(in_turn(good, sends(b""), sends(b"554 no\r\n"), good)) as server:
        reply = tried(series_ask(server.port, "smtp", rounds=4))
    first, second, third, fourth = rounds_of(reply)
    assert first.startswith("ok ")
    assert second == "failed closed"
    assert third == "failed 554 no"
    assert fourth.startswith("ok ")


@pytest.mark.parametrize(
    ("protocol", "greeting"),
    [
        ("smtp", b"421 4.7.0 too many connections\r\n"),
        ("imap", b"* BYE too many connections\r\n"),
        ("pop3", b"-ERR [SYS/TEMP] too many connections\r\n"),
        ("https", b"HTTP/1.1 429 Too Many Requests\r\n\r\n"),
    ],
)
def test_a_server_that_asks_us_to_come_back_is_counted_apart(protocol, greeting):
    def talk(peer: Peer) -> None:
        while protocol == "https" and peer.reader.readline().strip():
            pass
        peer.sendall(greeting)

    with Server(talk) as server:
        reply = tried(series_ask(server.port, protocol, rounds=4))
    assert len(rounds_of(reply)) == 4
    assert {row.split()[0] for row in rounds_of(reply)} == {"declined"}


def test_a_page_that_is_the_servers_own_error_is_a_failure():
    def talk(peer: Peer) -> None:
        while peer.reader.readline().strip():
            pass
        peer.sendall(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")

    with Server(in_turn(talk, answers_page)) as server:
        reply = tried(series_ask(server.port, "https", rounds=2))
    assert rounds_of(reply)[0] == "failed HTTP/1.1 502 Bad Gateway"


def test_a_silent_server_is_given_up_within_the_time_of_a_round():
    with Server(in_turn(hangs, converses(IMAP_GREETING, IMAP_ANSWERS))) as server:
        reply = tried(series_ask(server.port, "imap", rounds=2, timeout_s=0.2))
    assert rounds_of(reply)[0].startswith("failed timeout")


def test_a_port_that_stays_silent_is_given_up_soon():
    with Server(hangs) as server:
        reply = tried(series_ask(server.port, "imap", rounds=50, timeout_s=0.1))
    assert len(rounds_of(reply)) == series.GIVE_UP_AFTER
    assert reply.text.endswith("# gave-up\n")
    assert reply.exit_code == 1


def test_a_port_that_refuses_at_once_is_tried_to_the_end():
    # Of a service that loses every other connection the first three may fail by chance.
    reply = tried(series_ask(closed_port(), "imap", rounds=7))
    assert rounds_of(reply) == ["failed refused"] * 7


def test_a_series_waits_its_pause_between_the_rounds():
    assert series.Series.of(series_ask(1, "imap", rounds=5, over_s=8).words).pause_s() == 2
    assert series.Series.of(series_ask(1, "imap", rounds=1, over_s=8).words).pause_s() == 8


def test_several_series_never_speak_to_one_smtp_server_at_once():
    counting = Counting()
    with Server(counting.talk) as server:
        asks = [
            replace(series_ask(server.port, "smtp", rounds=3), sample=number) for number in range(3)
        ]
        answers = collect_answers(asks, scene())
    assert counting.total == 9
    assert counting.most == 1
    assert len(answers) == 3


def test_series_that_sleep_hold_up_no_other_probe():
    told: list[Channel] = []
    with Server(converses(IMAP_GREETING, IMAP_ANSWERS)) as server:
        sleeping = [
            replace(series_ask(server.port, "imap", rounds=2, over_s=1), sample=number)
            for number in range(60)
        ]
        quick = Ask(Channel.TCP, ("connect", "127.0.0.1", str(server.port)), 5.0, "mx1")
        collect_answers(
            [*sleeping, quick], scene(), on_answer=lambda one, _: told.append(one.channel)
        )
    assert told[0] is Channel.TCP
    assert len(told) == 61


def test_every_round_has_its_turn():
    turns: list[str] = []

    async def turn(work):
        turns.append("turn")
        return work()

    with Server(converses(POP3_GREETING, POP3_ANSWERS)) as server:
        ask = series_ask(server.port, "pop3", rounds=4)
        asyncio.run(series.probe(ask, scene(), turn))
    assert len(turns) == 4
