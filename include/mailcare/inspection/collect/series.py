"""A port tried again and again over a set time: the faults that come and go.

Words: `rounds SERVER PROTOCOL ROUNDS OVER_S PATH`; SERVER is address, port, TLS mode and host name,
PATH the page to ask for where PROTOCOL is https. Each round is a small conversation of its own,
with the ask's `timeout_s` for itself. The record holds a line a round: `# round 1 ok 12.3`
(milliseconds), `# round 2 failed timeout connect`, `# round 3 declined 421 4.3.2 …`: sent away, to
come back later. A port that is silent `GIVE_UP_AFTER` times from the start is no case of coming and
going, and each further round would only wait: `# gave-up`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic
from typing import Self

from mailcare.inspection.check import Answer, Ask, Reply
from mailcare.inspection.collect import imap, pop3, smtp
from mailcare.inspection.collect.dialogue import (
    FAREWELL_S,
    Declined,
    Dialogue,
    Interrupted,
    Script,
    Server,
    any_certificate,
    hang_up,
    source_of,
)
from mailcare.inspection.collect.scene import Scene

GIVE_UP_AFTER = 3
_SAID_WIDTH = 120
_COME_BACK = {  # how each protocol tells a client that it comes too often
    "smtp": ("4",),  # RFC 5321 4.2
    "submission": ("4",),
    "imap": ("* BYE",),  # RFC 3501 7.1.5
    "pop3": ("-ERR",),
    "https": ("HTTP/1.1 429", "HTTP/1.0 429"),  # RFC 6585 4
}

Turn = Callable[[Callable[[], str]], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Series:
    """What is tried, how often, and over how many seconds."""

    server: Server
    protocol: str
    rounds: int
    over_s: float
    path: str

    @classmethod
    def of(cls, words: tuple[str, ...]) -> Self:
        """Read the words of an ask."""
        protocol, rounds, over_s, path = words[5:9]
        return cls(Server.of(words[1:5]), protocol, int(rounds), float(over_s), path)

    def pause_s(self) -> float:
        """Return the seconds from the start of a round to that of the next."""
        return self.over_s / max(self.rounds - 1, 1)


async def probe(ask: Ask, scene: Scene, turn: Turn) -> Answer:
    """Hold the rounds, `pause_s` apart; `turn` carries out one round as soon as it may.

    Between the rounds nothing is held: no thread, no connection, no server's lock.
    """
    series = Series.of(ask.words)
    outcomes: list[str] = []
    started = monotonic()
    while len(outcomes) < series.rounds and not _is_shut(outcomes):
        due_s = started + len(outcomes) * series.pause_s() - monotonic()
        await asyncio.sleep(max(due_s, 0))
        outcomes.append(await turn(lambda: one_round(ask, scene)))
    lines = [f"# series {series.protocol} {series.rounds} {series.over_s:g}"]
    lines += [f"# round {number} {outcome}" for number, outcome in enumerate(outcomes, start=1)]
    is_whole = len(outcomes) == series.rounds
    lines += [] if is_whole else ["# gave-up"]
    return Reply("\n".join(lines) + "\n", int(not is_whole), scene.now(), source_of(ask))


def _is_shut(outcomes: list[str]) -> bool:
    silent = ("failed timeout", "failed unreachable")
    return len(outcomes) == GIVE_UP_AFTER and all(one.startswith(silent) for one in outcomes)


def one_round(ask: Ask, scene: Scene) -> str:
    """Hold one conversation; return how it went and, where it went well, its milliseconds."""
    series = Series.of(ask.words)
    talk, farewell = _conversation(series, scene.system.site.ehlo_name)
    started = monotonic()
    with Dialogue(timeout_s=ask.timeout_s) as dialogue:
        try:
            talk(dialogue)
        except Interrupted as broken:
            return f"failed {broken}"
        except Declined:
            return _refusal(dialogue, farewell, series.protocol)
        elapsed_ms = (monotonic() - started) * 1000
        _part(dialogue, farewell)
    return f"ok {elapsed_ms:.1f}"


def _conversation(series: Series, ehlo_name: str) -> tuple[Script, Script]:
    server = series.server
    if series.protocol == "imap":
        return (lambda dialogue: imap.greet(dialogue, server)), imap.log_out
    if series.protocol == "pop3":
        return (lambda dialogue: pop3.greet(dialogue, server)), pop3.quit_politely
    if series.protocol == "https":
        return (lambda dialogue: _get(dialogue, server, series.path)), hang_up
    return (lambda dialogue: _greet_smtp(dialogue, server, ehlo_name)), smtp.quit_politely


def _greet_smtp(dialogue: Dialogue, server: Server, ehlo_name: str) -> None:
    smtp.greet(dialogue, server, ehlo_name)


def _get(dialogue: Dialogue, server: Server, path: str) -> None:
    """Ask for the page and take its status; a server's own error is a failure (RFC 9110 15.6)."""
    dialogue.connect(server.address, server.port)
    if server.tls != "none":
        dialogue.start_tls(any_certificate(), server.name)
    request = (f"GET {path} HTTP/1.1", f"Host: {server.name}", "User-Agent: mailcare")
    dialogue.say_together(*request, "Connection: close", "")
    version, _, status = dialogue.hear().partition(" ")
    if not version.startswith("HTTP/") or status[:1] not in ("2", "3", "4") or status[:3] == "429":
        raise Declined


def _refusal(dialogue: Dialogue, farewell: Script, protocol: str) -> str:
    said = [line[2:] for line in dialogue.text().splitlines() if line.startswith("< ")][-1]
    _part(dialogue, farewell)
    word = "declined" if said.startswith(_COME_BACK[protocol]) else "failed"
    return f"{word} {said[:_SAID_WIDTH]}"


def _part(dialogue: Dialogue, farewell: Script) -> None:
    dialogue.extend(FAREWELL_S)
    try:
        farewell(dialogue)
    except (Interrupted, Declined):
        return
