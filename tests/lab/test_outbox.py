"""The outbox against a real Postfix: taken, refused, put off and too large letters."""

import email
import hashlib
import socket
from datetime import timedelta
from email import policy
from urllib.parse import quote

import pytest
import time_machine

from lab import faults, hosts, probes, state
from lab.topology import OUT1
from lab.waiting import wait_until
from mailcare.clock import utc_now
from mailcare.delivery import steps
from mailcare.delivery.outbox import Draft, FileReference, post
from mailcare.intake import steps as intake
from mailcare.listing import Wish
from mailcare.records.deliveries import DeliveryChannel
from mailcare.records.people import EvidenceFile
from mailcare.records.schema import upgrade
from mailcare.records.session import transaction
from tests.delivery.desk import letters

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("lab")]
MAILBOX = "var/vmail/vendor.example/service/Maildir/new"
TAKEN, UNKNOWN = "service@vendor.example", "nobody@vendor.example"
PUT_OFF = "probe@mailbing.example"


@pytest.fixture(autouse=True)
def desk(tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path}/mailcare.db"
    upgrade(url)
    monkeypatch.setenv("MAILCARE_DB_URL", url)
    monkeypatch.setenv("MAILCARE_SENDER", "reports@vendor.example")
    monkeypatch.setenv("MAILCARE_RELAY_URL", f"smtp://{OUT1.address}:25")
    faults.heal_all()
    yield
    faults.heal_all()


def written(key: str, recipient: str, *, size_bytes: int = 0) -> None:
    with transaction() as session:
        files = (_file(session, size_bytes),) if size_bytes else ()
        draft = Draft(
            key=key, channel=DeliveryChannel.SMTP, recipient=recipient, subject=f"巡检报告 {key}",
            body="王工：\n.\n请查收附件。\n", attachments=files,
        )  # fmt: skip
        assert post(session, draft, at=utc_now())


def _file(session, size_bytes: int) -> FileReference:
    body = b"%PDF-1.7\n".ljust(size_bytes, b"x")
    row = EvidenceFile(
        sha256=hashlib.sha256(body).hexdigest(), name="报告.pdf", media_type="application/pdf",
        size_bytes=size_bytes, body=body, handed_in_by="test",
    )  # fmt: skip
    session.add(row)
    session.flush()
    return FileReference("巡检报告.pdf", evidence_file=row.id)


def arrived(message_id: str) -> list[email.message.EmailMessage]:
    folder = hosts.get_running(OUT1).root / MAILBOX
    mails = [
        email.message_from_bytes(path.read_bytes(), policy=policy.default)
        for path in folder.glob("*")
    ]
    return [mail for mail in mails if mail["Message-ID"] == message_id]


def test_postfix_takes_refuses_and_puts_off_each_letter_by_itself():
    faults.inject("provider-defers")
    written("taken", TAKEN, size_bytes=2_000_000)
    written("unknown", UNKNOWN)
    written("put off", PUT_OFF)
    written("too large", TAKEN, size_bytes=10_000_000)
    for _ in range(2):
        steps.send_due()
    taken, unknown, put_off, large = letters()
    assert [one.state for one in letters()] == ["sent", "refused", "pending", "refused"]
    assert unknown.last_reply.startswith("550 ")
    assert "451 4.7.1" in put_off.last_reply
    assert large.last_reply.startswith("552 5.3.4")
    wait_until(lambda: arrived(taken.message_id), "the letter in the mailbox")
    [mail] = arrived(taken.message_id)
    assert mail["Subject"] == "巡检报告 taken"
    [file] = mail.iter_attachments()
    assert len(file.get_content()) == 2_000_000
    faults.heal("provider-defers")
    with time_machine.travel(utc_now() + timedelta(minutes=3), tick=True):
        assert steps.send_due().sent == 1
    assert letters()[2].state == "sent"
    assert len(arrived(taken.message_id)) == 1


def _address(host: str) -> str:
    return OUT1.address if host == OUT1.fqdn else host


def test_a_mail_is_read_from_dovecot_once_and_left_unread(monkeypatch):
    login = f"{quote(TAKEN)}:{quote(state.probe_password())}"
    url = f"imaps://{login}@{OUT1.fqdn}:993/INBOX?ca={state.CA_CERTIFICATE}"
    # The machine's own resolver does not know the lab's names.
    usual = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *more, **named: usual(_address(host), *more, **named)
    )
    monkeypatch.setenv("MAILCARE_INBOX_URL", url)
    queue_id = probes.send_mail(OUT1.address, "zhangsan@shili-bank.example", TAKEN)
    log = hosts.get_running(OUT1).root / "var/log/mail.log"
    wait_until(lambda: f"{queue_id}: removed" in log.read_text(), f"end of mail {queue_id}")
    unread = len(list((hosts.get_running(OUT1).root / MAILBOX).iterdir()))
    received = intake.receive().received
    assert 1 <= received <= unread
    assert intake.receive().received == 0
    newest = max(intake.list_mails(Wish()).rows, key=lambda mail: mail.id)
    assert newest.sender == "zhangsan@shili-bank.example"
    assert abs(newest.received_at - utc_now()) < timedelta(minutes=2)
    assert len(list((hosts.get_running(OUT1).root / MAILBOX).iterdir())) == unread
