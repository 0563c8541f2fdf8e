"""IMAP conversations: a login that opens the inbox read-only.

Words: `login SERVER MAILBOX`; SERVER is address, port, TLS mode and host name. A tag is the
command's own name and a number, so that a transcript can be read without counting.
"""

import re
import ssl
from contextlib import suppress
from dataclasses import dataclass, field

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

_LITERAL = re.compile(r"\{(\d{1,9})\}$")


@dataclass(frozen=True, slots=True)
class Response:
    """What came back for one command: its untagged lines and the literals within them."""

    lines: tuple[str, ...]
    literals: tuple[bytes, ...] = field(default=(), repr=False)


def probe(ask: Ask, scene: Scene) -> Answer:
    """Log in and look at the inbox; raise `InputError` where the secret is missing."""
    server, secret = Server.of(ask.words[1:5]), password_of(ask.words[5], scene)
    trust = trusted_by(scene.system.site)

    def script(dialogue: Dialogue) -> None:
        log_in(dialogue, server, secret=secret, trust=trust)
        order(dialogue, "EXAMINE INBOX")

    return converse(ask, scene, script, farewell=log_out)


def greet(dialogue: Dialogue, server: Server) -> None:
    """Connect and take the greeting; raise `Declined` for one that is not OK."""
    _greet(dialogue, server, trust=any_certificate())


def _greet(dialogue: Dialogue, server: Server, *, trust: ssl.SSLContext) -> None:
    dialogue.connect(server.address, server.port)
    if server.tls == "implicit":
        dialogue.start_trusted_tls(trust, server.name)
    if not dialogue.hear().upper().startswith(("* OK", "* PREAUTH")):
        raise Declined


def request_tls(dialogue: Dialogue) -> None:
    """Say STARTTLS and wait for the go-ahead."""
    order(dialogue, "STARTTLS")


def log_in(
    dialogue: Dialogue, server: Server, *, secret: Secret, trust: ssl.SSLContext
) -> frozenset[str]:
    """Greet, start TLS, log in; return what the server can do then.

    A password is never sent without TLS, nor to a server that `trust` does not vouch for.
    """
    _greet(dialogue, server, trust=trust)
    if server.tls == "none":
        dialogue.note("no-tls")
        raise Declined
    if server.tls == "starttls":
        _start_tls(dialogue, server, trust)
    login = f"LOGIN {_quoted(secret.login)} "
    order(dialogue, login + _quoted(secret.password or ""), shown=login + SECRET)
    features = _capabilities(dialogue)
    if "ID" in features:
        _introduce(dialogue)
    return features


def order(dialogue: Dialogue, command: str, *, shown: str | None = None) -> Response:
    """Say a command and return its response; raise `Declined` where it is not OK."""
    tag = f"{command.split(maxsplit=1)[0].lower()}{dialogue.mark()}"
    dialogue.say(f"{tag} {command}", shown=None if shown is None else f"{tag} {shown}")
    lines: list[str] = []
    literals: list[bytes] = []
    while not (line := dialogue.hear()).startswith(f"{tag} "):
        lines.append(line)
        if literal := _LITERAL.search(line):
            literals.append(dialogue.hear_bytes(int(literal[1])))
    if not line[len(tag) + 1 :].upper().startswith("OK"):
        raise Declined
    return Response(tuple(lines), tuple(literals))


def log_out(dialogue: Dialogue) -> None:
    """Say LOGOUT and take the goodbye."""
    order(dialogue, "LOGOUT")


def _start_tls(dialogue: Dialogue, server: Server, trust: ssl.SSLContext) -> None:
    if "STARTTLS" not in _capabilities(dialogue):
        dialogue.note("no-starttls")
        raise Declined
    request_tls(dialogue)
    dialogue.start_trusted_tls(trust, server.name)


def _introduce(dialogue: Dialogue) -> None:
    """Say who we are (RFC 2971): 163.com opens no mailbox to a client that has not."""
    with suppress(Declined):
        order(dialogue, 'ID ("name" "mailcare" "vendor" "mailcare")')


def _capabilities(dialogue: Dialogue) -> frozenset[str]:
    lines = order(dialogue, "CAPABILITY").lines
    return frozenset(word.upper() for line in lines for word in line.split())


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
