"""What is written down on site: words by field, training, photos; and what is still missing."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import select, union
from sqlalchemy.orm import Session

from mailcare.clock import BEIJING
from mailcare.contracts.forms import complain
from mailcare.errors import InputError
from mailcare.inspection.check import Ask, Channel
from mailcare.inspection.planning import Plan
from mailcare.records.changes import add_once
from mailcare.records.people import EvidenceFile
from mailcare.records.visits import Visit, VisitEntry, VisitEvidence, VisitState, VisitTraining
from mailcare.systems.authorising import keep_evidence
from mailcare.systems.complaints import WRITTEN
from mailcare.systems.evidence import Evidence
from mailcare.visits.entries import FIELDS, OPINIONS, Topic, day_of_check
from mailcare.visits.forms import PhotoForm, TrainingForm

WRITABLE = frozenset({VisitState.STARTED, VisitState.COMPLETED})
TEXT_MOST = 4000
PHOTO_TYPES = frozenset({"image/jpeg", "image/png"})
PHOTOS_SHOWN_MOST = 16  # on four pages of the report; all others are named there


@dataclass(frozen=True, slots=True)
class Training:
    """What was taught on a topic."""

    topic: Topic
    taught_on: date
    hours: Decimal
    content: str
    attendees: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo or file of a visit, without its bytes; `file` is the evidence file's id."""

    file: int
    name: str
    media_type: str
    size_bytes: int
    sha256: str
    about: str
    caption: str
    recorded_by: str
    recorded_at: datetime


def refuse_unstarted(visit: Visit) -> None:
    """Raise `InputError` unless the visit goes on; what a completed one says stands."""
    if visit.state is not VisitState.STARTED:
        raise InputError("只有现场进行中的巡检可以填写", subject=visit.number)


def write_entry(
    session: Session, visit: Visit, field: str, text: str, *, by: str, at: datetime
) -> None:
    """Write a field's words down; equal words twice are once. `FormError` for what is no field."""
    _check_entry(visit, field, text)
    if entries_of(session, visit).get(field, "") == text:
        return
    session.add(
        VisitEntry(visit_id=visit.id, field=field, text=text, recorded_by=by, recorded_at=at)
    )


def _check_entry(visit: Visit, field: str, text: str) -> None:
    if field not in {*FIELDS, *OPINIONS}:
        raise complain("field", "没有这个栏目")
    if field in OPINIONS and visit.state is not VisitState.COMPLETED:
        raise complain(field, "客户意见在报告签字后登记")
    if field in FIELDS:
        refuse_unstarted(visit)
    if len(text) > TEXT_MOST:
        raise complain(field, f"不能超过 {TEXT_MOST} 个字")
    if not re.match(WRITTEN, text):
        raise complain(field, "不能含控制字符")
    if field == "opinion_score" and text not in ("", *"012345"):
        raise complain(field, "应为 0 至 5 的整数，客户没有打分的留空")


def was_written(session: Session, visit: Visit, field: str, text: str) -> bool:
    """Tell whether a field has had these words, whatever was written since."""
    known = select(VisitEntry.id).where(
        VisitEntry.visit_id == visit.id, VisitEntry.field == field, VisitEntry.text == text
    )
    return session.scalar(known.limit(1)) is not None


def entries_of(session: Session, visit: Visit) -> Mapping[str, str]:
    """Return the last words of each field."""
    rows = select(VisitEntry).where(VisitEntry.visit_id == visit.id).order_by(VisitEntry.id)
    return {one.field: one.text for one in session.scalars(rows)}


def write_training(
    session: Session, visit: Visit, form: TrainingForm, *, by: str, at: datetime
) -> None:
    """Write down what was taught on a topic; the same twice is once.

    Raise `FormError` for a day before the visit's first one, or after `at`.
    """
    refuse_unstarted(visit)
    _check_day(visit, form.taught_on, at=at)
    if told_of(form) in trainings_of(session, visit):
        return
    session.add(
        VisitTraining(
            visit_id=visit.id,
            topic=str(form.topic),
            taught_on=form.taught_on,
            hours=form.hours,
            content=form.content,
            attendees=list(form.attendees),
            recorded_by=by,
            recorded_at=at,
        )
    )


def _check_day(visit: Visit, taught_on: date, *, at: datetime) -> None:
    if visit.starts_on and taught_on < visit.starts_on:
        raise complain("taught_on", f"不能早于现场巡检的首日 {visit.starts_on}")
    if taught_on > at.astimezone(BEIJING).date():
        raise complain("taught_on", "不能晚于今天")


def told_of(form: TrainingForm) -> Training:
    """Return what a form tells."""
    return Training(form.topic, form.taught_on, form.hours, form.content, form.attendees)


def trainings_of(session: Session, visit: Visit) -> tuple[Training, ...]:
    """Return the last record of each topic, in the order of annex 2."""
    last = {one.topic: one for one in all_trainings_of(session, visit)}
    return tuple(last[topic] for topic in Topic if topic in last)


def all_trainings_of(session: Session, visit: Visit) -> tuple[Training, ...]:
    """Return every record of a topic, those that a later one stands for included."""
    rows = select(VisitTraining).where(VisitTraining.visit_id == visit.id)
    return tuple(
        Training(Topic(one.topic), one.taught_on, one.hours, one.content, tuple(one.attendees))
        for one in session.scalars(rows.order_by(VisitTraining.id))
    )


def keep_photo(
    session: Session,
    visit: Visit,
    file: Evidence,
    *,
    told: PhotoForm,
    by: str,
    at: datetime,
) -> None:
    """Keep a photo or file of a visit; the same one about the same thing is kept once."""
    refuse_unstarted(visit)
    kept = keep_evidence(session, file, by=by)
    values = {
        "visit_id": visit.id,
        "evidence_file_id": kept,
        "about": told.about,
        "caption": told.caption,
        "recorded_by": by,
        "recorded_at": at,
    }
    add_once(session, VisitEvidence, values)


def photos_of(session: Session, visit: Visit) -> tuple[Photo, ...]:
    """Return a visit's photos and files, in the order in which they came."""
    rows = session.execute(
        select(VisitEvidence, EvidenceFile)
        .join(EvidenceFile, EvidenceFile.id == VisitEvidence.evidence_file_id)
        .where(VisitEvidence.visit_id == visit.id)
        .order_by(VisitEvidence.id)
    )
    return tuple(
        Photo(
            file.id, file.name, file.media_type, file.size_bytes, file.sha256,
            row.about, row.caption, row.recorded_by, row.recorded_at,
        )
        for row, file in rows
    )  # fmt: skip


def photo_bodies(session: Session, visit: Visit) -> Mapping[int, bytes]:
    """Return the first photos of a visit by their file's id: those that its report shows."""
    shown = [one.file for one in photos_of(session, visit) if one.media_type in PHOTO_TYPES]
    files = select(EvidenceFile.id, EvidenceFile.body).where(
        EvidenceFile.id.in_(list(dict.fromkeys(shown))[:PHOTOS_SHOWN_MOST])
    )
    return {row.id: row.body for row in session.execute(files)}


def writers_of(session: Session, visit: Visit) -> frozenset[str]:
    """Return who wrote down what was done, taught or photographed on site."""
    words = select(VisitEntry.recorded_by).where(
        VisitEntry.visit_id == visit.id, VisitEntry.field.in_(FIELDS)
    )
    taught = select(VisitTraining.recorded_by).where(VisitTraining.visit_id == visit.id)
    photos = select(VisitEvidence.recorded_by).where(VisitEvidence.visit_id == visit.id)
    return frozenset(session.scalars(union(words, taught, photos)))


def days_written(plan: Plan, answers: Sequence[Ask]) -> set[int]:
    """Return the days of which something was measured or seen."""
    told = set(answers)
    seen = {ask.words[0] for ask in told if ask.channel is Channel.PERSON}
    return {
        day_of_check(check.name, check.area)
        for check, question in plan.questions
        if check.name in seen or told.intersection(question.asks)
    }
