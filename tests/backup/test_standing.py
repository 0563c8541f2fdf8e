from datetime import timedelta

from mailcare.backup.standing import last_lines
from mailcare.backup.verdicts import Level, Verdict
from mailcare.clock import utc_now
from mailcare.papers.backup_lines import backup_rows
from mailcare.records.customers import System
from mailcare.records.session import reading
from mailcare.reviews.facts import Span
from mailcare.reviews.gathering import _backups
from mailcare.systems.site import Site
from tests.backup.test_steps import bank, carried_out  # noqa: F401 - a fixture


def test_an_inspections_report_tells_the_last_verdict_on_each_declared_copy(bank):  # noqa: F811
    before = utc_now()
    carried_out("manual__1", site="bank", through="L2")
    with reading() as session:
        system = session.query(System).one()
    declared = Site.model_validate(system.definition).backups
    (line,) = last_lines(system.id, until=utc_now() + timedelta(seconds=1))
    assert line.levels == dict.fromkeys((Level.L0, Level.L1, Level.L2), Verdict.PASS)
    (row,) = backup_rows(declared, [line])
    assert (row["title"], row["word"]) == ("每日全量包", "通过")
    assert row["levels"] == "L0 通过，L1 通过，L2 通过"
    assert last_lines(system.id, until=before) == ()
    (row,) = backup_rows(declared, [])
    assert row["reason"] == "声明了副本，但从未验证"


def test_a_review_tells_each_declared_copy_by_level_verified_or_not(bank):  # noqa: F811
    with reading() as session:
        system = session.query(System).one()
        today = utc_now().date()
        year = Span(today - timedelta(days=300), today + timedelta(days=1), today)
        (never,) = _backups(session, [system.id], year)
    assert (never.copy, never.last_on, never.last_verdict) == ("nightly", None, "NOT_RUN")
    carried_out("manual__1", site="bank", through="L1")
    with reading() as session:
        (once,) = _backups(session, [system.id], year)
    assert (once.counts, once.levels) == ({"PASS": 1}, {"L0": "PASS", "L1": "PASS"})


def test_what_a_level_found_stands_until_it_is_run_again(bank):  # noqa: F811
    archive = bank / "copies/mail-0.tar.gz"
    sound = archive.read_bytes()
    archive.write_bytes(sound[:-8] + bytes(8))  # without its checksum
    carried_out("manual__1", site="bank", through="L3")
    archive.write_bytes(sound)
    carried_out("manual__2", site="bank", through="L2")
    with reading() as session:
        system = session.query(System).one()
    soon = utc_now() + timedelta(seconds=1)
    (line,) = last_lines(system.id, until=soon)
    assert (line.verdict, line.levels[Level.L3]) == (Verdict.FAIL, Verdict.FAIL)
    assert line.reason.startswith("L3 ")
    carried_out("manual__3", site="bank", through="L3")
    (line,) = last_lines(system.id, until=soon + timedelta(minutes=1))
    assert line.verdict is Verdict.PASS
