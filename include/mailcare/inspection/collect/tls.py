"""What a port's TLS is like: protocol version, cipher, certificate, and whether it is trusted.

Words: `certificate SERVER PROTOCOL`; SERVER is address, port, TLS mode and host name. Trusted are
the system's authorities and the site's `ca_file`. Where the verification fails, a second
connection without it brings the certificate, so that it can be described.
"""

import ssl

from mailcare.inspection.check import Answer, Ask
from mailcare.inspection.collect import imap, pop3, smtp
from mailcare.inspection.collect.dialogue import (
    Dialogue,
    Script,
    Server,
    any_certificate,
    converse,
    hang_up,
    trusted_by,
)
from mailcare.inspection.collect.scene import Scene

_FAREWELLS: dict[str, Script] = {
    "smtp": smtp.quit_politely,
    "submission": smtp.quit_politely,
    "imap": imap.log_out,
    "pop3": pop3.quit_politely,
}


def probe(ask: Ask, scene: Scene) -> Answer:
    """Begin TLS on the port; raise `InputError` where the site's `ca_file` cannot be used."""
    server, protocol = Server.of(ask.words[1:5]), ask.words[5]
    trusted = trusted_by(scene.system.site)
    trusted.check_hostname = False  # the names are judged by `tls.certificate`
    ehlo_name = scene.system.site.ehlo_name

    def reach(dialogue: Dialogue) -> None:
        if server.tls == "implicit":
            dialogue.connect(server.address, server.port)
        else:
            _request(dialogue, server, protocol, ehlo_name=ehlo_name)

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
        dialogue.heard(ssl.DER_cert_to_PEM_cert(secured.getpeercert(binary_form=True) or b""))
        if server.tls == "implicit" and protocol in _FAREWELLS:
            dialogue.hear()

    return converse(ask, scene, script, farewell=_FAREWELLS.get(protocol, hang_up))


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
