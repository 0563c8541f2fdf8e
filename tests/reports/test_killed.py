"""Kill -9 between every two steps from approved to delivered: no letter lost, none twice."""

import os
import shutil
import signal
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from sqlalchemy import event
from sqlalchemy.orm import Session

from mailcare.delivery import steps as delivery
from mailcare.listing import Wish
from mailcare.papers.steps import list_papers, paper_detail
from mailcare.records.faults import FaultEvent
from mailcare.reports import steps
from tests.delivery.smtp_server import smtp_server
from tests.faults.desk import stored
from tests.faults.story import at
from tests.reports.desk import approve, handled, letters, open_desk, state, submitted

# deciding, keeping, signing, releasing; clearing, taking, starting, settling, the run; the arrival
COMMITS = 10
STARTING = 7


@pytest.fixture
def records(sqlite_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(sqlite_template, tmp_path / "mailcare.db")
    monkeypatch.setenv("MAILCARE_DB_URL", f"sqlite:///{tmp_path / 'mailcare.db'}")
    monkeypatch.setenv("MAILCARE_HOME", str(tmp_path))
    monkeypatch.setenv("MAILCARE_SENDER", "service@vendor.example")


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
