"""A page fetched as a browser would, from one given address.

Words: `get SERVER PATH`; SERVER is address, port, TLS mode and host name. Redirects are followed
on the same host only. The transcript holds the headers, then `# body` and the page's text.

`policy NAME PORT PATH` fetches a file as a mail server would (RFC 8461 §3.3): the name looked up by
the site's resolver (`# no-address REASON` where it has no address, `# unresolved REASON` where
nobody can tell), the certificate verified for it, no redirect followed.
"""

import http.client
import re
from time import monotonic
from typing import BinaryIO
from urllib.parse import SplitResult, urljoin, urlsplit

import dns.exception
import dns.resolver

from mailcare.inspection.check import Answer, Ask
from mailcare.inspection.collect.dialogue import (
    Declined,
    Dialogue,
    Script,
    Server,
    any_certificate,
    converse,
    hang_up,
    trusted_by,
)
from mailcare.inspection.collect.dns import address_of
from mailcare.inspection.collect.scene import Scene

REDIRECTS = 3
PAGE_BYTES = 128 * 1024
_CHARSET = re.compile(rb"charset=[\"']?([A-Za-z0-9_.:-]{1,40})", re.IGNORECASE)
_DEFAULT_PORTS = {"https": 443, "http": 80}


class _Socket:
    """What `http.client` wants of a socket, over a dialogue."""

    def __init__(self, dialogue: Dialogue) -> None:
        self._dialogue = dialogue

    def sendall(self, data: bytes) -> None:
        self._dialogue.send(data)

    def makefile(self, _mode: str) -> BinaryIO:
        return self._dialogue.reader

    def close(self) -> None:
        """Leave the connection to its dialogue."""


def probe(ask: Ask, scene: Scene) -> Answer:
    """Fetch the page; raise `InputError` where the site's `ca_file` cannot be used."""
    if ask.words[0] == "policy":
        return converse(ask, scene, _policy(ask, scene), farewell=hang_up)
    server, path = Server.of(ask.words[1:5]), ask.words[5]

    def script(dialogue: Dialogue) -> None:
        started = monotonic()
        _follow(dialogue, server, path)
        dialogue.note(f"elapsed_ms {(monotonic() - started) * 1000:.0f}")

    return converse(ask, scene, script, farewell=hang_up)


def _policy(ask: Ask, scene: Scene) -> Script:
    _, name, port, path = ask.words
    trusted = trusted_by(scene.system.site)

    def script(dialogue: Dialogue) -> None:
        dialogue.note(f"server-name {name}")
        try:
            address = address_of(name, scene.system.site)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer) as error:
            dialogue.note(f"no-address {type(error).__name__}")
            raise Declined from None
        except (dns.exception.DNSException, OSError) as error:
            dialogue.note(f"unresolved {type(error).__name__}")
            raise Declined from None
        server = Server(address, int(port), "implicit", name)
        dialogue.connect(address, server.port)
        dialogue.start_trusted_tls(trusted, name)
        _fetch(dialogue, server, path)

    return script


def _follow(dialogue: Dialogue, server: Server, path: str) -> None:
    for _ in range(1 + REDIRECTS):
        target = _get(dialogue, server, path)
        if target is None:
            return
        path = target
    dialogue.note("too-many-redirects")


def _get(dialogue: Dialogue, server: Server, path: str) -> str | None:
    """Fetch one page; return the path that it redirects to on this host, or None."""
    dialogue.connect(server.address, server.port)
    if server.tls != "none":
        dialogue.start_tls(any_certificate(), server.name)
    response = _fetch(dialogue, server, path)
    return _next_path(dialogue, server, path, response=response)


def _fetch(dialogue: Dialogue, server: Server, path: str) -> http.client.HTTPResponse:
    try:
        response = _request(dialogue, server, path)
        page = response.read(PAGE_BYTES)
    except (http.client.HTTPException, ValueError) as error:
        dialogue.note(f"not-http {type(error).__name__}")
        raise Declined from None
    dialogue.note("body")
    dialogue.heard(_text(page, response.getheader("Content-Type", "")))
    if len(page) == PAGE_BYTES:
        dialogue.note("cut")
    return response


def _request(dialogue: Dialogue, server: Server, path: str) -> http.client.HTTPResponse:
    host = server.name if server.port == _DEFAULT_PORTS["https"] else f"{server.name}:{server.port}"
    dialogue.say_together(
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        "User-Agent: mailcare",
        "Accept: text/html",
        "Connection: close",
        "",
    )
    response = http.client.HTTPResponse(_Socket(dialogue), method="GET")  # type: ignore[arg-type]
    response.begin()
    dialogue.heard(f"HTTP {response.status} {response.reason}")
    for name, value in response.getheaders():
        dialogue.heard(f"{name}: {_without_session(name, value)}")
    return response


def _without_session(name: str, value: str) -> str:
    if name.lower() != "set-cookie":
        return value
    key, _, rest = value.partition("=")
    return f"{key}=***;{rest.partition(';')[2]}"


def _text(page: bytes, content_type: str) -> str:
    declared = _CHARSET.search(content_type.encode()) or _CHARSET.search(page[:2048])
    try:
        return page.decode(declared[1].decode() if declared else "utf-8")
    except (LookupError, ValueError):
        return page.decode("utf-8", "backslashreplace")


def _next_path(
    dialogue: Dialogue, server: Server, path: str, *, response: http.client.HTTPResponse
) -> str | None:
    location = response.getheader("Location")
    if response.status not in (301, 302, 303, 307, 308) or not location:
        return None
    here = f"{'http' if server.tls == 'none' else 'https'}://{server.name}:{server.port}{path}"
    try:
        there = urlsplit(urljoin(here, location))
        if _is_server(there, server):
            return (there.path or "/") + (f"?{there.query}" if there.query else "")
    except ValueError:
        dialogue.note("bad-location")
    dialogue.note(f"redirect-elsewhere {location}")
    return None


def _is_server(url: SplitResult, server: Server) -> bool:
    port = url.port or _DEFAULT_PORTS.get(url.scheme)
    return port == server.port and (url.hostname or "").lower() == server.name.lower()
