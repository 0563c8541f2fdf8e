"""Look at one unknown host by SSH, read-only, and draft a site file for a person to confirm.

Nothing connects before somebody says by whose leave, and nobody logs in before the host's key has
been compared with the customer's word.
"""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from mailcare.clock import utc_now
from mailcare.contracts.authorisation import permission
from mailcare.errors import InputError, MailcareError, Unavailable
from mailcare.inspection.check import Answer, Ask, NoReply
from mailcare.inspection.collect.first_look import (
    FAREWELLS,
    address_of,
    greeting_of,
    is_public_key,
    shown_host_key,
)
from mailcare.inspection.collect.scene import Scene
from mailcare.inspection.collect.ssh import ask_host
from mailcare.inspection.hosts import host_ask
from mailcare.inspection.run import described_by, given_by_file
from mailcare.progress import Progress
from mailcare.secrets import find_secret
from mailcare.systems.complaints import complaints_of
from mailcare.systems.discovery import Missing, Output, Told, read_facts
from mailcare.systems.discovery_commands import AT_FIRST, Command, at_home
from mailcare.systems.discovery_draft import SSH_PORT, Discovered, draft
from mailcare.systems.discovery_file import VALID_FOR, Visit, site_text
from mailcare.systems.discovery_homes import Home, HomeFacts, find_homes, read_home
from mailcare.systems.fields import Address, Credential, EnvName, HostName, Name, Port, Text
from mailcare.systems.site import Node, Site, Ssh

ValueT = TypeVar("ValueT")

_ADDRESS: TypeAdapter[str] = TypeAdapter(Address)
_HOST_NAME: TypeAdapter[str] = TypeAdapter(HostName)
_NAME: TypeAdapter[str] = TypeAdapter(Name)
_PORT: TypeAdapter[int] = TypeAdapter(Port)
_TEXT: TypeAdapter[str] = TypeAdapter(Text)
_ENV_NAME: TypeAdapter[str] = TypeAdapter(EnvName)
_HOST_KEY = re.compile(r"((?:ssh|ecdsa)-\S{1,60}) ([A-Za-z0-9+/=]{20,8000})(?: .*)?")


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line was given, as it was typed; empty where it was not."""

    host: str
    port: str = "22"
    login: str = ""
    key_file: str = ""
    password_env: str = ""
    host_key: str = ""
    authorised_by: str = ""


@dataclass(frozen=True, slots=True)
class ShownKey:
    """The key that a host shows to anybody, to be compared with the customer's word."""

    host_key: str
    fingerprint: str


def look_at(request: Request, progress: Progress) -> ShownKey | str:
    """Return the text of a drafted site file, or the host's key where none was given to compare.

    Raise `InputError` for a request that cannot be used, and `MailcareError` where the host does
    not answer or refuses the login.
    """
    host, port, ssh_credential = _checked(request)
    address = address_of(host)
    if not request.host_key.strip():
        return ShownKey(*shown_host_key(address, port))
    ssh = Ssh(port=port, credential=ssh_credential, host_key=_host_key(request.host_key))
    started_at = utc_now()
    site = _small_site((host, address), ssh, request.authorised_by, now=started_at)
    found = _Looking(_scene(site), progress).discover()
    return site_text(draft(found), found, _visit(request, site, started_at))


def _checked(request: Request) -> tuple[str, int, Credential]:
    host = request.host.strip()
    if not (_is(_ADDRESS, host) or _is(_HOST_NAME, host)):
        raise InputError("应为主机名或 IP 地址", subject=f"HOST {host}")
    port = _accepted(_PORT, request.port, "--port")
    _accepted(_TEXT, request.authorised_by, "--authorised-by（客户方授权人）")
    login = _accepted(_TEXT, request.login, "--login")
    if bool(request.key_file) == bool(request.password_env):
        raise InputError("--key-file 与 --password-env 必须且只能给出一个")
    if request.password_env:
        name = _accepted(_ENV_NAME, request.password_env, "--password-env")
        credential = Credential(login=login, password_env=name)
    else:
        credential = Credential(login=login, key_file=Path(request.key_file))
    find_secret(credential)
    return host, port, credential


def _is(kind: TypeAdapter[str], value: str) -> bool:
    try:
        kind.validate_python(value)
    except ValidationError:
        return False
    return True


def _accepted(kind: TypeAdapter[ValueT], value: str, option: str) -> ValueT:
    try:
        return kind.validate_python(value)
    except ValidationError as error:
        raise InputError(complaints_of(error)[0].sentence, subject=option) from None


def _host_key(text: str) -> str:
    found = _HOST_KEY.fullmatch(text.strip())
    if not (found and is_public_key(f"{found[1]} {found[2]}")):
        raise InputError("应为「类型 BASE64」，例如 ssh-ed25519 AAAA…", subject="--host-key")
    return f"{found[1]} {found[2]}"


def _small_site(names: tuple[str, str], ssh: Ssh, authorised_by: str, *, now: datetime) -> Site:
    """Return just enough of a site for the collector: one host, and the customer's leave."""
    host, address = names
    name = host.lower() if _is(_NAME, host.lower()) else "host"
    leave = {
        "given_by": authorised_by,
        "given_at": now,
        "how": "phone",
        "purpose": "discover",
        "nodes": [name],
        "valid_from": now,
        "valid_to": now + VALID_FOR,
        "evidence": "--authorised-by",
    }
    return Site.model_validate(
        {
            "schema": 1,
            "site": "discovery",
            "customer": {"name": "-", "contacts": [{"name": "-"}]},
            "system": {"title": "-", "profile": "generic"},
            "domains": [{"name": "discovery.invalid"}],
            "nodes": [
                {"name": name, "hostname": "discovery.invalid", "address": address, "ssh": ssh}
            ],
            "authorisations": [leave],
        }
    )


def _scene(site: Site) -> Scene:
    given = given_by_file(site)

    def permit(node: str) -> None:
        permission(given, node, utc_now())

    return Scene(described_by(site), find_secret, permit)


@dataclass(frozen=True, slots=True)
class _Looking:
    """One look at the host: its own words, then what lies in the homes, then the greetings."""

    scene: Scene
    progress: Progress

    @property
    def node(self) -> Node:
        return self.scene.system.site.nodes[0]

    def discover(self) -> Discovered:
        facts = read_facts(self._told("登录并查看", AT_FIRST))
        homes = tuple(self._home(home) for home in find_homes(facts))
        ports = [port for port in facts.open_ports() if port in FAREWELLS]
        ssh_port = self.node.ssh.port if self.node.ssh else SSH_PORT
        return Discovered(facts, homes, self._greetings(ports), ssh_port)

    def _home(self, home: Home) -> HomeFacts:
        return read_home(home, self._told(f"查看 {home.path}", at_home(home.path)))

    def _greetings(self, ports: Sequence[int]) -> dict[int, str]:
        self.progress.stage("问候语", len(ports))
        found: dict[int, str] = {}
        for port in ports:
            ask = (self.node.name, self.node.address, port)
            if line := greeting_of(*ask, goodbye=FAREWELLS[port], scene=self.scene):
                found[port] = line
            self.progress.step(str(port))
        return found

    def _told(self, title: str, commands: Sequence[Command]) -> dict[str, Told]:
        """Run the commands over one connection; raise `MailcareError` where none is answered."""
        node = self.node
        asks = {host_ask(node, *one.words, timeout_s=one.timeout_s): one for one in commands}
        self.progress.stage(title, len(asks))
        answers: dict[Ask, Answer] = {}

        def take(ask: Ask, answer: Answer) -> None:
            answers[ask] = answer
            self.progress.step(asks[ask].title)

        asyncio.run(ask_host(node, tuple(asks), self.scene, take))
        _refuse_silence(tuple(answers.values()), node.address)
        return {asks[ask].name: _as_told(answer) for ask, answer in answers.items()}


def _refuse_silence(answers: Sequence[Answer], address: str) -> None:
    silences = [answer for answer in answers if isinstance(answer, NoReply)]
    if len(silences) == len(answers):
        first = silences[0]
        kind: Callable[..., MailcareError] = MailcareError if first.permanent else Unavailable
        raise kind(first.reason, subject=address)


def _as_told(answer: Answer) -> Told:
    if isinstance(answer, NoReply):
        return Missing(answer.reason)
    return Output(answer.text, answer.exit_code)


def _visit(request: Request, site: Site, visited_at: datetime) -> Visit:
    [node] = site.nodes
    assert node.ssh is not None
    credential = node.ssh.credential
    by_file = credential.key_file is not None
    return Visit(
        host=request.host.strip(),
        address=node.address,
        port=node.ssh.port,
        login=credential.login,
        secret_key="key_file" if by_file else "password_env",
        secret_place=str(credential.key_file or credential.password_env),
        host_key=node.ssh.host_key,
        authorised_by=site.authorisations[0].given_by,
        visited_at=visited_at,
    )
