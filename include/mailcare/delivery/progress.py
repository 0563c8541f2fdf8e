"""How a letter moves on: every change of state is a compare-and-set and leaves an event.

Each function works in the caller's transaction. `sending` is committed before a text goes out, so
whatever happens afterwards, the letter is not sent a second time by itself.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.orm import Session

from mailcare.delivery.alerts import tell_others
from mailcare.delivery.pacing import free_at, longest_span
from mailcare.delivery.patience import patience_of, wait_after
from mailcare.records.alerts import Alert, Robot
from mailcare.records.changes import move
from mailcare.records.deliveries import (
    Delivery,
    DeliveryChannel,
    DeliveryEvent,
    DeliveryState,
)

PENDING, SENDING = DeliveryState.PENDING, DeliveryState.SENDING
LOST = (DeliveryState.REFUSED, DeliveryState.DEAD, DeliveryState.UNCERTAIN)
LEASE = timedelta(minutes=5)  # a letter taken by a process that dies is due again after it
# The longest that a living process is between "sending" and the answer, and some more.
ABANDONED_AFTER = {
    DeliveryChannel.SMTP: timedelta(minutes=15),
    DeliveryChannel.DINGTALK: timedelta(minutes=2),
    DeliveryChannel.FEISHU: timedelta(minutes=2),
    DeliveryChannel.WECOM: timedelta(minutes=2),
}
ABANDONED = "上次投递在正文发送途中中断，无法确定是否已送达"


def due_letters(
    session: Session, *, at: datetime, channels: Collection[DeliveryChannel], most: int
) -> Sequence[tuple[int, DeliveryChannel]]:
    """Return the letters to be tried now, alerts first, then the longest due; at most `most`."""
    statement = (
        select(Delivery.id, Delivery.channel)
        .where(Delivery.state == PENDING, Delivery.channel.in_(channels), _is_due(at))
        .order_by(Delivery.alert_id.is_(None), Delivery.next_attempt_at, Delivery.id)
        .limit(most)
    )
    return [(row.id, row.channel) for row in session.execute(statement)]


def take(session: Session, delivery: int, *, at: datetime) -> bool:
    """Reserve a due letter for this process for a while; tell whether it is ours."""
    statement = (
        update(Delivery)
        .where(Delivery.id == delivery, Delivery.state == PENDING, _is_due(at))
        .values(next_attempt_at=at + LEASE)
        .returning(Delivery.id)
    )
    return session.scalar(statement) is not None


def change(
    session: Session,
    delivery: int,
    before: DeliveryState,
    after: DeliveryState,
    *,
    detail: str,
    at: datetime,
    by: str | None = None,
) -> bool:
    """Move a letter on where it still is in `before`; tell whether this call moved it.

    An alert's letter that is lost by it is followed by the next one.
    """
    if not move(session, Delivery, delivery, from_state=before, to_state=after, at=at):
        return False
    session.add(DeliveryEvent(delivery_id=delivery, at=at, state=after, detail=detail, by=by))
    if after in LOST:
        tell_others(session, session.get_one(Delivery, delivery), at=at)
    return True


def settle(
    session: Session, delivery: int, state: DeliveryState, *, detail: str, at: datetime
) -> None:
    """Write down how a try ended; one that may be repeated waits, or is dead after the last.

    What the sender itself knows counts, also where its letter was given up as uncertain meanwhile.
    """
    row = session.get_one(Delivery, delivery, populate_existing=True)
    row.attempts += 1
    row.last_reply = detail
    wait = wait_after(patience_of(row.channel), tries=row.attempts, key=row.key)
    if state is PENDING and wait is not None:
        row.next_attempt_at = at + wait
    after = DeliveryState.DEAD if state is PENDING and wait is None else state
    session.flush()
    if row.state is not after:
        change(session, delivery, row.state, after, detail=detail, at=at)


def come_back(session: Session, delivery: int, *, said: str, at: datetime) -> bool:
    """Turn a letter that came back from arrived to refused, its server's answer to what was `said`.

    Tell whether this call did.
    """
    for before in (DeliveryState.SENT, DeliveryState.UNCERTAIN, DeliveryState.SETTLED):
        if change(session, delivery, before, DeliveryState.REFUSED, detail=said, at=at):
            session.get_one(Delivery, delivery).last_reply = said
            return True
    return False


def postpone(session: Session, delivery: int, *, until: datetime) -> None:
    """Let a pending letter wait without counting a try: its channel has no room just now."""
    session.execute(
        update(Delivery)
        .where(Delivery.id == delivery, Delivery.state == PENDING)
        .values(next_attempt_at=until)
    )


def robot_free_at(session: Session, row: Delivery, *, at: datetime) -> datetime:
    """Return when a chat letter's robot has room; the robot stays locked for the transaction.

    Two processes must not both find the last room free.
    """
    session.execute(select(Robot.id).where(Robot.name == row.recipient).with_for_update())
    span = longest_span(row.channel)
    begun = (
        select(DeliveryEvent.at)
        .join(Delivery, Delivery.id == DeliveryEvent.delivery_id)
        .where(
            Delivery.channel == row.channel,
            Delivery.recipient == row.recipient,
            DeliveryEvent.state == SENDING,
            DeliveryEvent.at.between(at - span, at + span),
        )
    )
    return free_at(row.channel, session.scalars(begun).all(), at=at)


def give_up_abandoned(session: Session, *, at: datetime) -> int:
    """Mark letters that some process left half sent as uncertain; return how many."""
    sending = select(Delivery).where(Delivery.state == SENDING)
    return sum(
        change(session, row.id, SENDING, DeliveryState.UNCERTAIN, detail=ABANDONED, at=at)
        for row in session.scalars(sending).all()
        if is_abandoned(row, at=at)
    )


def is_abandoned(row: Delivery, *, at: datetime) -> bool:
    """Tell whether nobody can still be sending a letter that is in `sending`.

    A start that lies in the future was written before the clock was set back.
    """
    return abs(at - row.state_changed_at) > ABANDONED_AFTER[row.channel]


def expire(session: Session, *, at: datetime) -> int:
    """Take out what would come too late to be of use; return how many letters."""
    late = select(Delivery.id).where(Delivery.state == PENDING, Delivery.expires_at < at)
    return sum(
        change(session, one, PENDING, DeliveryState.EXPIRED, detail="已过有效期，不再发送", at=at)
        for one in session.scalars(late).all()
    )


def withdraw(session: Session, fault: int, told_of: Sequence[str], *, at: datetime) -> None:
    """Take out what still waits for working hours of a fault's alerts.

    `told_of` is what the keys of those alerts begin with.
    """
    waiting = (
        select(Delivery.id, Alert.key)
        .join(Alert, Alert.id == Delivery.alert_id)
        .where(Delivery.fault_id == fault, Delivery.state == PENDING, Delivery.not_before_at > at)
    )
    detail = "所提醒的时限已停止，不再发送"
    for one in session.execute(waiting).all():
        if one.key.startswith(tuple(told_of)):
            change(session, one.id, PENDING, DeliveryState.EXPIRED, detail=detail, at=at)


def _is_due(at: datetime) -> ColumnElement[bool]:
    # A letter written in the future was written before the clock was set back.
    is_set_back = and_(
        Delivery.state_changed_at > at,
        or_(Delivery.not_before_at.is_(None), Delivery.not_before_at <= at),
    )
    return or_(Delivery.next_attempt_at <= at, is_set_back)
