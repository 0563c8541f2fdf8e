"""What is known of a mail product: one YAML file each, every field with a confidence.

A site file may override any field for one installation. A field that nobody has filled in is a
gap: the check that needs it reports "not measured" with the field's name, never "all good".
"""

from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any, Generic, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator

from mailcare.errors import InputError

ValueT = TypeVar("ValueT")


class ProfileGap(Exception):
    """A check needs a field that neither the profile nor the site file has filled in."""


class Strict(BaseModel):
    """A frozen model that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Confidence(StrEnum):
    """Where a field's value comes from, from the surest to the least sure."""

    VERIFIED = "verified"
    VENDOR = "vendor"
    PUBLIC = "public"
    ASSUMED = "assumed"


class Known(Strict, Generic[ValueT]):
    """A value with the confidence that it deserves; no value at all is a gap."""

    value: ValueT | None = None
    confidence: Confidence = Confidence.ASSUMED


class Protocol(StrEnum):
    """What a listener speaks."""

    SMTP = "smtp"
    SUBMISSION = "submission"
    IMAP = "imap"
    POP3 = "pop3"
    HTTPS = "https"


class TlsMode(StrEnum):
    """How a listener starts TLS."""

    NONE = "none"
    STARTTLS = "starttls"
    IMPLICIT = "implicit"


class Service(Strict):
    """A program that must run on a mail host; `process` is a regex over its command line."""

    name: str
    title: str
    process: str


class Listener(Strict):
    """A TCP port that must answer.

    `service` names the program behind it, `needs` the others without which it fails: they explain
    a failure of this port. `public` tells whether it must answer to the outside, too.
    """

    name: str
    port: int = Field(ge=1, le=65535)
    protocol: Protocol
    tls: TlsMode = TlsMode.NONE
    service: str
    needs: tuple[str, ...] = ()
    public: bool = True


class VersionQuery(Strict):
    """A read-only command that prints the version; the regex's first group is the version."""

    words: tuple[str, ...] = Field(min_length=1)
    regex: str


class QueueKind(StrEnum):
    """How the product's mail queue is read."""

    POSTQUEUE_JSON = "postqueue_json"
    DIRECTORY = "directory"


class QueueQuery(Strict):
    """How to read the queue: `postqueue -j`, or the files of a spool directory."""

    kind: QueueKind
    path: str = ""


class WebPage(Strict):
    """The webmail's login page: its path, texts that it must hold, and its login form's fields."""

    path: str = "/"
    marks: tuple[str, ...] = ()
    login_fields: tuple[str, ...] = ()


class Extension(Strict):
    """A function developed for this customer 二次开发.

    `process` is a regex over a command line, `port` a TCP port of every mail host, `page` a path of
    the webmail; a person confirms a function that has none of the three.
    """

    name: str
    process: str | None = None
    port: int | None = Field(default=None, ge=1, le=65535)
    page: str | None = None


class LogPattern(Strict):
    """What to look for in a log: a regex whose groups `address` and `account` name who it was.

    `path` may name several logs, blanks between; those that exist are read. `journald` stands for
    the mail that systemd's journal keeps, read where none of the logs before it is. The regex is a
    POSIX extended one but for its named groups: the host's own tools look for it.
    """

    path: str
    regex: str


class AttackSign(Strict):
    """What an attack leaves in the web access log, as a POSIX extended regex over its lines.

    Upper and lower case are one. Where `per_address_per_hour` is set, only so many lines of one
    address within an hour are one.
    """

    name: str
    title: str
    regex: str
    per_address_per_hour: int | None = Field(default=None, ge=1)


class ForwardQuery(Strict):
    """A read-only command that prints the users' forwards; the regex names `account`, `target`.

    A group `changed_s` is when the forward's file was last changed, in seconds since 1970. A line
    `mailcare: unread WHAT` says what could not be read. `{mail_store}` in a word is replaced.
    """

    words: tuple[str, ...] = Field(min_length=1)
    regex: str


class Way(StrEnum):
    """How an advanced function is tried: over IMAP, by a person, or not there at all."""

    IMAP = "imap"
    MANUAL = "manual"
    ABSENT = "absent"


class Archive(Strict):
    """归档: a copy of every mail lands in a folder of the site's archive mailbox."""

    how: Way
    folder: str = "INBOX"


class Approval(Strict):
    """审核: a mail whose subject holds `mark` is held in a folder of the approver's mailbox.

    Moving it to `released_folder` lets it go on to its recipient.
    """

    how: Way
    mark: str = ""
    folder: str = "INBOX"
    released_folder: str = ""


class Query(Strict):
    """查询: a search by its text finds a mail in a folder of the recipient's mailbox."""

    how: Way
    folder: str = "INBOX"


class Profile(Strict):
    """A mail product; see the module.

    `mail_files` is the pattern (as a shell's) of the names of mails in a tree of the product's own.
    """

    name: str
    title: str
    home: Known[str] = Known[str]()
    services: Known[tuple[Service, ...]] = Known[tuple[Service, ...]]()
    listeners: Known[tuple[Listener, ...]] = Known[tuple[Listener, ...]]()
    version: Known[VersionQuery] = Known[VersionQuery]()
    queue: Known[QueueQuery] = Known[QueueQuery]()
    mail_store: Known[str] = Known[str]()
    mail_files: Known[str] = Known[str]()
    mail_log: Known[str] = Known[str]()
    web_page: Known[WebPage] = Known[WebPage]()
    admin_pages: Known[tuple[str, ...]] = Known[tuple[str, ...]]()
    access_log: Known[str] = Known[str]()
    attack_signs: Known[tuple[AttackSign, ...]] = Known[tuple[AttackSign, ...]]()
    login_failures: Known[tuple[LogPattern, ...]] = Known[tuple[LogPattern, ...]]()
    logins: Known[tuple[LogPattern, ...]] = Known[tuple[LogPattern, ...]]()
    submissions: Known[LogPattern] = Known[LogPattern]()
    forwards: Known[ForwardQuery] = Known[ForwardQuery]()
    archive: Known[Archive] = Known[Archive]()
    approval: Known[Approval] = Known[Approval]()
    query: Known[Query] = Known[Query]()
    secondary_development: Known[tuple[Extension, ...]] = Known[tuple[Extension, ...]]()

    @field_validator("listeners")
    @classmethod
    def _ports_differ(cls, known: Known[tuple[Listener, ...]]) -> Known[tuple[Listener, ...]]:
        ports = [listener.port for listener in known.value or ()]
        if twice := sorted({port for port in ports if ports.count(port) > 1}):
            raise ValueError(f"listeners 中有重复的端口：{'、'.join(map(str, twice))}")
        return known

    def need(self, field: str) -> Any:  # noqa: ANN401 - the caller knows the field's type
        """Return the value of `field`; raise `ProfileGap` where it is not filled in."""
        value = getattr(self, field).value
        if value is None:
            raise ProfileGap(f"产品档案「{self.title}」未填写 {field}")
        return value


def profile_names() -> list[str]:
    """Return the names of the shipped profiles, sorted."""
    folder = resources.files("mailcare.systems") / "profiles"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir())


@cache  # shipped with the product: it does not change while that runs
def load_profile(name: str) -> Profile:
    """Read a shipped profile; raise `InputError` for a name that is not shipped."""
    if name not in profile_names():
        raise InputError(f"没有名为「{name}」的产品档案；可用：{'、'.join(profile_names())}")
    text = (resources.files("mailcare.systems") / "profiles" / f"{name}.yaml").read_text("utf-8")
    return Profile.model_validate(yaml.safe_load(text))
