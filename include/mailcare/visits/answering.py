"""What happens to a customer's link: shown, used once, or refused and written down."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from mailcare.errors import InputError
from mailcare.records.changes import add_once
from mailcare.records.visits import Visit, VisitEvent, VisitLink, VisitLinkRefusal, VisitState
from mailcare.visits.appointing import last_event
from mailcare.visits.links import (
    REFUSALS_KEPT_MOST,
    REFUSALS_MOST,
    REFUSALS_WINDOW,
    Link,
    Refusal,
    digest,
    is_number,
    is_well_formed,
    why_refused,
)

SENTENCES = {
    Refusal.UNKNOWN: "链接无效。请核对邮件中的链接是否完整，或与我们联系。",
    Refusal.OTHER_VISIT: "链接无效。请核对邮件中的链接是否完整，或与我们联系。",
    Refusal.USED: "链接已经使用过，您的答复已登记。如需更改，请与我们联系。",
    Refusal.EXPIRED: "链接已过期，请与我们联系。",
    Refusal.SUPERSEDED: "日期已另行商定或提出，此链接不再有效，请以最近的邮件为准。",
}


class LinkRefused(InputError):
    """A link that does not work; `refusal` says why."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(SENTENCES[refusal])
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Knock:
    """Somebody at the door: the visit and the token that they name, and where they come from."""

    number: str
    token: str
    address: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A link that works: its visit, the offer that it answers, and the link's id."""

    visit: Visit
    offer: VisitEvent
    link: int


def is_flooding(session: Session, address: str, *, at: datetime) -> bool:
    """Tell whether an address was refused so often lately that it is not listened to."""
    since = at - REFUSALS_WINDOW
    refused = select(func.count()).where(
        VisitLinkRefusal.address == address, VisitLinkRefusal.at > since
    )
    return (session.scalar(refused) or 0) >= REFUSALS_MOST


def open_link(session: Session, knock: Knock, *, at: datetime) -> Opened:
    """Return what a link opens; raise `LinkRefused` where it opens nothing."""
    if not is_well_formed(knock.number, knock.token):
        raise LinkRefused(Refusal.UNKNOWN)
    found = session.execute(
        select(VisitLink, VisitEvent, Visit)
        .join(VisitEvent, VisitEvent.id == VisitLink.event_id)
        .join(Visit, Visit.id == VisitEvent.visit_id)
        .where(VisitLink.token_sha256 == digest(knock.token))
    ).one_or_none()
    if found is None:
        raise LinkRefused(Refusal.UNKNOWN)
    row, offer, visit = found
    last = last_event(session, visit)
    is_current = visit.state is VisitState.PROPOSED and last is not None and last.id == offer.id
    link = Link(visit.number, row.expires_at, row.used_at, is_current=is_current)
    if refusal := why_refused(link, knock.number, at=at):
        raise LinkRefused(refusal)
    return Opened(visit, offer, row.id)


def use_up(session: Session, link: int, *, at: datetime) -> None:
    """Use a link; raise `LinkRefused` for the second of two who try at once."""
    unused = update(VisitLink).where(VisitLink.id == link, VisitLink.used_at.is_(None))
    if session.scalar(unused.values(used_at=at).returning(VisitLink.id)) is None:
        raise LinkRefused(Refusal.USED)


def write_refusal(session: Session, knock: Knock, refusal: Refusal, *, at: datetime) -> None:
    """Write down that a link was refused, as long as the log is not being flooded."""
    kept = select(func.count()).where(VisitLinkRefusal.at > at - REFUSALS_WINDOW)
    if (session.scalar(kept) or 0) >= REFUSALS_KEPT_MOST:
        return
    # A number that is none may hold what PostgreSQL takes in no text, such as NUL.
    known = select(Visit.id).where(Visit.number == knock.number)
    visit = session.scalar(known) if is_number(knock.number) else None
    add_once(
        session,
        VisitLinkRefusal,
        {"at": at, "reason": str(refusal), "address": knock.address, "visit_id": visit},
    )


def offered_starts(offer: VisitEvent) -> tuple[date, ...]:
    """Return the first days of an offer."""
    return tuple(map(date.fromisoformat, offer.starts))
