"""The support mailbox from the server to the fault, on both databases."""

import os
import signal
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
import time_machine
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from mailcare.clock import utc_now
from mailcare.contracts.forms import FormError, read_form
from mailcare.deadlines import Level
from mailcare.delivery import mailboxes
from mailcare.delivery.alerts import alert
from mailcare.delivery.outbox import Draft, post
from mailcare.errors import InputError, Unavailable
from mailcare.faults import steps as faults
from mailcare.faults.declaration import Declaration, Via
from mailcare.faults.events import Cancelled, Handled, Remedy
from mailcare.intake import steps
from mailcare.intake.forms import TriageForm
from mailcare.records.alerts import Alert, Rung
from mailcare.records.customers import Contact, Customer
from mailcare.records.deliveries import Delivery, DeliveryChannel, DeliveryState
from mailcare.records.faults import Fault, FaultNote
from mailcare.records.received import ReceivedMail
from mailcare.records.session import reading, transaction
from tests.delivery.desk import add_member, letters
from tests.intake.imap_server import imap_server

NOW = datetime(2026, 3, 3, 2, 15, tzinfo=UTC)
RECEIVED = "03-Mar-2026 10:10:00 +0800"
FORM = {
    "customer": "示例银行",
    "level": "P2",
    "description": "无法登录",
    "contact": "王工",
    "contact_details": "wang@shili-bank.example",
}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "imap.vendor.example")])
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2099, 1, 1, tzinfo=UTC))
        .add_extension(alternative, critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("imap") / "imap.pem"
    pem = serialization.Encoding.PEM
    file.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + signed.public_bytes(pem)
    )
    return file


@pytest.fixture
def tls(certificate):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture(autouse=True)
def desk(database_url, monkeypatch):
    monkeypatch.setenv("MAILCARE_DB_URL", database_url)
    monkeypatch.setenv("MAILCARE_SENDER", "support@vendor.example")
    monkeypatch.delenv("MAILCARE_INBOX_URL", raising=False)
    contact = Contact(name="王工", role="管理员", email="Wang@Shili-Bank.example", gets_papers=True)
    with transaction() as session:
        session.add(Customer(name="示例银行", contacts=[contact]))
    add_member()
    with time_machine.travel(NOW, tick=True) as clock:
        yield clock


@pytest.fixture
def mailbox(monkeypatch, certificate):
    def use(server):
        url = f"imaps://support:geheim@127.0.0.1:{server.port}/INBOX?ca={certificate}"
        monkeypatch.setenv("MAILCARE_INBOX_URL", url)

    return use


def mail(subject="系统宕机", *, sender="wang@shili-bank.example", number=1, headers=""):
    named = f"From: {sender}\r\nSubject: {subject}\r\nMessage-ID: <{number}@x>\r\n"
    return (RECEIVED, f"{named}{headers}\r\n急\r\n".encode())


def stored():
    with reading() as session:
        return list(session.scalars(select(ReceivedMail).order_by(ReceivedMail.id)))


def states():
    return [str(one.state) for one in stored()]


def notes():
    with reading() as session:
        return list(session.scalars(select(FaultNote).order_by(FaultNote.id)))


def open_fault(level=Level.P2):
    declaration = Declaration(
        key="k", customer=1, level=level, description="d", declared_at=NOW,
        via=Via.PHONE, contact="王工", contact_details="1",
    )  # fmt: skip
    fault = faults.declare(declaration, by="li", at=utc_now())
    with reading() as session:
        return fault, session.get_one(Fault, fault).number


def test_without_a_mailbox_nothing_is_read_and_nothing_fails():
    assert steps.receive() == steps.ReceiveOutcome()


def test_a_mail_waits_for_a_person_and_the_engineer_is_told_at_once(tls, mailbox):
    with imap_server(tls, mail()) as server:
        mailbox(server)
        assert steps.receive() == steps.ReceiveOutcome(1, 1)
        assert steps.receive() == steps.ReceiveOutcome()
    [row] = stored()
    assert (row.state, row.customer_id, row.subject, row.text) == ("waiting", 1, "系统宕机", "急")
    assert row.received_at == datetime(2026, 3, 3, 2, 10, tzinfo=UTC)
    [letter] = letters()
    assert "示例银行" in letter.subject
    assert "wang@" not in letter.subject


def test_the_mailbox_is_left_as_it_was(tls, mailbox):
    with imap_server(tls, mail()) as server:
        mailbox(server)
        steps.receive()
    asked = " ".join(server.asked).upper()
    assert "EXAMINE" in asked
    assert "BODY.PEEK[]" in asked
    for word in ("SELECT", "STORE", "EXPUNGE", "COPY", "MOVE", "APPEND", "RFC822)", " BODY[]"):
        assert word not in asked


def test_a_mail_read_again_under_new_uids_is_the_same(tls, mailbox):
    with imap_server(tls, mail(), mail(number=2)) as server:
        mailbox(server)
        steps.receive()
        server.uid_validity = 8
        assert steps.receive() == steps.ReceiveOutcome()
    assert len(stored()) == 2


def test_a_mailbox_seen_first_after_a_quiet_day_is_read_from_the_next_mail_on(tls, mailbox):
    old = [("01-Jan-2026 10:00:00 +0800", mail(number=one)[1]) for one in range(3)]
    with imap_server(tls, *old) as server:
        mailbox(server)
        assert steps.receive() == steps.ReceiveOutcome()
        server.mails.append(mail(number=9))
        assert steps.receive() == steps.ReceiveOutcome(1, 1)
    assert [one.message_id for one in stored()] == ["<9@x>"]


def test_what_nobody_looks_at_climbs_the_ladder(tls, mailbox, desk):
    add_member("主管", Rung.MANAGER)
    add_member("总监", Rung.DIRECTOR)
    with imap_server(tls, mail()) as server:
        mailbox(server)
        for _ in range(4):
            steps.receive()
            desk.shift(timedelta(minutes=6))
    assert [one.member_id for one in letters()] == [1, 2, 3]


def test_a_reply_to_our_letter_becomes_a_note_on_its_fault(tls, mailbox):
    fault, _ = open_fault()
    draft = Draft("r", DeliveryChannel.SMTP, "wang@shili-bank.example", "s", "b", fault=fault)
    with transaction() as session:
        assert post(session, draft, at=utc_now())
    answered = f"In-Reply-To: {letters()[0].message_id}\r\n"
    with imap_server(tls, mail("谢谢", headers=answered, sender="someone@else.example")) as server:
        mailbox(server)
        steps.receive()
    assert states() == ["noted"]
    assert [(one.fault_id, one.at) for one in notes()] == [(fault, stored()[0].received_at)]


@pytest.mark.parametrize(
    ("events", "level", "is_urgent"),
    [
        ((), Level.P2, True),
        ((), Level.P3, False),
        ((Handled(at=NOW, kind=Remedy.FIX),), Level.P3, True),
        ((Cancelled(at=NOW),), Level.P4, True),
    ],
)
def test_b7_of_a_mail_on_a_fault_the_engineer_is_told_and_decides(
    tls, mailbox, events, level, is_urgent
):
    fault, number = open_fault(level)
    for one in events:
        faults.record_event(fault, one, by="li", at=utc_now())
    before = faults.fault_detail(fault, at=utc_now()).row.state
    with imap_server(tls, mail(f"又坏了 {number}")) as server:
        mailbox(server)
        steps.receive()
        steps.receive()
    with reading() as session:
        [told] = session.scalars(select(Alert))
    assert (told.fault_id, told.rung, told.is_urgent) == (fault, Rung.ENGINEER, is_urgent)
    assert "又坏了" in told.text
    assert "又坏了" not in told.subject  # it goes to chats
    assert faults.fault_detail(fault, at=utc_now()).row.state == before


def test_answers_that_came_before_the_triage_follow_their_mail(tls, mailbox):
    first = mail()
    answer = mail("Re: 系统宕机", number=2, headers="In-Reply-To: <1@x>\r\n")
    again = mail("Re: Re: 系统宕机", number=3, headers="In-Reply-To: <2@x>\r\n")
    other = mail("另一件事", number=4)
    with imap_server(tls, first, answer, again, other) as server:
        mailbox(server)
        steps.receive()
    assert states() == ["waiting"] * 4
    fault = steps.declare_fault(1, read_form(TriageForm, FORM), by="li")
    assert states() == ["declared", "noted", "noted", "waiting"]
    assert [one.fault_id for one in stored()] == [fault, fault, fault, None]
    assert [one.fault_id for one in notes()] == [fault, fault]


def test_a_number_in_the_subject_counts_only_from_the_fault_s_customer(tls, mailbox):
    fault, number = open_fault()
    own = mail(f"回复：{number}")
    foreign = mail(f"回复：{number}", sender="mallory@evil.example", number=2)
    with imap_server(tls, own, foreign) as server:
        mailbox(server)
        steps.receive()
    assert states() == ["noted", "waiting"]
    assert [one.fault_id for one in notes()] == [fault]


def test_what_programs_and_we_ourselves_wrote_never_counts(tls, mailbox):
    away = mail(headers="Auto-Submitted: auto-replied\r\n")
    with imap_server(tls, away, mail(sender="support@vendor.example", number=2)) as server:
        mailbox(server)
        steps.receive()
    assert states() == ["automatic", "automatic"]
    assert letters() == []


def test_a_letter_that_came_back_is_refused_and_an_alert_s_goes_to_the_next_person(tls, mailbox):
    add_member("主管", Rung.MANAGER)
    with transaction() as session:
        alert(session, key="a", rung=Rung.ENGINEER, subject="s", text="t", is_urgent=True,
              at=utc_now())  # fmt: skip
    [sent] = letters()
    with transaction() as session:
        session.get_one(Delivery, sent.id).state = DeliveryState.SENT
    report = (
        "Content-Type: multipart/report; boundary=x\r\nMessage-ID: <9@mx>\r\n\r\n"
        "--x\r\nContent-Type: message/delivery-status\r\n\r\nAction: failed\r\n"
        "Diagnostic-Code: smtp; 550 no such user\r\n\r\n"
        f"--x\r\nContent-Type: message/rfc822\r\n\r\nMessage-ID: {sent.message_id}\r\n\r\n--x--"
    )
    with imap_server(tls, (RECEIVED, report.encode())) as server:
        mailbox(server)
        steps.receive()
    assert states() == ["automatic"]
    assert [(one.state, one.member_id) for one in letters()] == [("refused", 1), ("pending", 2)]
    assert letters()[0].last_reply == "收到退信：550 no such user"


def test_a_person_makes_a_mail_a_fault_once_declared_when_it_was_received(tls, mailbox):
    with imap_server(tls, mail()) as server:
        mailbox(server)
        steps.receive()
    with pytest.raises(FormError, match="客户"):
        steps.declare_fault(1, read_form(TriageForm, FORM | {"customer": "没有"}), by="li")
    fault = steps.declare_fault(1, read_form(TriageForm, FORM), by="li")
    with pytest.raises(InputError, match="已经处理"):
        steps.declare_fault(1, read_form(TriageForm, FORM), by="wang")
    with reading() as session:
        row = session.get_one(Fault, fault)
        assert (row.declared_at, row.level, row.declared_via) == (
            stored()[0].received_at, Level.P2, "email"
        )  # fmt: skip
    assert (states(), stored()[0].decided_by) == (["declared"], "li")


def test_a_person_files_a_mail_or_puts_it_on_a_fault(tls, mailbox):
    fault, number = open_fault()
    with imap_server(tls, mail(sender="x@y.example"), mail(number=2)) as server:
        mailbox(server)
        steps.receive()
    for unknown in ("GZ-2020-99999", "GZ\0"):
        with pytest.raises(FormError):
            steps.add_to_fault(1, unknown, by="li")
    assert steps.add_to_fault(1, number, by="li") == fault
    with pytest.raises(FormError, match="reason：缺少"):
        steps.dismiss(2, reason="", by="li")
    steps.dismiss(2, reason="广告", by="li")
    assert states() == ["noted", "dismissed"]


def test_a_huge_mail_is_kept_by_its_beginning(tls, mailbox, monkeypatch):
    monkeypatch.setattr(mailboxes, "WHOLE_BYTES_MOST", 1000)
    monkeypatch.setattr(mailboxes, "CUT_BYTES", 500)
    received, raw = mail()
    with imap_server(tls, (received, raw + b"x" * 2000)) as server:
        mailbox(server)
        steps.receive()
    [row] = stored()
    assert (row.is_cut, len(steps.mail_source(1)), row.subject) == (True, 500, "系统宕机")


def test_what_came_before_the_connection_broke_is_kept_and_the_rest_follows(tls, mailbox):
    with imap_server(tls, mail(), mail(number=2), mail(number=3)) as server:
        mailbox(server)
        server.cut_after = 1
        with pytest.raises(Unavailable):
            steps.receive()
        assert states() == ["waiting"]
        server.cut_after = None
        steps.receive()
    assert states() == ["waiting"] * 3


def test_a_wrong_password_is_told_without_it(tls, mailbox, monkeypatch, certificate):
    with imap_server(tls) as server:
        url = f"imaps://support:falsch@127.0.0.1:{server.port}?ca={certificate}"
        monkeypatch.setenv("MAILCARE_INBOX_URL", url)
        with pytest.raises(InputError) as caught:
            steps.receive()
    assert "falsch" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["imaps://host", "pop3://a:b@host", "imaps://a:@host", "imaps://a:geheim@host:x"]
)
def test_a_mailbox_that_cannot_be_used_is_refused_without_its_password(url):
    with pytest.raises(InputError) as caught:
        mailboxes.parse_mailbox(url)
    assert "geheim" not in str(caught.value)


COMMITS = 5  # position, keeping, settling with the note, warning, the run itself


@pytest.mark.parametrize("moment", ["before_commit", "after_commit"])
@pytest.mark.parametrize("number", range(1, COMMITS + 1))
def test_a_reader_killed_between_any_two_steps_loses_and_doubles_nothing(
    tls, mailbox, moment, number
):
    _, known = open_fault()
    with imap_server(tls, mail(f"回复：{known}")) as server:
        mailbox(server)
        _die(steps.receive, moment, number)
        steps.receive()
    assert states() == ["noted"]
    assert len(notes()) == 1


@pytest.mark.parametrize("moment", ["before_commit", "after_commit"])
def test_a_mail_and_its_fault_are_decided_about_together_or_not_at_all(tls, mailbox, moment):
    with imap_server(tls, mail()) as server:
        mailbox(server)
        steps.receive()
    form = read_form(TriageForm, FORM)
    _die(lambda: steps.declare_fault(1, form, by="li"), moment, 1)
    with reading() as session:
        is_there = session.get(Fault, 1) is not None
    assert (states(), is_there) in [(["waiting"], False), (["declared"], True)]
    assert is_there is (moment == "after_commit")


def _die(work, moment, number):
    child = os.fork()
    if child:
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
        return
    seen = []

    def die(_session):
        seen.append(1)
        if len(seen) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Session, moment, die)
    work()
    os._exit(0)
