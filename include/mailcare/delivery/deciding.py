"""What a person decides about a letter that the outbox does not go on with by itself."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.orm import Session

from mailcare.addresses import BadAddress, parse_address
from mailcare.contracts.forms import ReasonForm, complain, read_form
from mailcare.delivery import progress
from mailcare.delivery.wording import STATE_TITLES
from mailcare.errors import InputError
from mailcare.records.audit import note_change
from mailcare.records.deliveries import Delivery, DeliveryChannel, DeliveryState

PENDING, SETTLED = DeliveryState.PENDING, DeliveryState.SETTLED
MAY_GO_AGAIN = frozenset(
    {
        DeliveryState.UNCERTAIN,
        DeliveryState.REFUSED,
        DeliveryState.DEAD,
        DeliveryState.EXPIRED,
    }
)


def mark_arrived(session: Session, delivery: int, *, reason: str, by: str, at: datetime) -> None:
    """Settle an uncertain letter: it has arrived, as `reason` says how that is known.

    Raise `FormError` without a reason, `InputError` where the letter is not uncertain any more.
    """
    before = _found(session, delivery).state
    detail = read_form(ReasonForm, {"reason": reason}).reason
    if before is not DeliveryState.UNCERTAIN or not progress.change(
        session, delivery, before, SETTLED, detail=detail, at=at, by=by
    ):
        raise _moved_on(session, delivery)
    _note(session, delivery, by, at, before={"state": before}, after={"state": SETTLED})


def send_again(
    session: Session, delivery: int, *, recipient: str, reason: str, by: str, at: datetime
) -> None:
    """Let a letter go once more, to a corrected recipient where it was a wrong one.

    It keeps its Message-ID: where the first one did arrive, the receiver may know it again. Raise
    `FormError` for a wrong field, `InputError` where the letter has moved on or must not change.
    """
    row = _found(session, delivery)
    before = {"state": row.state, "recipient": row.recipient}
    detail = read_form(ReasonForm, {"reason": reason}).reason
    if row.state not in MAY_GO_AGAIN or not progress.change(
        session, delivery, row.state, PENDING, detail=detail, at=at, by=by
    ):
        raise _moved_on(session, delivery)
    row.recipient = _recipient(row, recipient)
    row.next_attempt_at, row.not_before_at, row.expires_at = at, None, None
    row.attempts = 0
    after = {"state": PENDING, "recipient": row.recipient}
    _note(session, delivery, by, at, before=before, after=after)


def _recipient(row: Delivery, recipient: str) -> str:
    if row.channel is not DeliveryChannel.SMTP or recipient == row.recipient:
        return row.recipient
    try:
        parse_address(recipient)
    except BadAddress as error:
        raise complain("recipient", str(error)) from None
    return recipient


def _found(session: Session, delivery: int) -> Delivery:
    row = session.get(Delivery, delivery, populate_existing=True)
    if row is None:
        raise InputError("没有这封信", subject=str(delivery))
    return row


def _moved_on(session: Session, delivery: int) -> InputError:
    state = _found(session, delivery).state
    return InputError(f"这封信{STATE_TITLES[state]}，不能这样处理", subject=str(delivery))


def _note(
    session: Session,
    delivery: int,
    by: str,
    at: datetime,
    *,
    before: Mapping[str, object],
    after: Mapping[str, object],
) -> None:
    note_change(
        session,
        by=by,
        at=at,
        action="decide",
        subject=f"letter/{delivery}",
        before=before,
        after=after,
    )
