"""What a port's TLS is like: certificates, trust, and which versions and ciphers it accepts.

Words: `certificate SERVER PROTOCOL`, `offers SERVER PROTOCOL`; SERVER is address, port, TLS mode
and host name. Trusted are the system's authorities and the site's `ca_file`. Where the
verification fails, a second connection without it brings the certificates, so that they can be
described. `offers` makes one connection for each version, and one for each weak cipher that the
server takes: `# offer NAME`, then what came of it.
"""

import ssl
import warnings
from collections.abc import Iterator
from contextlib import suppress

from mailcare.inspection.certificate import VERSIONS, WEAK_CIPHERS, weakness_of
from mailcare.inspection.check import Answer, Ask
from mailcare.inspection.collect import imap, pop3, smtp
from mailcare.inspection.collect.dialogue import (
    Dialogue,
    Interrupted,
    Script,
    Server,
    any_certificate,
    converse,
    hang_up,
    trusted_by,
)
from mailcare.inspection.collect.scene import Scene

_Offer = ssl.SSLContext | None
_FAREWELLS: dict[str, Script] = {
    "smtp": smtp.quit_politely,
    "submission": smtp.quit_politely,
    "imap": imap.log_out,
    "pop3": pop3.quit_politely,
}


def probe(ask: Ask, scene: Scene) -> Answer:
    """Begin TLS on the port; raise `InputError` where the site's `ca_file` cannot be used."""
    server, protocol = Server.of(ask.words[1:5]), ask.words[5]
    ehlo_name = scene.system.site.ehlo_name

    def reach(dialogue: Dialogue) -> None:
        if server.tls == "implicit":
            dialogue.connect(server.address, server.port)
        else:
            _request(dialogue, server, protocol, ehlo_name=ehlo_name)

    def part(dialogue: Dialogue) -> None:
        if protocol in _FAREWELLS:
            if server.tls == "implicit":
                dialogue.hear()
            _FAREWELLS[protocol](dialogue)

    if ask.words[0] == "offers":
        return converse(ask, scene, _offers(server, reach, part), farewell=hang_up)
    trusted = trusted_by(scene.system.site)
    return converse(ask, scene, _certificate(server, reach, trusted), farewell=part)


def _certificate(server: Server, reach: Script, trusted: ssl.SSLContext) -> Script:
    trusted.check_hostname = False  # the names are judged by `tls.certificate`

    def script(dialogue: Dialogue) -> None:
        dialogue.note(f"server-name {server.name}")
        reach(dialogue)
        try:
            secured = dialogue.start_tls(trusted, server.name)
            dialogue.note("verify ok")
        except ssl.SSLCertVerificationError as error:
            dialogue.note(f"verify-failed {error.verify_code} {error.verify_message}")
            reach(dialogue)
            secured = dialogue.start_tls(any_certificate(), server.name)
        for der in _presented(secured):
            dialogue.heard(ssl.DER_cert_to_PEM_cert(der))

    return script


def _presented(secured: ssl.SSLSocket) -> Iterator[bytes]:
    """Yield the certificates in the order in which the server sent them."""
    # Public since Python 3.13 (`SSLSocket.get_unverified_chain`); the object below has had it
    # since 3.10. Its encoding is the module's private constant: 2 is DER.
    inner = secured._sslobj  # pyrefly: ignore[missing-attribute] - see above
    for certificate in inner.get_unverified_chain() or ():
        yield certificate.public_bytes(2)


def _offers(server: Server, reach: Script, part: Script) -> Script:
    def accepted(dialogue: Dialogue, name: str, context: _Offer) -> str | None:
        """Return the cipher that the server took, None where it took none."""
        dialogue.note(f"offer {name}")
        if context is None:
            dialogue.note("ours")
            return None
        reach(dialogue)
        try:
            secured = dialogue.start_tls(context, server.name)
        except Interrupted:
            return None
        cipher = secured.cipher() or ("", "", 0)
        _leave(dialogue, part)
        return cipher[0]

    def script(dialogue: Dialogue) -> None:
        dialogue.note(f"server-name {server.name}")
        for version, context in _VERSIONS.items():
            accepted(dialogue, version, context)
        lacking = [name for name, words in WEAK_CIPHERS.items() if not _context(words)]
        weak = [name for name in WEAK_CIPHERS if name not in lacking]
        dialogue.note(f"cannot-offer {' '.join(lacking)}")
        while weak and (cipher := accepted(dialogue, " ".join(weak), _weak_only(weak))):
            if (taken := weakness_of(cipher)) not in weak:
                break
            weak.remove(taken)

    return script


def _leave(dialogue: Dialogue, part: Script) -> None:
    mark = dialogue.mark()
    with suppress(Interrupted):
        part(dialogue)
    dialogue.rewind(mark)


def _weak_only(names: list[str]) -> _Offer:
    """Return a context that offers these weak ciphers and no others."""
    wanted = [WEAK_CIPHERS[name] for name in names]
    others = [f"!{words}" for name, words in WEAK_CIPHERS.items() if name not in names]
    return _context(":".join(wanted + others))


def _context(ciphers: str, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2) -> _Offer:
    """Return a context for one version, None where this machine's OpenSSL lacks what is asked."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
    except (ssl.SSLError, ValueError):
        return None
    return context


def _version_contexts() -> dict[str, _Offer]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # old versions are the question
        return {name: _context("ALL", ssl.TLSVersion[own]) for name, own in VERSIONS.items()}


# Made at import: warnings are filtered for the whole process, and probes run in threads.
_VERSIONS = _version_contexts()


def _request(dialogue: Dialogue, server: Server, protocol: str, *, ehlo_name: str) -> None:
    if protocol == "imap":
        imap.greet(dialogue, server)
        imap.request_tls(dialogue)
    elif protocol == "pop3":
        pop3.greet(dialogue, server)
        pop3.request_tls(dialogue)
    else:
        smtp.greet(dialogue, server, ehlo_name)
        smtp.request_tls(dialogue)
