"""The report of a backup verification, as a value."""

from datetime import UTC, datetime

from mailcare.backup.verdicts import Level, Verdict
from mailcare.papers.backup import BackupReport, CopyReport, LevelLine, backup_report

AT = datetime(2026, 11, 28, 4, tzinfo=UTC)
COVERAGE = {"expected": 1, "examined": 1, "ok": 1, "bad": 0, "unreadable": 0, "changed": 0}


def copy(title, *verdicts):
    lines = tuple(
        LevelLine(level, "", verdict, f"{title} {level}", COVERAGE, ())
        for level, verdict in zip(Level, verdicts, strict=False)
    )
    return CopyReport(title, "tar", "/backup", False, 26, lines, (), {})


def test_what_was_not_run_has_to_be_seen_to_unless_a_failure_explains_it():
    copies = (
        copy("甲", Verdict.FAIL, Verdict.NOT_RUN),
        copy("乙", Verdict.NOT_RUN, Verdict.NOT_RUN),
        copy("丙", Verdict.PASS, Verdict.DEGRADED),
        copy("丁", Verdict.PASS, Verdict.PASS),
    )
    report = BackupReport("示例银行", "邮件系统", "TurboMail", "例行验证", AT, AT, copies)
    urgent = backup_report(report, number="示例-1", vendor="示例公司").content["urgent"]
    assert [one["says"] for one in urgent] == ["甲 L0", "丙 L1", "乙 L0", "乙 L1"]
