"""POP3 conversations: a login and the size of the maildrop; nothing is fetched.

Words: `login SERVER MAILBOX`; SERVER is address, port, TLS mode and host name.
"""

import ssl

from mailcare.inspection.check import Answer, Ask
from mailcare.inspection.collect.dialogue import (
    SECRET,
    Declined,
    Dialogue,
    Server,
    any_certificate,
    converse,
    trusted_by,
)
from mailcare.inspection.collect.mailboxes import password_of
from mailcare.inspection.collect.scene import Scene
from mailcare.secrets import Secret


def probe(ask: Ask, scene: Scene) -> Answer:
    """Log in and ask for the maildrop's size; raise `InputError` where the secret is missing."""
    server, secret = Server.of(ask.words[1:5]), password_of(ask.words[5], scene)
    trust = trusted_by(scene.system.site)

    def script(dialogue: Dialogue) -> None:
        _log_in(dialogue, server, secret=secret, trust=trust)
        order(dialogue, "STAT")

    return converse(ask, scene, script, farewell=quit_politely)


def greet(dialogue: Dialogue, server: Server) -> None:
    """Connect and take the greeting; raise `Declined` for one that is not +OK."""
    _greet(dialogue, server, trust=any_certificate())


def _greet(dialogue: Dialogue, server: Server, *, trust: ssl.SSLContext) -> None:
    dialogue.connect(server.address, server.port)
    if server.tls == "implicit":
        dialogue.start_trusted_tls(trust, server.name)
    _expect(dialogue)


def request_tls(dialogue: Dialogue) -> None:
    """Say STLS and wait for the go-ahead."""
    order(dialogue, "STLS")


def order(dialogue: Dialogue, line: str, *, shown: str | None = None) -> None:
    """Say a command; raise `Declined` where the answer is not +OK."""
    dialogue.say(line, shown=shown)
    _expect(dialogue)


def quit_politely(dialogue: Dialogue) -> None:
    """Say QUIT and take the goodbye."""
    order(dialogue, "QUIT")


def _log_in(dialogue: Dialogue, server: Server, *, secret: Secret, trust: ssl.SSLContext) -> None:
    _greet(dialogue, server, trust=trust)
    if server.tls == "none":
        dialogue.note("no-tls")
        raise Declined
    if server.tls == "starttls":
        _start_tls(dialogue, server, trust)
    order(dialogue, f"USER {secret.login}")
    order(dialogue, f"PASS {secret.password}", shown=f"PASS {SECRET}")


def _start_tls(dialogue: Dialogue, server: Server, trust: ssl.SSLContext) -> None:
    order(dialogue, "CAPA")
    if "STLS" not in _listing(dialogue):
        dialogue.note("no-starttls")
        raise Declined
    request_tls(dialogue)
    dialogue.start_trusted_tls(trust, server.name)


def _listing(dialogue: Dialogue) -> frozenset[str]:
    words = set()
    while (line := dialogue.hear()) != ".":
        words.update(line.upper().split()[:1])
    return frozenset(words)


def _expect(dialogue: Dialogue) -> None:
    if not dialogue.hear().upper().startswith("+OK"):
        raise Declined
