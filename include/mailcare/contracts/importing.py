"""Hold an import file against the records: what it would add and change, what is wrong. Pure."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any

from mailcare.contracts.forms import ContactForm, ContractForm, FormError, Line, read_form
from mailcare.contracts.sheets import Row, Sheets
from mailcare.errors import InputError


class Kind(StrEnum):
    """What an import would do with a row."""

    ADDITION = "addition"
    CHANGE = "change"
    SAME = "same"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Change:
    """One field that an import writes, as texts: `before` is empty for what is new."""

    field: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class PreviewRow:
    """What becomes of one row of the file.

    `place` says where it stands (「合同 第 5 行」), `subject` is the customer's name or the
    contract's number, `sentences` say what is wrong; where nothing is, `changes` what is written.
    """

    place: str
    kind: Kind
    subject: str
    changes: tuple[Change, ...] = ()
    sentences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Preview:
    """What a file would do; `token` names exactly this, and is handed back to `apply_import`."""

    rows: tuple[PreviewRow, ...]
    token: str

    def count(self, kind: Kind | str) -> int:
        """Return how many rows are of a kind."""
        return sum(row.kind == kind for row in self.rows)

    @property
    def is_applicable(self) -> bool:
        """Tell whether no row is wrong and something is to be written."""
        return not self.count(Kind.ERROR) and any(row.kind is not Kind.SAME for row in self.rows)


class ContactRow(ContactForm):
    """A row of the customers' sheet: a contact, and whose."""

    customer: Line


@dataclass(frozen=True, slots=True)
class KnownContract:
    """A contract as it is recorded; `fields` are those of its form."""

    id: int
    version: int
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Records:
    """What is recorded: contacts by customer and name, sites by customer, contracts by number."""

    customers: Mapping[str, int]
    contacts: Mapping[str, Mapping[str, Mapping[str, Any]]]
    systems: Mapping[str, tuple[int, str]]
    contracts: Mapping[str, KnownContract]


@dataclass(frozen=True, slots=True)
class Found:
    """What a file holds, held against the records: a row of the preview for each, and its form."""

    contacts: tuple[tuple[PreviewRow, ContactRow | None], ...]
    contracts: tuple[tuple[PreviewRow, ContractForm | None], ...]
    records: Records = field(repr=False)


def compare(sheets: Sheets, known: Records) -> Found:
    """Hold a file against the records; nothing is written."""
    contacts = tuple(_contacts(sheets.contacts, known))
    coming = {form.customer for _, form in contacts if form}
    contracts = tuple(_contracts(sheets.contracts, known, coming))
    return Found(contacts, _without_overlaps(contracts, known), known)


def _contacts(
    rows: Iterable[Row], known: Records
) -> Iterator[tuple[PreviewRow, ContactRow | None]]:
    places: dict[tuple[str, str], str] = {}
    for row in rows:
        form, sentences = _read(ContactRow, row, {})
        subject = str(row.fields.get("customer", ""))
        if form and (at := places.setdefault((form.customer, form.name), row.place)) != row.place:
            sentences = (f"与{at}是同一个联系人",)
        if sentences or form is None:
            yield PreviewRow(row.place, Kind.ERROR, subject, (), sentences), None
            continue
        before = known.contacts.get(form.customer, {}).get(form.name, {})
        after = form.model_dump(exclude={"customer"})
        yield _compared(row, subject, before, after), form


def _contracts(
    rows: Iterable[Row], known: Records, coming: set[str]
) -> Iterator[tuple[PreviewRow, ContractForm | None]]:
    places: dict[str, str] = {}
    for row in rows:
        subject = str(row.fields.get("number", "")).strip()
        recorded = known.contracts.get(subject)
        before = recorded.fields if recorded else {}
        form, sentences = _read(ContractForm, row, before)
        if form:
            sentences = tuple(_objections(form, row, known, coming, places))
        if sentences or form is None:
            yield PreviewRow(row.place, Kind.ERROR, subject, (), sentences), None
            continue
        yield _compared(row, subject, before, form.model_dump()), form


def _read(form: Any, row: Row, before: Mapping[str, Any]) -> tuple[Any, tuple[str, ...]]:  # noqa: ANN401 - either form
    """Return the form, or None and what is wrong; what is left out stays as it is recorded."""
    if row.sentences:
        return None, row.sentences
    try:
        return read_form(form, {**before, **row.fields}), ()
    except FormError as error:
        return None, tuple(
            f"{_column(row, str(one.path[0]))}：{one.sentence}" if one.path else one.sentence
            for one in error.complaints
        )


def _column(row: Row, name: str) -> str:
    return row.columns.get(name, name)


def _objections(
    form: ContractForm, row: Row, known: Records, coming: set[str], places: dict[str, str]
) -> Iterator[str]:
    if (at := places.setdefault(form.number, row.place)) != row.place:
        yield f"{_column(row, 'number')}：与{at}重复"
    recorded = known.contracts.get(form.number)
    if recorded and recorded.fields["customer"] != form.customer:
        yield f"{_column(row, 'customer')}：合同的客户不能更改"
    if form.customer not in known.customers and form.customer not in coming:
        yield f"{_column(row, 'customer')}：没有登记这个客户"
    own = [one for one in form.systems if known.systems.get(one, (0, ""))[1] == form.customer]
    if unknown := [one for one in form.systems if one not in own]:
        yield f"{_column(row, 'systems')}：该客户没有登记这些系统：{'、'.join(unknown)}"


def _compared(
    row: Row, subject: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> PreviewRow:
    changes = tuple(
        Change(_column(row, name), _shown(before.get(name)), _shown(value))
        for name, value in after.items()
        if _shown(before.get(name)) != _shown(value)
    )
    if not before:
        return PreviewRow(row.place, Kind.ADDITION, subject, changes)
    return PreviewRow(row.place, Kind.CHANGE if changes else Kind.SAME, subject, changes)


def _shown(value: object) -> str:
    """Return a value as a person reads it; equal values read alike."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, Decimal):
        return f"{value:.2f}"
    return "、".join(value) if isinstance(value, tuple) else str(value)


@dataclass(frozen=True, slots=True, order=True)
class _Cover:
    """Days for which a contract covers a system; `place` is its row, -1 for one not in the file."""

    starts_on: date
    ends_on: date
    number: str
    place: int


def _without_overlaps(
    contracts: Sequence[tuple[PreviewRow, ContractForm | None]], known: Records
) -> tuple[tuple[PreviewRow, ContractForm | None], ...]:
    """Refuse the rows that would cover a system twice in the same time."""
    wrong: dict[int, list[str]] = defaultdict(list)
    for site, covers in _covers(contracts, known).items():
        for one, other in _overlaps(sorted(covers)):
            wrong[one.place].append(_overlap(site, other))
            wrong[other.place].append(_overlap(site, one))
    return tuple(
        (replace(row, kind=Kind.ERROR, changes=(), sentences=tuple(wrong[at])), None)
        if at in wrong
        else (row, form)
        for at, (row, form) in enumerate(contracts)
    )


def _covers(
    contracts: Sequence[tuple[PreviewRow, ContractForm | None]], known: Records
) -> Mapping[str, list[_Cover]]:
    covers: dict[str, list[_Cover]] = defaultdict(list)
    in_file = {form.number for _, form in contracts if form}
    for at, (_, form) in enumerate(contracts):
        if form:
            for site in form.systems:
                covers[site].append(_Cover(form.starts_on, form.ends_on, form.number, at))
    for number, one in known.contracts.items():
        if number not in in_file:
            for site in one.fields["systems"]:
                days = (one.fields["starts_on"], one.fields["ends_on"])
                covers[site].append(_Cover(*days, number, -1))
    return covers


def _overlaps(covers: Sequence[_Cover]) -> Iterator[tuple[_Cover, _Cover]]:
    """Yield each cover that begins before one before it has ended, with the one that lasts most."""
    longest = covers[0]
    for one in covers[1:]:
        if one.starts_on <= longest.ends_on and {one.place, longest.place} != {-1}:
            yield longest, one
        longest = max(longest, one, key=lambda cover: cover.ends_on)


def _overlap(site: str, other: _Cover) -> str:
    return f"{site} 在此期间已有合同 {other.number}（{other.starts_on} 至 {other.ends_on}）"


def previewed(found: Found) -> Preview:
    """Return the preview of what was found; equal previews have equal tokens."""
    rows = tuple(row for row, _ in (*found.contacts, *found.contracts))
    told = [
        [row.place, row.kind, row.subject, row.sentences]
        + [[one.field, one.before, one.after] for one in row.changes]
        for row in rows
    ]
    return Preview(rows, hashlib.sha256(json.dumps(told).encode()).hexdigest())


def refuse_unseen(preview: Preview, token: str) -> None:
    """Raise `InputError` for a preview with errors, or another one than the person saw."""
    if wrong := preview.count(Kind.ERROR):
        raise InputError(f"有 {wrong} 行错误，未写入任何内容")
    if preview.token != token:
        raise InputError("文件或记录在预览之后有变化，未写入任何内容，请重新预览")
