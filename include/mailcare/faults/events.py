"""The events of a fault, as values, and the reading of strangers' EVENTS.json into them.

{"events": [{"type": "declared", "at": "2026-02-11T16:00:00+08:00", "level": "P1"}, ...]}
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from mailcare.deadlines import Level, read_moment
from mailcare.errors import InputError

LONGEST_QUOTE = 40


class Refused(InputError):
    """The events cannot be what happened.

    `sentence` says why; `index` is the event's 0-based place in the given order, None when there is
    no such event. `field` is what of an entered event is to blame: its time, unless told otherwise.
    """

    def __init__(self, sentence: str, *, index: int | None = None, field: str = "at") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.index = index
        self.field = field


class Channel(StrEnum):
    """How the customer was first contacted; an automatic reply never counts."""

    PHONE = "phone"
    CHAT = "chat"
    EMAIL = "email"
    ONSITE = "onsite"
    AUTO = "auto"


class PauseReason(StrEnum):
    """Why a fault may pause; there are no other reasons."""

    AWAITING_AUTHORISATION = "awaiting_authorisation"
    CUSTOMER_CHANGE_WINDOW = "customer_change_window"
    CUSTOMER_ASKED = "customer_asked"
    THIRD_PARTY = "third_party"


class Change(StrEnum):
    """Why a level changed: the fault did, or it had been classified wrongly from its start."""

    WORSENED = "worsened"
    MISCLASSIFIED = "misclassified"


class Remedy(StrEnum):
    """What handled the fault; a workaround is one confirmed to work."""

    FIX = "fix"
    WORKAROUND = "workaround"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to a fault, at an aware moment."""

    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared(Event):
    """The customer declared the fault 申报."""

    level: Level


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted(Event):
    """Somebody took the fault on 受理."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstContact(Event):
    """The customer was contacted 首次联系."""

    channel: Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused(Event):
    """The resolution clocks stop 暂停."""

    reason: PauseReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed(Event):
    """The resolution clocks go on 恢复."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelChanged(Event):
    """The level changed 级别变更; `customer_agreed` matters when it became a lighter one."""

    level: Level
    why: Change
    customer_agreed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Handled(Event):
    """The fault was handled 处理完成."""

    kind: Remedy


@dataclass(frozen=True, slots=True, kw_only=True)
class Reopened(Event):
    """The same symptom came back 重新打开."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSent(Event):
    """The customer's mail server accepted the report, or it was handed over 报告送达."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportReturned(Event):
    """The report came back that a report_sent told of at `sent_at`: that was not so 报告退回."""

    sent_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed(Event):
    """The customer signed the report 客户签字."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled(Event):
    """The fault was cancelled 撤销."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged(Event):
    """The fault goes on as another one 合并."""

    into: str


@dataclass(frozen=True, slots=True)
class Form:
    """How an event is written in a file: its class, its name for people, its further words."""

    make: Callable[..., Event]
    title: str
    words: Mapping[str, Callable[[object], object]] = field(default_factory=dict)


def read_events(content: bytes | str) -> tuple[Event, ...]:
    """Read the content of an EVENTS.json in its order; raise `Refused` for what cannot be read.

    Keys beyond those that the clocks need (who, evidence) are passed over.
    """
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        raise Refused("不是合法的 JSON") from None
    rows = data.get("events") if isinstance(data, dict) else None
    if not isinstance(rows, list):
        raise Refused('应为 {"events": [...]} 形式的 JSON')
    return tuple(_event(row, index) for index, row in enumerate(rows))


def _event(row: object, index: int) -> Event:
    if not isinstance(row, dict):
        raise Refused("事件应为 JSON 对象", index=index)
    try:
        form, at = _form(row.get("type")), read_moment(row.get("at"))
        return form.make(at=at, **{name: read(row.get(name)) for name, read in form.words.items()})
    except InputError as error:
        raise Refused(str(error), index=index) from None


def _form(word: object) -> Form:
    if isinstance(word, str) and word in FORMS:
        return FORMS[word]
    raise InputError(f"type {_unknown(word)}，可用：{'、'.join(FORMS)}")


def _one_of(words: type[StrEnum], name: str) -> Callable[[object], StrEnum]:
    known = {str(one): one for one in words}

    def read(value: object) -> StrEnum:
        if isinstance(value, str) and value in known:
            return known[value]
        raise InputError(f"{name} {_unknown(value)}，可用：{'、'.join(words)}")

    return read


def _agreement(value: object) -> bool:
    if value is None or isinstance(value, bool):
        return value is True
    raise InputError(f"customer_agreed {_unknown(value)}，可用：true、false")


def _reference(value: object) -> str:
    if isinstance(value, str) and value.strip():
        return value
    raise InputError(f"into {_unknown(value)}，应为并入的故障编号")


def _sending(value: object) -> datetime:
    try:
        return read_moment(value)
    except InputError as error:
        raise InputError(f"sent_at {error}") from None


def _unknown(value: object) -> str:
    # ascii: whatever a stranger wrote can be printed on any terminal.
    return "未填写" if value is None else f"的值 {ascii(value)[:LONGEST_QUOTE]} 不认识"


FORMS: Mapping[str, Form] = {
    "declared": Form(Declared, "申报", {"level": _one_of(Level, "level")}),
    "accepted": Form(Accepted, "受理"),
    "first_contact": Form(FirstContact, "首次联系", {"channel": _one_of(Channel, "channel")}),
    "paused": Form(Paused, "暂停", {"reason": _one_of(PauseReason, "reason")}),
    "resumed": Form(Resumed, "恢复"),
    "level_changed": Form(
        LevelChanged,
        "级别变更",
        {
            "level": _one_of(Level, "level"),
            "why": _one_of(Change, "why"),
            "customer_agreed": _agreement,
        },
    ),
    "handled": Form(Handled, "处理完成", {"kind": _one_of(Remedy, "kind")}),
    "reopened": Form(Reopened, "重新打开"),
    "report_sent": Form(ReportSent, "报告送达"),
    "report_returned": Form(ReportReturned, "报告退回", {"sent_at": _sending}),
    "signed": Form(Signed, "客户签字"),
    "cancelled": Form(Cancelled, "撤销"),
    "merged": Form(Merged, "合并", {"into": _reference}),
}
# What a person may record of a fault by itself: a declaration has its own form, and what became of
# a report is only recorded with the report.
ENTERED = tuple(
    word for word in FORMS if word not in {"declared", "report_sent", "report_returned", "signed"}
)
