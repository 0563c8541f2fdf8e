import re
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import default

import pytest

from mailcare.errors import InputError
from mailcare.inspection.check import Ask, Channel, Reply
from mailcare.inspection.collect import functions
from mailcare.systems.site import Mailboxes
from tests.inspection.collect.loopback import (
    IMAP_ANSWERS,
    IMAP_GREETING,
    Answer,
    MailHost,
    Peer,
    Server,
    Talk,
    converses,
    self_signed,
)
from tests.inspection.collect.probing import (
    INSIDE,
    PASSWORD,
    mailboxes_at,
    scene,
    site_with,
    trusting_site,
)

ARCHIVE, APPROVER = "archive@shili-bank.example", "approver@shili-bank.example"
OLD = b"Subject: older\r\n\r\nhello"
Box = dict[str, dict[int, bytes]]


@dataclass
class Office:
    """A mail system with an archive, an approval and a search, each of which may be broken."""

    archives: bool = True
    holds: bool = True
    leaks: bool = False
    releases: bool = True
    moves: bool = True
    loses: bool = False
    search: str = "honest"
    taken: list[bytes] = field(default_factory=list)
    boxes: dict[str, Box] = field(
        default_factory=lambda: {
            INSIDE: {"INBOX": {1: OLD}},
            ARCHIVE: {"INBOX": {1: OLD}},
            APPROVER: {"INBOX": {1: OLD}, "Released": {}},
        }
    )

    def submission(self) -> Talk:
        office = self

        class Host(MailHost):
            def _take(self, mail: bytes) -> bytes:
                office.take(mail)
                return b"250 2.0.0 queued\r\n"

        return Host().submission()

    def take(self, mail: bytes) -> None:
        self.taken.append(mail)
        if self.loses:
            return
        if self.holds and b"Subject: [APPROVE]" in mail:
            self.put(APPROVER, "INBOX", mail)
            if self.leaks:
                self.put(INSIDE, "INBOX", mail)
            return
        self.put(INSIDE, "INBOX", mail)
        if self.archives:
            self.put(ARCHIVE, "INBOX", mail)

    def put(self, owner: str, folder: str, mail: bytes) -> None:
        box = self.boxes[owner][folder]
        box[max(box, default=0) + 1] = mail

    def imap(self) -> Talk:
        def talk(peer: Peer) -> None:
            session = Session(self)
            converses(IMAP_GREETING, session.answers(), tls=self_signed().context(), implicit=True)(
                peer
            )

        return talk


class Session:
    """One IMAP session: whose mailbox, and which folder."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.owner = ""
        self.folder = "INBOX"

    @property
    def mails(self) -> dict[int, bytes]:
        return self.office.boxes[self.owner][self.folder]

    def answers(self) -> dict[str, Answer]:
        return IMAP_ANSWERS | {
            "CAPABILITY": b"* CAPABILITY IMAP4rev1 UIDPLUS%b\r\nTAG OK done\r\n"
            % (b" MOVE" if self.office.moves else b""),
            "LOGIN": self._log_in,
            "SELECT": self._select,
            "EXAMINE": self._select,
            "UID SEARCH": self._search,
            "UID FETCH": self._fetch,
            "UID STORE": b"TAG OK done\r\n",
            "UID EXPUNGE": self._expunge,
            "UID MOVE": self._move,
            "UID COPY": self._copy,
        }

    def _log_in(self, text: str) -> bytes:
        self.owner = text.split('"')[1]
        return b"TAG OK Logged in\r\n"

    def _select(self, text: str) -> bytes:
        self.folder = text.split()[2].strip('"')
        if self.folder not in self.office.boxes[self.owner]:
            return b"TAG NO no such folder\r\n"
        next_uid = max(self.mails, default=0) + 1
        return f"* OK [UIDNEXT {next_uid}] next\r\nTAG OK done\r\n".encode()

    def _search(self, text: str) -> bytes:
        word = text.split('"')[1].encode()
        if "TEXT" in text and self.office.search == "refused":
            return b"TAG NO [SERVERBUG] index\r\n"
        found = [uid for uid, mail in self.mails.items() if word in mail]
        if "TEXT" in text and self.office.search == "empty":
            found = []
        if "TEXT" in text and self.office.search == "lying":
            found = list(self.mails)
        return f"* SEARCH{''.join(f' {uid}' for uid in found)}\r\nTAG OK done\r\n".encode()

    def _fetch(self, text: str) -> bytes:
        wanted = text.split()[3]
        if wanted.endswith(":*"):
            lowest = min(int(wanted[:-2]), max(self.mails))
            rows = [f"* 1 FETCH (UID {uid})\r\n" for uid in self.mails if uid >= lowest]
            return "".join([*rows, "TAG OK done\r\n"]).encode()
        head = self.mails[int(wanted)].partition(b"\r\n\r\n")[0]
        line = next((one for one in head.splitlines() if one[:17] == b"X-Mailcare-Probe:"), b"")
        return b"* 1 FETCH (BODY[] {%d}\r\n%b)\r\nTAG OK done\r\n" % (len(line), line)

    def _expunge(self, text: str) -> bytes:
        del self.mails[int(text.rsplit(maxsplit=1)[-1])]
        return b"TAG OK done\r\n"

    def _copy(self, text: str) -> bytes:
        uid, folder = int(text.split()[3]), text.split()[4].strip('"')
        if folder not in self.office.boxes[self.owner]:
            return b"TAG NO [TRYCREATE] no such folder\r\n"
        if self.office.releases:
            self.office.put(INSIDE, "INBOX", self.mails[uid])
        else:
            self.office.put(self.owner, folder, self.mails[uid])
        return b"TAG OK done\r\n"

    def _move(self, text: str) -> bytes:
        done = self._copy(text)
        if b"TAG OK" in done:
            del self.mails[int(text.split()[3])]
        return done


def attempt(office: Office, *words: str, site_of=trusting_site) -> Reply:
    with Server(office.submission()) as submission, Server(office.imap()) as imap:
        own = mailboxes_at(submission, imap)
        assert own.inside is not None
        mailboxes = Mailboxes(
            inside=own.inside,
            archive=own.inside.model_copy(update=_named(own, ARCHIVE)),
            approver=own.inside.model_copy(update=_named(own, APPROVER)),
        )
        asked = Ask(Channel.FUNCTION, (*words, "0.2"), 10.0)
        answer = functions.probe(asked, scene(site_of(mailboxes=mailboxes)))
    assert isinstance(answer, Reply)
    return answer


def _named(own: Mailboxes, address: str) -> dict[str, object]:
    assert own.inside is not None
    credential = own.inside.credential.model_copy(update={"login": address})
    return {"address": address, "credential": credential}


def archive(office: Office) -> Reply:
    return attempt(office, "archive", INSIDE, ARCHIVE, "INBOX")


def approval(office: Office, released: str = "Released") -> Reply:
    return attempt(office, "approval", INSIDE, APPROVER, "[APPROVE]", "INBOX", released)


def query(office: Office, folder: str = "INBOX") -> Reply:
    return attempt(office, "query", INSIDE, folder)


def events(reply: Reply) -> set[str]:
    return {line[2:].split()[0] for line in reply.text.splitlines() if line.startswith("# ")}


def test_the_archives_copy_is_found_and_left_alone():
    office = Office()
    reply = archive(office)
    assert reply.exit_code == 0
    assert {"archived", "arrived", "delay_s"} <= events(reply)
    assert len(office.boxes[ARCHIVE]["INBOX"]) == 2
    assert office.boxes[INSIDE]["INBOX"] == {1: OLD}


def test_a_mail_without_a_copy_in_the_archive_is_told_from_a_lost_one():
    assert {"not-archived", "arrived"} <= events(archive(Office(archives=False)))
    assert {"not-archived", "not-arrived"} <= events(archive(Office(loses=True)))


@pytest.mark.parametrize("moves", [True, False])
def test_a_mail_is_seen_held_and_then_released(moves):
    office = Office(moves=moves)
    reply = approval(office)
    assert {"held", "released", "arrived", "delay_s"} <= events(reply)
    assert ("UID MOVE" in reply.text) == moves
    assert office.boxes[APPROVER] == {"INBOX": {1: OLD}, "Released": {}}
    assert office.boxes[INSIDE]["INBOX"] == {1: OLD}


def test_a_mail_that_nobody_holds_is_found_at_its_recipient():
    office = Office(holds=False)
    assert {"not-held", "leaked"} <= events(approval(office))
    assert office.boxes[INSIDE]["INBOX"] == {1: OLD}


def test_a_mail_that_is_held_and_let_through_all_the_same_is_cleaned_up_on_both_sides():
    office = Office(leaks=True)
    reply = approval(office)
    assert {"held", "leaked"} <= events(reply)
    assert "released" not in events(reply)
    assert office.boxes[APPROVER]["INBOX"] == {1: OLD}
    assert office.boxes[INSIDE]["INBOX"] == {1: OLD}


def test_a_mail_that_stays_where_it_was_released_is_removed():
    office = Office(releases=False)
    assert {"held", "released", "not-arrived"} <= events(approval(office))
    assert office.boxes[APPROVER] == {"INBOX": {1: OLD}, "Released": {}}


@pytest.mark.parametrize("moves", [True, False])
def test_a_folder_that_does_not_exist_is_no_release(moves):
    office = Office(moves=moves)
    assert {"held", "not-released"} <= events(approval(office, "Nowhere"))
    assert office.boxes[APPROVER]["INBOX"] == {1: OLD}


def test_a_mail_that_is_neither_held_nor_delivered_is_said_so():
    assert events(approval(Office(loses=True))) >= {"not-held"}
    assert "leaked" not in events(approval(Office(loses=True)))


@pytest.mark.parametrize(
    ("search", "event"),
    [("honest", "hit"), ("empty", "no-hit"), ("lying", "false-hit")],
)
def test_a_search_finds_what_is_there_and_nothing_else(search, event):
    office = Office(search=search)
    found = events(query(office))
    assert {"arrived", event} <= found
    assert ("false-hit" in found) == (search == "lying")
    assert office.boxes[INSIDE]["INBOX"] == {1: OLD}


def test_a_search_that_the_server_refuses_stands_in_the_transcript():
    office = Office(search="refused")
    reply = query(office)
    assert re.search(r"^< uid\d+ NO \[SERVERBUG\] index$", reply.text, re.MULTILINE)
    assert office.boxes[INSIDE]["INBOX"] == {1: OLD}


def test_the_word_that_is_searched_stands_in_the_text_alone():
    office = Office(search="empty", loses=False)
    reply = query(office)
    [word] = set(re.findall(r'TEXT "(\w+)"', reply.text)[:1])
    token = re.search(r"^# token (\w+)$", reply.text, re.MULTILINE)
    assert token
    assert word != token[1]


def test_a_mail_that_does_not_come_cannot_be_searched():
    assert {"not-arrived"} <= events(query(Office(loses=True)))


def test_no_password_stands_in_the_transcript_and_none_goes_to_a_stranger():
    office = Office()
    assert PASSWORD not in archive(office).text
    distrusted = attempt(office, "archive", INSIDE, ARCHIVE, "INBOX", site_of=site_with)
    assert distrusted.exit_code == 1
    assert "# verify-failed" in distrusted.text
    assert "AUTH" not in distrusted.text.partition("# verify-failed")[2]


def test_only_the_sites_own_mailboxes_are_used():
    with pytest.raises(InputError, match="不是站点文件登记的探测邮箱"):
        attempt(Office(), "archive", INSIDE, "ceo@shili-bank.example", "INBOX")


@pytest.mark.parametrize(
    ("folder", "written"),
    [
        ("INBOX", '"INBOX"'),
        ("Archive/2026", '"Archive/2026"'),
        ("垃圾邮件", '"&V4NXPpCuTvY-"'),
        ("R&D", '"R&-D"'),
        ('a"b\\c', '"a\\"b\\\\c"'),
    ],
)
def test_a_folders_name_is_written_as_imap_wants_it(folder, written):
    assert functions._mailbox_name(folder) == written


def test_a_chinese_mark_is_encoded_in_the_subject():
    office = Office(holds=False)
    reply = attempt(office, "approval", INSIDE, APPROVER, "[审批]", "INBOX", "Released")
    assert "leaked" in events(reply)
    [mail] = office.taken
    assert "审批".encode() not in mail
    subject = str(message_from_bytes(mail, policy=default)["Subject"])
    assert subject.startswith("[审批] mailcare probe ")
