"""Kill -9 between every two steps to delivered: no letter lost, none twice, no clock wrong."""

import os
import re
import shutil
import signal
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import TypeVar

import pytest
import time_machine
from sqlalchemy import event
from sqlalchemy.orm import Session

from mailcare.delivery import steps as delivery
from mailcare.errors import Unavailable
from mailcare.faults.steps import sweep
from mailcare.listing import Wish
from mailcare.papers.steps import list_papers, paper_detail
from mailcare.records.alerts import Rung
from mailcare.records.deliveries import DeliveryState
from mailcare.records.faults import Fault, FaultBreach, FaultClock, FaultEvent
from mailcare.records.schema import upgrade
from mailcare.reports import steps
from tests.databases import Cluster
from tests.delivery import desk as outbox
from tests.delivery.smtp_server import smtp_server
from tests.faults.desk import declared, happened, stored, told
from tests.faults.story import at
from tests.reports.desk import (
    CONTACT,
    HANDLED,
    approve,
    handled,
    letters,
    open_desk,
    state,
    submitted,
)

# deciding, keeping, signing, releasing; clearing, taking, starting, settling, the run; the arrival
COMMITS = 10
STARTING = 7
OTHER_CONTACT = CONTACT | {"name": "李示例", "email": "li@shili-bank.example"}
MESSAGE_ID = re.compile(r"^Message-ID: (\S+)", re.MULTILINE)
T = TypeVar("T")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MAILCARE_HOME", str(tmp_path))
    monkeypatch.setenv("MAILCARE_SENDER", "service@vendor.example")
    return tmp_path


@pytest.fixture
def records(sqlite_template: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(sqlite_template, home / "mailcare.db")
    monkeypatch.setenv("MAILCARE_DB_URL", f"sqlite:///{home / 'mailcare.db'}")


def carry_on(report: int) -> None:
    approve(report)
    delivery.send_due()
    steps.follow_reports()


def carry_on_and_die(report: int, number: int) -> None:
    """Carry on in a child that is killed before its `number`-th commit, and wait for its end."""
    child = os.fork()
    if child:
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
        return
    seen = []

    def die(_session: Session) -> None:
        seen.append(1)
        if len(seen) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Session, "before_commit", die)
    carry_on(report)
    os._exit(0)


@pytest.mark.parametrize("number", range(1, COMMITS + 1))
def test_a_report_is_delivered_once_whenever_its_process_is_killed(
    records: None, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    with time_machine.travel(at("2026-03-03 09:00"), tick=True) as clock, smtp_server() as server:
        monkeypatch.setenv("MAILCARE_RELAY_URL", f"smtp://127.0.0.1:{server.port}")
        open_desk()
        fault = handled()
        report = submitted(fault)
        carry_on_and_die(report, number)
        for _ in range(3):
            clock.shift(timedelta(minutes=20))
            carry_on(report)

        [letter] = letters(report)
        assert len(server.taken) <= 1
        if number == STARTING + 1:  # its text was gone, the answer was not written down
            assert (str(letter.state), len(server.taken)) == ("uncertain", 1)
            assert state(report) == "issued"
            return
        assert (str(letter.state), len(server.taken)) == ("sent", 1)
        assert state(report) == "sent"
        assert [str(one.type) for one in stored(FaultEvent, fault)].count("report_sent") == 1
        assert [row.version for row in list_papers(Wish()).rows] == [1]
        [signature] = paper_detail(steps.report_detail(report).row.paper_id).signatures
        assert signature.verdict == "intact"


class Killed:
    """Steps that are done until they got through, their database killed at each commit."""

    def __init__(self, cluster: Cluster, clock: time_machine.Traveller) -> None:
        self.cluster, self.clock = cluster, clock
        self.left = 0  # commits until the database dies
        self.kills = 0

    def before_commit(self, _session: Session) -> None:
        self.left -= 1
        if self.left == 0:
            self.cluster.kill()

    def until_done(self, step: Callable[[], T]) -> T:
        for self.left in count(1):
            try:
                done = step()
            except Unavailable:
                assert self.left <= 0, "nothing but the killed database was in the way"
            if self.left > 0:
                return done
            self.kills += 1
            self.cluster.start_again()
            self.clock.shift(timedelta(minutes=20))
        raise AssertionError


def test_a_fault_is_declared_told_and_reported_once_whenever_its_database_is_killed(
    mortal_cluster: Cluster, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = mortal_cluster.url("postgres")
    upgrade(database)
    monkeypatch.setenv("MAILCARE_DB_URL", database)
    with time_machine.travel(at("2026-03-02 09:05"), tick=True) as clock, smtp_server() as server:
        monkeypatch.setenv("MAILCARE_RELAY_URL", f"smtp://127.0.0.1:{server.port}")
        open_desk(CONTACT, OTHER_CONTACT)
        outbox.add_member("甲", Rung.ENGINEER)
        killed = Killed(mortal_cluster, clock)
        event.listen(Session, "before_commit", killed.before_commit)
        try:
            fault, report = from_declared_to_delivered(killed)
        finally:
            event.remove(Session, "before_commit", killed.before_commit)

    assert killed.kills > 20
    assert [row.id for row in stored(Fault)] == [fault]
    happenings = ["declared", "accepted", "first_contact", "handled", "report_sent"]
    assert [str(one.type) for one in stored(FaultEvent, fault)] == happenings
    assert told(fault) == [("response", 1, 1, "engineer", "told")]
    # Where the answer could not be written down, a person had to; and no text went twice.
    posted = outbox.letters()
    assert sorted(str(one.state) for one in posted) == ["sent", "settled", "settled"]
    gone = [name for text in server.taken for name in MESSAGE_ID.findall(text.decode())]
    assert sorted(gone) == sorted(one.message_id or "" for one in posted)
    assert state(report) == "sent"
    sent = stored(FaultEvent, fault)[-1].at
    kept = [(str(row.clock), row.due_at, row.state, row.stopped_at) for row in stored(FaultClock)]
    assert sorted(kept) == [
        ("report", at("2026-03-06 00:00"), "met", sent),
        ("resolution", at("2026-03-03 09:00"), "met", at("2026-03-02 11:00")),
        ("response", at("2026-03-02 09:15"), "met", at("2026-03-02 09:06")),
    ]
    assert stored(FaultBreach) == []
    [paper] = list_papers(Wish()).rows
    assert paper.version == 1


def from_declared_to_delivered(killed: Killed) -> tuple[int, int]:
    """Tell the whole story, each step killed at its commits; return the fault and its report."""
    fault = killed.until_done(declared)
    killed.until_done(lambda: sweep(at=at("2026-03-02 09:05")))
    killed.until_done(delivery.send_due)
    for line in HANDLED:
        killed.until_done(partial(happened, fault, line))
    report = killed.until_done(lambda: submitted(fault))
    killed.until_done(lambda: approve(report))
    killed.until_done(delivery.send_due)
    for letter in outbox.letters():
        if letter.state is DeliveryState.UNCERTAIN:
            arrived = partial(delivery.mark_arrived, letter.id, reason="客户已来电确认", by="li")
            killed.until_done(arrived)
    killed.until_done(steps.follow_reports)
    return fault, report
