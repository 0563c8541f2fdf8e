"""SMTP conversations: the greeting, a login, and the question whether strangers may relay.

Words: `greeting SERVER`, `login SERVER MAILBOX`, `relay SERVER (SENDER RECIPIENT)…`; SERVER is
address, port, TLS mode and host name. The words name the mailbox only: its secret is looked up
here. Nothing but the loop ever gets as far as DATA.
"""

import base64
import contextlib
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
    """Hold one of the conversations; raise `InputError` where a login's secret is missing."""
    verb, server, more = ask.words[0], Server.of(ask.words[1:5]), ask.words[5:]
    ehlo_name = scene.system.site.ehlo_name
    secret = password_of(more[0], scene) if verb == "login" else None

    def script(dialogue: Dialogue) -> None:
        if verb == "greeting":
            greet(dialogue, server, ehlo_name)
        elif secret is not None:
            trust = trusted_by(scene.system.site)
            log_in(dialogue, server, ehlo_name, secret=secret, trust=trust)
        else:
            envelopes = tuple(zip(more[::2], more[1::2], strict=True))
            _ask_relay(dialogue, server, ehlo_name, envelopes=envelopes)

    return converse(ask, scene, script, farewell=quit_politely)


def greet(dialogue: Dialogue, server: Server, ehlo_name: str) -> frozenset[str]:
    """Connect, take the greeting, say EHLO; return the offered extensions, AUTH's words apart."""
    return _greet(dialogue, server, ehlo_name, trust=any_certificate())


def secure(
    dialogue: Dialogue, server: Server, ehlo_name: str, *, features: frozenset[str]
) -> frozenset[str]:
    """Start TLS where the server offers it; return what is offered then."""
    if server.tls != "starttls" or "STARTTLS" not in features:
        return features
    return _start_tls(dialogue, server, ehlo_name, trust=any_certificate())


def request_tls(dialogue: Dialogue) -> None:
    """Say STARTTLS and wait for the go-ahead."""
    order(dialogue, "STARTTLS", accept="2")


def log_in(
    dialogue: Dialogue, server: Server, ehlo_name: str, *, secret: Secret, trust: ssl.SSLContext
) -> None:
    """Greet, start TLS, authenticate.

    A password is never sent without TLS, nor to a server that `trust` does not vouch for.
    """
    features = _greet(dialogue, server, ehlo_name, trust=trust)
    if server.tls == "starttls" and "STARTTLS" not in features:
        dialogue.note("no-starttls")
        raise Declined
    if server.tls == "none":
        dialogue.note("no-tls")
        raise Declined
    if server.tls == "starttls":
        features = _start_tls(dialogue, server, ehlo_name, trust=trust)
    _authenticate(dialogue, features, secret)


def order(
    dialogue: Dialogue, line: str, *, accept: str, shown: str | None = None
) -> tuple[str, ...]:
    """Say a command and expect an answer that begins with one of the digits in `accept`."""
    dialogue.say(line, shown=shown)
    return expect(dialogue, accept)


def expect(dialogue: Dialogue, accept: str) -> tuple[str, ...]:
    """Return the lines of the next reply; raise `Declined` where its first digit is another."""
    lines = [dialogue.hear()]
    while lines[-1][3:4] == "-":
        lines.append(dialogue.hear())
    if lines[-1][:1] not in accept:
        raise Declined
    return tuple(lines)


def quit_politely(dialogue: Dialogue) -> None:
    """Say QUIT and take the goodbye."""
    dialogue.say("QUIT")
    dialogue.hear()


def _greet(
    dialogue: Dialogue, server: Server, ehlo_name: str, *, trust: ssl.SSLContext
) -> frozenset[str]:
    dialogue.connect(server.address, server.port)
    if server.tls == "implicit":
        dialogue.start_trusted_tls(trust, server.name)
    expect(dialogue, "2")
    return _ehlo(dialogue, ehlo_name)


def _start_tls(
    dialogue: Dialogue, server: Server, ehlo_name: str, *, trust: ssl.SSLContext
) -> frozenset[str]:
    request_tls(dialogue)
    dialogue.start_trusted_tls(trust, server.name)
    return _ehlo(dialogue, ehlo_name)


def _ehlo(dialogue: Dialogue, ehlo_name: str) -> frozenset[str]:
    lines = order(dialogue, f"EHLO {ehlo_name}", accept="2")
    words = (line[4:].upper().replace("=", " ").split() for line in lines[1:])
    return frozenset(word for line in words for word in _feature(line))


def _feature(words: list[str]) -> list[str]:
    if words[:1] == ["AUTH"]:
        return ["AUTH", *(f"AUTH {mechanism}" for mechanism in words[1:])]
    return words[:1]


def _authenticate(dialogue: Dialogue, features: frozenset[str], secret: Secret) -> None:
    dialogue.hide(secret.password or "")
    login, password = secret.login.encode(), (secret.password or "").encode()
    if "AUTH PLAIN" in features:
        token = _base64(b"\0" + login + b"\0" + password)
        order(dialogue, f"AUTH PLAIN {token}", accept="2", shown=f"AUTH PLAIN {SECRET}")
    elif "AUTH LOGIN" in features:
        order(dialogue, "AUTH LOGIN", accept="3")
        order(dialogue, _base64(login), accept="3", shown=SECRET)
        order(dialogue, _base64(password), accept="2", shown=SECRET)
    else:
        dialogue.note("no-mechanism" if "AUTH" in features else "no-auth")
        raise Declined


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _ask_relay(
    dialogue: Dialogue, server: Server, ehlo_name: str, *, envelopes: tuple[tuple[str, str], ...]
) -> None:
    features = greet(dialogue, server, ehlo_name)
    secure(dialogue, server, ehlo_name, features=features)
    for sender, recipient in envelopes:
        with contextlib.suppress(Declined):  # the answer is written down; the next may differ
            order(dialogue, f"MAIL FROM:<{sender}>", accept="2")
            order(dialogue, f"RCPT TO:<{recipient}>", accept="2")
        order(dialogue, "RSET", accept="2")
