"""Post the letters about a visit, in the transaction of what they tell."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailcare.clock import BEIJING
from mailcare.delivery.outbox import Draft, FileReference, post
from mailcare.delivery.sealing import MARK, sealed_word
from mailcare.records.customers import Contact, Customer, System
from mailcare.records.deliveries import DeliveryChannel
from mailcare.records.inspections import Service
from mailcare.records.visits import Visit, VisitEvent, VisitLink
from mailcare.settings import read_settings
from mailcare.systems.authorising import keep_evidence
from mailcare.systems.evidence import Evidence
from mailcare.visits import letters
from mailcare.visits.invitation import Meeting, Purpose, invitation
from mailcare.visits.letters import About, Text
from mailcare.visits.links import VALID_FOR, digest

OPENS = time(9)  # Beijing time
ANSWER_PATH = "/mailcare-visit"  # where the plugin puts the customers' answer page


@dataclass(frozen=True, slots=True)
class Sending:
    """At whose doing letters go, when, and how their keys begin."""

    key: str
    by: str
    at: datetime

    def key_for(self, recipient: str) -> str:
        """Return the key of one recipient's letter."""
        return f"{self.key}/{recipient}"


def customer_of(session: Session, visit: Visit) -> Customer:
    """Return the customer of a visit."""
    return session.get_one(Customer, system_of(session, visit).customer_id)


def system_of(session: Session, visit: Visit) -> System:
    """Return the mail system of a visit."""
    return session.get_one(System, session.get_one(Service, visit.service_id).system_id)


def recipients_of(session: Session, visit: Visit) -> tuple[str, ...]:
    """Return the addresses of the customer's contacts who get papers."""
    customer = customer_of(session, visit)
    known = select(Contact).where(Contact.customer_id == customer.id, Contact.gets_papers)
    return tuple(one.email for one in session.scalars(known.order_by(Contact.id)) if one.email)


def write_offer(
    session: Session, visit: Visit, event: VisitEvent, offered: Sequence[Sequence[date]]
) -> None:
    """Post the letter that proposes days, to each contact with a link of their own.

    A link works until two weeks have passed, and no longer than until the last day proposed.
    """
    settings = read_settings()
    until = event.at + VALID_FOR
    sending = _of_event(visit, event)
    for recipient in recipients_of(session, visit):
        link = ""
        if settings.public_url:
            link = f"{settings.public_url.rstrip('/')}{ANSWER_PATH}/{visit.number}/{MARK}"
            session.add(
                VisitLink(
                    event_id=event.id,
                    token_sha256=digest(sealed_word(sending.key_for(recipient))),
                    recipient=recipient,
                    expires_at=until,
                )
            )
        text = letters.offer(
            about(session, visit), offered, link=link, until=until, note=event.note
        )
        _post(session, visit, sending, (recipient,), text)


def write_agreed(
    session: Session, visit: Visit, event: VisitEvent, days: Sequence[date], text: Text
) -> None:
    """Post to both sides that days are agreed, with the invitation."""
    sending = _of_event(visit, event)
    _with_invitation(session, visit, sending, both_sides(session, visit), days, text, Purpose.HOLD)


def write_called_off(
    session: Session, visit: Visit, event: VisitEvent, days: Sequence[date]
) -> None:
    """Post to both sides that agreed days are taken back, with the calendar's cancellation."""
    text = letters.called_off(about(session, visit), days, note=event.note)
    sending = _of_event(visit, event)
    _with_invitation(
        session, visit, sending, both_sides(session, visit), days, text, Purpose.CALL_OFF
    )


def write_reassigned(
    session: Session, visit: Visit, days: Sequence[date], *, before: str, by: str, at: datetime
) -> None:
    """Post to both sides who comes now; to the engineer `before`, if another one, that they don't.

    `before` is a mail address, empty where nobody was to go.
    """
    told, everybody = about(session, visit), both_sides(session, visit)
    sending = Sending(f"{visit.number}/staff/{visit.sequence}", by, at)
    text = letters.reassigned(told, days)
    _with_invitation(session, visit, sending, everybody, days, text, Purpose.HOLD)
    if before and before not in everybody:
        text = letters.released(told, days)
        _with_invitation(session, visit, sending, (before,), days, text, Purpose.UNINVITE)


def write_reminder(
    session: Session, visit: Visit, days: Sequence[date], *, ahead: int, key: str, at: datetime
) -> int:
    """Post a reminder to both sides and return how many letters are new."""
    text = letters.reminder(about(session, visit), days, ahead=ahead)
    posted = [
        replace(
            _draft(session, visit, f"{key}/{one}", one, text),
            not_before=_office_hours(at),
            expires_at=_office_hours(at) + timedelta(days=1),
        )
        for one in both_sides(session, visit)
    ]
    return sum(post(session, one, at=at) is not None for one in posted)


def _office_hours(at: datetime) -> datetime:
    """Return the moment, or the opening of that day's office hours: nobody is reminded at night."""
    local = at.astimezone(BEIJING)
    return max(local, datetime.combine(local.date(), OPENS, BEIJING))


def about(session: Session, visit: Visit) -> About:
    """Return what every letter says of a visit."""
    return About(
        visit.number,
        customer_of(session, visit).name,
        system_of(session, visit).title,
        visit.place or "待定",
        visit.engineer_name,
        read_settings().vendor,
    )


def both_sides(session: Session, visit: Visit) -> tuple[str, ...]:
    """Return the addresses of the customer's contacts and of the engineer, each once."""
    own = (visit.engineer_email,) if visit.engineer_email else ()
    return tuple(dict.fromkeys((*recipients_of(session, visit), *own)))


def _of_event(visit: Visit, event: VisitEvent) -> Sending:
    return Sending(f"{visit.number}/{event.ordinal}", event.recorded_by, event.at)


def _with_invitation(
    session: Session,
    visit: Visit,
    sending: Sending,
    recipients: tuple[str, ...],
    days: Sequence[date],
    text: Text,
    purpose: Purpose,
) -> None:
    meeting = Meeting(
        number=visit.number,
        sequence=visit.sequence,
        days=tuple(days),
        customer=customer_of(session, visit).name,
        system=system_of(session, visit).title,
        place=visit.place,
        engineer=visit.engineer_name,
        organizer=read_settings().sender,
        attendees=recipients,
    )
    body = invitation(meeting, purpose, at=sending.at)
    file = Evidence(f"{visit.number}.ics", "text/calendar", body)
    kept = keep_evidence(session, file, by=sending.by)
    reference = FileReference(file.name, evidence_file=kept)
    _post(session, visit, sending, recipients, text, attachments=(reference,))


def _post(
    session: Session,
    visit: Visit,
    sending: Sending,
    recipients: Iterable[str],
    text: Text,
    *,
    attachments: tuple[FileReference, ...] = (),
) -> None:
    for one in recipients:
        key = sending.key_for(one)
        draft = _draft(session, visit, key, one, text, attachments=attachments)
        post(session, draft, at=sending.at)


def _draft(
    session: Session,
    visit: Visit,
    key: str,
    recipient: str,
    text: Text,
    *,
    attachments: tuple[FileReference, ...] = (),
) -> Draft:
    return Draft(
        key=key,
        channel=DeliveryChannel.SMTP,
        recipient=recipient,
        subject=text.subject,
        body=text.body,
        attachments=attachments,
        customer=customer_of(session, visit).id,
    )
