"""The copies of the mail that a customer keeps, as the site file declares them.

A copy 备份副本 is one place with one or more generations 备份代 in it. What is declared here is
what the customer was promised; what is found there is held against it.
"""

from datetime import date
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from mailcare.systems.copies import CopyKind, Dialect, StoreFormat
from mailcare.systems.fields import Credential, EnvName, FileName, Name, Text
from mailcare.systems.profile import Strict

PLACEHOLDERS = frozenset({"{domain}", "{user}"})


def _layout(value: str) -> str:
    steps = value.strip("/").split("/")
    named = [step for step in steps if "{" in step or "}" in step]
    if "{user}" not in named or not set(named) <= PLACEHOLDERS or len(set(named)) != len(named):
        raise ValueError("应为由 {domain}、{user} 和固定目录名组成的路径，例如 {domain}/{user}")
    return "/".join(steps)


def _inner(value: str) -> str:
    steps = [step for step in value.split("/") if step not in ("", ".")]
    if ".." in steps:
        raise ValueError("不能包含 ..")
    return "/".join(steps)


Layout = Annotated[str, AfterValidator(_layout)]
InnerPath = Annotated[str, AfterValidator(_inner)]
Pattern = Annotated[str, StringConstraints(pattern=r"^[^/\x00]+$", max_length=200)]
Days = Annotated[int, Field(ge=1, le=400)]
Generations = Annotated[int, Field(ge=0, le=400)]


class Schedule(Strict):
    """How often a generation is made and how many are kept (grandfather, father, son).

    `daily` generations of the last days, `weekly` of the last weeks, `monthly` of the last months;
    none is expected from before `since`. A copy without history keeps the last one only.
    """

    every_h: Annotated[int, Field(ge=1, le=24 * 31)] = 24
    daily: Generations = 0
    weekly: Generations = 0
    monthly: Generations = 0
    since: date | None = None


class Policy(Strict):
    """After how many days a level must have been run again; null: the level was not promised.

    A full reading (L3) may be spread over `shards` daily runs.
    """

    L0: Days | None = 1
    L1: Days | None = 1
    L2: Days | None = 1
    L3: Days | None = 31
    L4: Days | None = 7
    L5: Days | None = 31
    shards: Annotated[int, Field(ge=1, le=366)] = 7


class AccountsFrom(StrEnum):
    """Where the list of the live mailboxes is read."""

    FOLDERS = "folders"
    FILE = "file"
    COMMAND = "command"


class Accounts(Strict):
    """The list of the mailboxes that must be in the backup.

    `folders`: those of the live store itself. `file`: an address a line, `path` on the live host.
    `command`: what `words` print there, an address a line, such as `doveadm user *`.
    """

    source: AccountsFrom = AccountsFrom.FOLDERS
    path: FileName | None = None
    words: tuple[Text, ...] = ()

    @model_validator(mode="after")
    def _names_its_place(self) -> Self:
        if (self.source is AccountsFrom.FILE) != (self.path is not None):
            raise ValueError("path 必须且只能在 source 为 file 时填写")
        if (self.source is AccountsFrom.COMMAND) != bool(self.words):
            raise ValueError("words 必须且只能在 source 为 command 时填写")
        return self


class LiveStore(Strict):
    """Where the mail itself is: on a host of this site, or (without `node`) on this machine."""

    path: FileName
    node: Name | None = None
    layout: Layout = "{domain}/{user}"
    accounts: Accounts = Accounts()


class BackupCopy(Strict):
    """One copy 备份副本; without `node` its `path` is on the machine that mailcare runs on.

    `pattern` are the names of its generations below `path` where these are files or folders,
    `inside` the folder of a generation in which the mail store begins, `layout` where in it a
    mailbox is. `format` and `live` belong to copies that hold mail, `dialect` to a database dump.
    `slack_min` is how long before a generation's start a message may be young enough to be absent.
    The password of a repository is kept in one of three places.
    """

    name: Name
    kind: CopyKind
    path: FileName
    title: Text | None = None
    node: Name | None = None
    pattern: Pattern | None = None
    stamp: FileName | None = None
    inside: InnerPath = ""
    format: StoreFormat = StoreFormat.MAILDIR
    layout: Layout = "{domain}/{user}"
    dialect: Dialect | None = None
    schedule: Schedule = Schedule()
    rpo_h: Annotated[float, Field(ge=0.5, le=24 * 366)] = 26
    off_site: bool = False
    immutable: bool = False
    slack_min: Annotated[int, Field(ge=0, le=24 * 60)] = 10
    policy: Policy = Policy()
    live: LiveStore | None = None
    connection: Text | None = None
    password_env: EnvName | None = None
    password_file: FileName | None = None

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if (self.kind is CopyKind.SQL) != (self.dialect is not None):
            raise ValueError("dialect 必须且只能在 kind 为 sql 时填写")
        places = (self.connection, self.password_env, self.password_file)
        given = sum(place is not None for place in places)
        if given > 1:
            raise ValueError("connection、password_env、password_file 只能填写一个")
        if given and not self.kind.is_repository:
            raise ValueError("只有 restic 和 borg 仓库需要口令")
        return self

    @property
    def label(self) -> str:
        """Return what people call it."""
        return self.title or self.name

    @property
    def promised(self) -> Policy:
        """Return the policy of what can be verified of it: an account store holds no mail."""
        if self.kind.holds_mail:
            return self.policy
        return self.policy.model_copy(update={"L2": None, "L3": None, "L5": None})

    def credential(self) -> Credential | None:
        """Return where its password is kept; None for one without a password."""
        if not (self.connection or self.password_env or self.password_file):
            return None
        return Credential(
            login=self.name,
            connection=self.connection,
            password_env=self.password_env,
            password_file=self.password_file,
        )
