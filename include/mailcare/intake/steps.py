"""The support mailbox: what came in is kept once, and goes to its fault or to a person."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mailcare.calendars.steps import working_calendar
from mailcare.clock import utc_now
from mailcare.contracts.forms import ReasonForm, complain, read_form
from mailcare.delivery.alerts import alert
from mailcare.delivery.mailboxes import Fetched, Mailbox, Reading, opened, parse_mailbox
from mailcare.delivery.progress import come_back
from mailcare.errors import InputError, MailcareError
from mailcare.faults import recording
from mailcare.faults.declaration import Declaration, Via
from mailcare.faults.ladder import URGENT_LEVELS
from mailcare.faults.lists import fault_row
from mailcare.faults.standing import Stage
from mailcare.faults.wording import STAGE_TITLES
from mailcare.intake import lists, routing
from mailcare.intake.forms import TriageForm
from mailcare.intake.lists import MailDetail, MailRow
from mailcare.intake.mails import Mail, SentFile, read_mail, read_references
from mailcare.listing import Page, Wish
from mailcare.records.alerts import Rung
from mailcare.records.changes import add_once
from mailcare.records.customers import Customer, System
from mailcare.records.faults import FaultState
from mailcare.records.job_runs import note_run
from mailcare.records.received import MailboxPosition, MailState, ReceivedMail
from mailcare.records.session import reading, transaction
from mailcare.reports.issuing import note_return
from mailcare.settings import read_settings
from mailcare.systems.evidence import Evidence, read_evidence
from mailcare.workdays import Calendar

JOB = "receive_mail"
TEXT_MOST = lists.NOTE_CHARACTERS_MOST  # of a fault's description
PROGRAM = "mailcare"
LOOKED_BACK = timedelta(days=1)  # into a mailbox that is read for the first time
AT_WORK = (FaultState.DECLARED, FaultState.ACCEPTED, FaultState.PAUSED)
NOTED = """故障 {number}（{stage}）有来信，已记入它的经过。
发件人：{sender}
主题：{subject}

请在控制台查看。来信不会重新打开故障：同样的问题又出现时，请在故障页「重新打开」或「申报关联故障」。"""
RECEIVED, WAITING = MailState.RECEIVED, MailState.WAITING
# While nobody has looked at a mail, the response clock of a fault in it may be running.
LADDER = (
    (timedelta(0), Rung.ENGINEER),
    (timedelta(minutes=10), Rung.MANAGER),
    (timedelta(minutes=15), Rung.DIRECTOR),
)


@dataclass(frozen=True, slots=True)
class ReceiveOutcome:
    """What a reading of the mailbox did, in mails."""

    received: int = 0
    routed: int = 0

    def __str__(self) -> str:
        return f"新收 {self.received} 封，归入故障或待分诊 {self.routed} 封"


def receive() -> ReceiveOutcome:
    """Read what is new in the support mailbox, send each mail where it belongs, and say how many.

    A mail is kept before it is looked at, once by its key; a crash at any moment loses none and
    doubles none. Without a mailbox in the settings only what was kept before is looked at.
    """
    url = read_settings().inbox_url
    try:
        received = _fetch(parse_mailbox(url)) if url else 0
    finally:
        # What was kept goes on, also while the mail server is out of reach.
        routed = sum(_route(one) for one in _unrouted())
        _warn()
    outcome = ReceiveOutcome(received, routed)
    with transaction() as session:
        said = str(outcome) if url else "没有设置收件邮箱"
        note_run(session, JOB, at=utc_now(), outcome=said)
    return outcome


def list_mails(wish: Wish) -> Page[MailRow]:
    """Return a page of mails, the waiting ones first, then the newest.

    Searched by sender, subject and customer; sorts: received_at sender state.
    """
    with reading() as session:
        return lists.mail_rows(session, wish)


def mail_detail(mail: int) -> MailDetail:
    """Return a mail with what is known about its sender; `InputError` if not recorded."""
    with reading() as session:
        return lists.describe_mail(session, mail)


def mail_source(mail: int) -> bytes:
    """Return a mail as it came; raise `InputError` for one not recorded."""
    with reading() as session:
        return lists.source_of(session, mail)


def declare_fault(mail: int, form: TriageForm, *, by: str) -> int:
    """Make a waiting mail a fault, declared when our server received it; return the fault's id.

    Raise `FormError` for a wrong field, `InputError` where somebody else has decided already.
    """
    detail, files = _waiting(mail)
    with reading() as session:
        customer = session.scalar(select(Customer.id).where(Customer.name == form.customer))
        of_customer = select(System.id).where(
            System.site == form.site, System.customer_id == customer
        )
        system = session.scalar(of_customer) if form.site else None
    if customer is None:
        raise complain("customer", "没有登记这个客户")
    if form.site and system is None:
        raise complain("site", "该客户没有登记这个系统")
    declaration = Declaration(
        key=f"mail/{mail}",
        customer=customer,
        system=system,
        level=form.level,
        description=form.description,
        declared_at=detail.row.received_at,
        via=Via.EMAIL,
        contact=form.contact,
        contact_details=form.contact_details,
        place=form.place,
    )
    calendar, at = working_calendar(), utc_now()
    with transaction() as session:
        fault = recording.add_fault(session, declaration, files, calendar=calendar, by=by, at=at)
        _decide(session, mail, MailState.DECLARED, fault=fault, by=by)
        _note_answers(session, mail, fault)
    return fault


def add_to_fault(mail: int, number: str, *, by: str) -> int:
    """Put a waiting mail on a fault as a note, a closed one included; return the fault's id.

    Raise `FormError` for a number that is not recorded, `InputError` as `declare_fault`.
    """
    _waiting(mail)
    with transaction() as session:
        try:
            fault = recording.find_fault(session, number)
        except InputError as error:
            raise complain("number", str(error)) from None
        row = session.get_one(ReceivedMail, mail)
        _note_whole(session, row, read_mail(row.raw), fault)
        _decide(session, mail, MailState.NOTED, fault=fault, by=by)
        _note_answers(session, mail, fault)
    return fault


def dismiss(mail: int, *, reason: str, by: str) -> None:
    """Say that a waiting mail needs nothing; raise `FormError` without a reason."""
    _waiting(mail)
    entered = read_form(ReasonForm, {"reason": reason})
    with transaction() as session:
        _decide(session, mail, MailState.DISMISSED, by=by, reason=entered.reason)


def _fetch(mailbox: Mailbox) -> int:
    with opened(mailbox) as found:
        last_uid = _position(mailbox, found)
        return sum(_keep(mailbox, found, one) for one in found.after(last_uid))


def _position(mailbox: Mailbox, found: Reading) -> int:
    """Return how far a mailbox was read; at first sight only the last day is looked back on."""
    known = select(MailboxPosition.last_uid).where(
        MailboxPosition.mailbox == str(mailbox),
        MailboxPosition.uid_validity == found.uid_validity,
    )
    with reading() as session:
        last_uid = session.scalar(known)
    if last_uid is not None:
        return last_uid
    first = found.first_uid_since(utc_now() - LOOKED_BACK)
    with transaction() as session:
        values = {
            "mailbox": str(mailbox),
            "uid_validity": found.uid_validity,
            "last_uid": first - 1,
        }
        add_once(session, MailboxPosition, values)
    return first - 1


def _keep(mailbox: Mailbox, found: Reading, fetched: Fetched) -> bool:
    """Write a mail down and the position beyond it, in one transaction; tell whether it is new."""
    mail = read_mail(fetched.raw)
    with transaction() as session:
        added = add_once(session, ReceivedMail, _values(mail, fetched))
        session.execute(
            update(MailboxPosition)
            .where(
                MailboxPosition.mailbox == str(mailbox),
                MailboxPosition.uid_validity == found.uid_validity,
                MailboxPosition.last_uid < fetched.uid,
            )
            .values(last_uid=fetched.uid)
        )
    return added is not None


def _values(mail: Mail, fetched: Fetched) -> dict[str, object]:
    return {
        "key": mail.key,
        "message_id": mail.message_id,
        "sender": mail.sender,
        "subject": mail.subject,
        "text": mail.text,
        "received_at": fetched.received_at,
        "size_bytes": fetched.size_bytes,
        "is_cut": fetched.is_cut,
        "raw": fetched.raw,
        "state": RECEIVED,
        "state_changed_at": utc_now(),
    }


def _unrouted() -> Sequence[int]:
    unrouted = select(ReceivedMail.id).where(ReceivedMail.state == RECEIVED)
    with reading() as session:
        return session.scalars(unrouted.order_by(ReceivedMail.id)).all()


def _route(mail: int) -> bool:
    """Send a mail where it belongs; every part of it may run twice."""
    with reading() as session:
        row = session.get_one(ReceivedMail, mail)
        sent = read_mail(row.raw)
        target = routing.target_of(session, sent, own_address=read_settings().sender)
    calendar = working_calendar()
    with transaction() as session:
        is_ours = routing.settle(session, mail, target, at=utc_now())
        if is_ours:
            if target.fault is not None:
                _note_whole(session, row, sent, target.fault)
                _tell_noted(session, row, target.fault)
            _note_returned(session, target.returned, sent.diagnosis or row.subject, calendar)
        if is_ours and target.state is WAITING:
            _tell(session, session.get_one(ReceivedMail, mail), 0)
    return is_ours


def _note_returned(
    session: Session, returned: Sequence[int], reason: str, calendar: Calendar
) -> None:
    """Take back that letters arrived.

    An alert's then goes to the next person, and a report that rested on it counts as not sent.
    """
    said, at = f"收到退信：{reason}", utc_now()
    for delivery in returned:
        if come_back(session, delivery, said=said, at=at):
            note_return(session, delivery, said, calendar=calendar, at=at)


def _note_answers(session: Session, mail: int, fault: int) -> None:
    """Put the waiting mails that answer a mail on the fault that it went to, and their answers."""
    answered = session.get_one(ReceivedMail, mail).message_id
    waiting = select(ReceivedMail).where(ReceivedMail.state == WAITING, ReceivedMail.id > mail)
    for row in session.scalars(waiting.order_by(ReceivedMail.id)).all():
        # What somebody else decides about just now is left to them.
        if answered in read_references(row.raw) and routing.decide(
            session, row.id, MailState.NOTED, fault=fault, by=PROGRAM,
            reason="回复同一封来信", at=utc_now(),
        ):  # fmt: skip
            _note_whole(session, row, read_mail(row.raw), fault)
            _note_answers(session, row.id, fault)


def _note_whole(session: Session, row: ReceivedMail, sent: Mail, fault: int) -> None:
    files, left_out = _evidence(sent.files)
    said = f"{row.sender}：\n{row.text}{left_out}"
    _note(session, row.id, fault, said, files, received_at=row.received_at)


def _note(
    session: Session,
    mail: int,
    fault: int,
    said: str,
    files: Sequence[Evidence],
    *,
    received_at: datetime,
) -> None:
    text = f"来信 {said}"[: lists.NOTE_CHARACTERS_MOST]
    recording.add_note(
        session, fault, text, files,
        key=f"mail/{mail}", said_at=received_at, by=PROGRAM, at=utc_now(),
    )  # fmt: skip


def _warn() -> None:
    """Tell the next rung of mails that nobody has looked at."""
    waiting = select(ReceivedMail).where(ReceivedMail.state == WAITING)
    with transaction() as session:
        for row in session.scalars(waiting.order_by(ReceivedMail.id)).all():
            waited = utc_now() - row.received_at
            step = sum(waited >= after for after, _ in LADDER) - 1
            if step > 0:
                _tell(session, row, step)


def _tell(session: Session, row: ReceivedMail, step: int) -> None:
    customer = session.get(Customer, row.customer_id) if row.customer_id else None
    alert(
        session,
        key=f"mail/{row.id}/{step}",
        rung=LADDER[step][1],
        subject=f"【来信待分诊】{customer.name if customer else '未知客户'}（来信 {row.id}）",
        text=f"发件人：{row.sender}\n主题：{row.subject}\n\n请在控制台“来信”中登记故障或归档。",
        is_urgent=True,
        at=utc_now(),
        customer=row.customer_id,
    )


def _tell_noted(session: Session, row: ReceivedMail, fault: int) -> None:
    """Tell that a mail went to a fault; at any hour where it may be news of a grave or new one."""
    about = fault_row(session, fault)
    stage = STAGE_TITLES[Stage(about.state)]
    alert(
        session,
        key=f"mail/{row.id}/noted",
        rung=Rung.ENGINEER,
        subject=f"【{about.level} 故障】{about.number} {about.customer}：有来信（{stage}）",
        text=NOTED.format(number=about.number, stage=stage, sender=row.sender, subject=row.subject),
        is_urgent=about.level in URGENT_LEVELS or about.state not in AT_WORK,
        at=utc_now(),
        fault=fault,
        customer=about.customer_id,
    )


def _waiting(mail: int) -> tuple[MailDetail, tuple[Evidence, ...]]:
    detail = mail_detail(mail)
    if detail.row.state is not WAITING:
        raise InputError("这封来信已经处理过了", subject=str(mail))
    return detail, _evidence(read_mail(mail_source(mail)).files)[0]


def _decide(
    session: Session,
    mail: int,
    state: MailState,
    *,
    by: str,
    fault: int | None = None,
    reason: str | None = None,
) -> None:
    if not routing.decide(session, mail, state, fault=fault, by=by, reason=reason, at=utc_now()):
        raise InputError("这封来信已经由他人处理", subject=str(mail))


def _evidence(files: Sequence[SentFile]) -> tuple[tuple[Evidence, ...], str]:
    """Return the files that are taken as evidence, and a sentence about those that are not."""
    taken: dict[str, Evidence] = {}
    left_out = []
    for file in files:
        try:
            evidence = read_evidence(file.name, file.body)
        except MailcareError as error:
            left_out.append(f"{file.name[:100]}：{error}")
        else:
            taken[evidence.name] = evidence
    said = f"\n\n（未收的附件，原信中可下载：{'；'.join(left_out)}）" if left_out else ""
    return tuple(taken.values()), said
