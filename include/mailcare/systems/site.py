"""The site file: one customer's mail system, its hosts, probe mailboxes and authorisations.

It is what the command line inspects and the form in which a system is imported into the database.
Secrets never stand in it: it names Airflow connections, environment variables or files.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from mailcare.clock import utc_now
from mailcare.contracts.authorisation import about_giver
from mailcare.errors import InputError
from mailcare.systems.backups import BackupCopy
from mailcare.systems.complaints import Complaint, complaints_of, secrets_in
from mailcare.systems.fields import (
    Address,
    Credential,
    FileName,
    HostName,
    MailAddress,
    Name,
    Port,
    Text,
)
from mailcare.systems.lines import LineMap, read_yaml
from mailcare.systems.profile import Profile, Strict, load_profile, profile_names


def _profile_name(value: str) -> str:
    if value not in profile_names():
        raise ValueError(f"没有这个产品档案；可用：{'、'.join(profile_names())}")
    return value


class Ssh(Strict):
    """How the inspector reaches a host; `host_key` is the pinned key, `TYPE BASE64`."""

    port: Port = 22
    credential: Credential
    host_key: Annotated[str, StringConstraints(pattern=r"^(ssh|ecdsa)-\S+ [A-Za-z0-9+/=]+")]


class Role(StrEnum):
    """What a host is there for."""

    MAIL = "mail"
    BACKUP = "backup"
    OTHER = "other"


class Machine(StrEnum):
    """What kind of computer a host is; it decides whether sensors are to be expected."""

    PHYSICAL = "physical"
    VIRTUAL = "virtual"


class Node(Strict):
    """One host.

    `web_name` is the name under which users open its webmail; `expected_ports` may be listened on
    besides those of the product's profile and SSH. `public_address` is the address under which the
    outside sees this host; where it is behind NAT. `depends_on` names the hosts without which this
    one cannot work (database, directory, file server): what fails there explains what fails here.
    `link_mbps` is the speed of its uplink, for machines that do not know it themselves.
    """

    name: Name
    hostname: HostName
    address: Address
    public_address: Address | None = None
    roles: tuple[Role, ...] = (Role.MAIL,)
    web_name: HostName | None = None
    ssh: Ssh | None = None
    expected_ports: tuple[Port, ...] = ()
    depends_on: tuple[Name, ...] = ()
    machine: Machine | None = None
    link_mbps: Annotated[int, Field(ge=1)] | None = None

    @property
    def seen_address(self) -> str:
        """Return the address under which the outside sees this host, as far as it is known."""
        return self.public_address or self.address

    @property
    def is_seen(self) -> bool:
        """Tell whether `seen_address` is that of the outside: declared, or itself global."""
        return self.public_address is not None or ip_address(self.address).is_global


class Domain(Strict):
    """A mail domain of the customer."""

    name: HostName
    dkim_selectors: tuple[Name, ...] = ()


class Server(Strict):
    """A port of a mail server that a probe mailbox uses; `tls` implicit, else STARTTLS."""

    address: Address
    port: Port
    server_name: HostName
    implicit_tls: bool = False


class Mailbox(Strict):
    """A mailbox that the customer or the vendor owns and the probes may write to and read."""

    address: MailAddress
    credential: Credential
    submission: Server
    imap: Server


class Mailboxes(Strict):
    """The probe mailboxes: one in the customer's system, one outside of it.

    `archive` is where the system keeps a copy of every mail, `approver` who releases held mail.
    """

    inside: Mailbox | None = None
    outside: Mailbox | None = None
    archive: Mailbox | None = None
    approver: Mailbox | None = None


class Region(StrEnum):
    """Where a mail provider is."""

    DOMESTIC = "domestic"
    FOREIGN = "foreign"


class Provider(Strict):
    """A mail provider that the customer's users write to.

    `address` is a mailbox there that the vendor or the customer owns; `mailbox` lets the probe see
    whether its mail landed in the inbox.
    """

    name: Name
    title: Text
    region: Region
    address: MailAddress
    mailbox: Mailbox | None = None


def _told_apart(providers: tuple[Provider, ...]) -> tuple[Provider, ...]:
    """Refuse two providers of one name: findings are told apart by it."""
    for field in ("name", "title"):
        if twice := _repeated(getattr(one, field) for one in providers):
            raise ValueError(f"有重复的 {field}：{'、'.join(twice)}")
    return providers


class VirtualAddress(Strict):
    """An address that moves between hosts 虚拟地址: clients use it, one of `nodes` holds it."""

    name: Name
    hostname: HostName
    address: Address
    nodes: tuple[Name, ...] = Field(min_length=1)


class Store(Strict):
    """Where mail is kept; `mirrored` when its loss is survived by a second copy in service."""

    name: Name
    title: Text
    nodes: tuple[Name, ...] = Field(min_length=1)
    mirrored: bool = False


def _named_apart(copies: tuple[BackupCopy, ...]) -> tuple[BackupCopy, ...]:
    """Refuse two copies of one name: verdicts are told apart by it."""
    if twice := _repeated(one.name for one in copies):
        raise ValueError(f"有重名的备份副本：{'、'.join(twice)}")
    return copies


class Probing(Strict):
    """How long a probe mail may travel, and how often each service is tried over how long."""

    mail_wait_s: Annotated[int, Field(ge=5, le=3600)] = 60
    rounds: Annotated[int, Field(ge=1, le=100)] = 10
    over_s: Annotated[int, Field(ge=0, le=7200)] = 30


class Resolver(Strict):
    """The DNS server that is asked; it must be allowed to query the blocklists."""

    address: Address
    port: Port = 53


class Contact(Strict):
    """A person on the customer's side.

    `gets_papers` marks who receives the reports, `may_authorise` who may consent to remote login;
    an import leaves a right that is not said as it is recorded.
    """

    name: Text
    role: Text = "联系人"
    email: MailAddress | None = None
    phone: Text | None = None
    gets_papers: bool = False
    may_authorise: bool | None = None


class Customer(Strict):
    """The customer 客户档案."""

    name: Text
    contacts: tuple[Contact, ...] = Field(min_length=1)


class Deployment(StrEnum):
    """服务器部署情况 as the seed's annex 2 names it."""

    SINGLE = "single"
    DUAL = "dual"
    CLUSTER = "cluster"
    DISTRIBUTED = "distributed"

    @property
    def label(self) -> str:
        """Return the Chinese word of the papers and of the findings."""
        return _DEPLOYMENT_LABELS[self]


_DEPLOYMENT_LABELS = {
    Deployment.SINGLE: "单机",
    Deployment.DUAL: "双机",
    Deployment.CLUSTER: "集群",
    Deployment.DISTRIBUTED: "分布式",
}


class Consent(StrEnum):
    """How an authorisation was given."""

    PHONE = "phone"
    EMAIL = "email"
    LETTER = "letter"
    ONSITE = "onsite"


class AuthorisationEntry(Strict):
    """The customer's consent to remote login: who, when, what for, which hosts, how long.

    `revoked_at` is when the customer withdrew it; the entry itself stays, for the record.
    """

    given_by: Text
    given_at: AwareDatetime
    how: Consent
    purpose: Text
    nodes: tuple[Name, ...] = Field(min_length=1)
    valid_from: AwareDatetime
    valid_to: AwareDatetime
    evidence: Text
    revoked_at: AwareDatetime | None = None

    @model_validator(mode="after")
    def _ends_after_start(self) -> Self:
        if self.valid_to <= self.valid_from:
            raise ValueError("valid_to 必须晚于 valid_from")
        return self


class Product(Strict):
    """The mail system itself; `overrides` are profile fields that hold here only."""

    title: Text
    profile: Annotated[str, AfterValidator(_profile_name)]
    deployment: Deployment = Deployment.SINGLE
    place: Text = "远程"
    overrides: dict[str, Any] = Field(default_factory=dict)


class Site(Strict):
    """The whole site file; see the module."""

    schema_version: Literal[1] = Field(alias="schema")
    site: Name
    customer: Customer
    system: Product
    domains: tuple[Domain, ...] = Field(min_length=1)
    nodes: tuple[Node, ...] = Field(min_length=1)
    resolver: Resolver | None = None
    dnsbl_zones: tuple[HostName, ...] = ()
    ehlo_name: HostName = "inspection.invalid"
    ca_file: FileName | None = None
    mailboxes: Mailboxes = Mailboxes()
    providers: Annotated[tuple[Provider, ...], AfterValidator(_told_apart)] = ()
    virtual_addresses: tuple[VirtualAddress, ...] = ()
    stores: tuple[Store, ...] = ()
    backups: Annotated[tuple[BackupCopy, ...], AfterValidator(_named_apart)] = ()
    probing: Probing = Probing()
    authorisations: tuple[AuthorisationEntry, ...] = ()

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        names = [node.name for node in self.nodes]
        if len(set(names)) != len(names):
            raise ValueError("nodes 中有重名的主机")
        if twice := _repeated(domain.name for domain in self.domains):
            raise ValueError(f"domains 中有重复的邮件域：{'、'.join(twice)}")
        if twice := _repeated(self.dnsbl_zones):
            raise ValueError(f"dnsbl_zones 中有重复的黑名单域：{'、'.join(twice)}")
        for field, mentioned in self._mentions():
            if unknown := set(mentioned) - set(names):
                raise ValueError(f"{field} 提到未登记的主机：{'、'.join(sorted(unknown))}")
        return self

    def _mentions(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        yield from (("authorisations", entry.nodes) for entry in self.authorisations)
        yield from (("depends_on", node.depends_on) for node in self.nodes)
        yield from (("virtual_addresses", one.nodes) for one in self.virtual_addresses)
        yield from (("stores", one.nodes) for one in self.stores)
        yield from (("backups", (one.node,)) for one in self.backups if one.node)
        for one in self.backups:
            if one.live and one.live.node:
                yield "backups", (one.live.node,)

    def profile(self) -> Profile:
        """Return the product's profile with this site's overrides in it."""
        base = load_profile(self.system.profile).model_dump(mode="json")
        return Profile.model_validate(base | self.system.overrides)


def _repeated(names: Iterable[str]) -> list[str]:
    counted = Counter(name.lower().rstrip(".") for name in names)
    return [name for name, count in counted.items() if count > 1]


def load_site(path: Path) -> Site:
    """Read and check a site file that is used as it stands, without the records.

    Raise `InputError` that lists every complaint with its line. Authorisations that still hold
    must be given by those whom the file itself lets authorise.
    """
    site, lines = read_site(path)
    now = utc_now()
    holding = (at for at, one in enumerate(site.authorisations) if one.valid_to > now)
    entitled = [one.name for one in site.customer.contacts if one.may_authorise]
    refuse(about_givers(site, holding, entitled), lines)
    return site


def read_site(path: Path) -> tuple[Site, LineMap]:
    """Read a site file and its lines; who gave its authorisations is not looked at."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise InputError("文件不存在", subject=str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"文件无法读取（{error}）", subject=str(path)) from error
    data, lines = read_yaml(text, name=str(path))
    return parse_site(data, lines, base=path.parent), lines


def parse_site(data: object, lines: LineMap, *, base: Path) -> Site:
    """Check the content of a site file; relative file names are taken from `base`."""
    refuse(secrets_in(data), lines)
    try:
        site = Site.model_validate(data, context={"base": base})
    except ValidationError as error:
        raise InputError(_listed(complaints_of(error), lines)) from None
    try:
        site.profile()
    except ValidationError as error:
        at_overrides = [one.under("system", "overrides") for one in complaints_of(error)]
        raise InputError(_listed(at_overrides, lines)) from None
    return site


def about_givers(site: Site, places: Iterable[int], entitled: Collection[str]) -> list[Complaint]:
    """Complain of the authorisations at `places` that nobody of the entitled gave.

    A revoked one lets nobody in, whoever gave it.
    """
    entries = ((at, site.authorisations[at]) for at in places)
    return [
        Complaint(("authorisations", at, "given_by"), said)
        for at, one in entries
        if not one.revoked_at and (said := about_giver(one.given_by, entitled))
    ]


def refuse(complaints: list[Complaint], lines: LineMap) -> None:
    """Raise `InputError` that lists the complaints with their lines, if there are any."""
    if complaints:
        raise InputError(_listed(complaints, lines))


def _listed(complaints: list[Complaint], lines: LineMap) -> str:
    rows = [f"  第 {lines.line(one.path)} 行 {one}" for one in complaints]
    return "\n".join(["站点文件有误：", *rows])
