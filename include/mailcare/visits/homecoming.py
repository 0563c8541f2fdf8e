"""Take home what a kit brought, in the caller's transaction: all of it or nothing."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.orm import Session

from mailcare.inspection import onsite as inspecting
from mailcare.records.visits import Visit, VisitState
from mailcare.systems.evidence import Evidence
from mailcare.visits import negotiating, onsite
from mailcare.visits.kit import Entries
from mailcare.visits.kit_folder import Brought
from mailcare.visits.negotiating import Moment


@dataclass(frozen=True, slots=True)
class Imported:
    """What a kit brought: new replies, and entries, lessons and photos that it holds."""

    number: str
    replies: int
    observations: int
    lessons: int
    photos: int


def take_kit(
    session: Session,
    visit: Visit,
    brought: Brought,
    photos: Mapping[str, Evidence],
    now: Moment,
    *,
    by: str,
) -> Imported:
    """Take a kit's content; a visit that is agreed and whose first day has come is begun by it.

    What was taken before is not taken again, not even over what somebody has corrected since.
    """
    if visit.state is VisitState.CONFIRMED:
        negotiating.start(session, visit, now, by=by)
    onsite.refuse_unstarted(visit)
    inspection = inspecting.open_inspection(session, visit.service_id)
    replies = sum(
        inspecting.take_bundle(session, inspection, body, source=name)
        for name, body in brought.replies.items()
    )
    entries = brought.entries
    for form in entries.observations:
        if not inspecting.was_observed(session, inspection, form.place(), form.observation()):
            inspecting.observe(
                session, inspection, form.place(), form.observation(), by=by, at=now.at
            )
    _take_words(session, visit, entries, now, by=by)
    for one in entries.photos:
        onsite.keep_photo(
            session, visit, photos[one.file],
            told=one, by=by, at=now.at,
        )  # fmt: skip
    counts = map(len, (entries.observations, entries.training, photos))
    return Imported(visit.number, replies, *counts)


def _take_words(session: Session, visit: Visit, entries: Entries, now: Moment, *, by: str) -> None:
    for field, text in entries.words.items():
        if not onsite.was_written(session, visit, field, text.strip()):
            onsite.write_entry(session, visit, field, text.strip(), by=by, at=now.at)
    known = onsite.all_trainings_of(session, visit)
    for lesson in entries.training:
        if onsite.told_of(lesson) not in known:
            onsite.write_training(session, visit, lesson, by=by, at=now.at)
