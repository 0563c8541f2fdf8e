"""Probe loopback servers with the lab's site, pointed at them."""

from mailcare.inspection.check import Ask, Channel
from mailcare.inspection.collect.scene import Scene
from mailcare.secrets import Secret
from mailcare.systems.site import Mailbox, Mailboxes, Resolver, Site
from mailcare.systems.system import System
from tests.inspection.collect.loopback import HOSTNAME, NameServer, Server, authority
from tests.inspection.samples import AT, lab_system

PASSWORD = "correct horse"
INSIDE = "probe@shili-bank.example"
OUTSIDE = "probe@outside.example"


def site_with(**changes: object) -> Site:
    return lab_system().site.model_copy(update={"ca_file": None, **changes})


def trusting_site(**changes: object) -> Site:
    return site_with(ca_file=authority(), **changes)


def scene(site: Site | None = None) -> Scene:
    site = site or site_with()
    return Scene(
        System(site, site.profile()),
        lambda credential: Secret(credential.login, PASSWORD),
        lambda _node: None,
        lambda: AT,
    )


def ask(
    channel: Channel,
    verb: str,
    server: Server,
    *more: str,
    tls: str = "starttls",
    timeout_s: float = 5.0,
) -> Ask:
    words = (verb, server.address, str(server.port), tls, HOSTNAME, *more)
    return Ask(channel, words, timeout_s, "mx1")


def site_asking(server: NameServer) -> Site:
    return site_with(resolver=Resolver(address=server.address, port=server.port))


def mailboxes_at(submission: Server, imap: Server) -> Mailboxes:
    def moved(mailbox: Mailbox) -> Mailbox:
        here = {"address": "127.0.0.1", "server_name": HOSTNAME}
        return mailbox.model_copy(
            update={
                "submission": mailbox.submission.model_copy(
                    update={**here, "port": submission.port}
                ),
                "imap": mailbox.imap.model_copy(update={**here, "port": imap.port}),
            }
        )

    own = lab_system().site.mailboxes
    assert own.inside is not None
    assert own.outside is not None
    return Mailboxes(inside=moved(own.inside), outside=moved(own.outside))
