"""Read reply files: `=== EXIT_CODE SOURCE`, then the reply's text, once for each ask."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mailcare.inspection.check import (
    Check,
    DoesNotApply,
    ForPerson,
    Reply,
    ReplyError,
    Severity,
    Subject,
    Target,
    Verdict,
)
from mailcare.inspection.checks import all_checks
from tests.inspection.samples import lab_system

REPLIES = Path(__file__).resolve().parents[2] / "replies"
RECORDED_AT = datetime(2026, 11, 24, tzinfo=UTC)


def check_named(name: str) -> Check[Any, Any]:
    return next(check for check in all_checks() if check.name == name)


def replies_in(check: str, file: str) -> tuple[Reply, ...]:
    text = (REPLIES / check / f"{file}.txt").read_text("utf-8")
    sections = re.split(r"^=== ", text, flags=re.MULTILINE)[1:]
    assert sections, "the file holds a reply"
    return tuple(_reply(section) for section in sections)


def _reply(section: str) -> Reply:
    head, _, text = section.partition("\n")
    exit_code, _, source = head.partition(" ")
    return Reply(text, int(exit_code), RECORDED_AT, source)


def verdicts(check: str, file: str, *, target: Target | None = None) -> list[Verdict]:
    """Parse and judge a file as a reply to the check's first question about the lab's system."""
    subject_of = check_named(check)
    system = lab_system()
    asked = next(iter(subject_of.ask(system)), None)
    target = target or (asked.target if asked else Target())
    fact = subject_of.parse(replies_in(check, file))
    return list(subject_of.judge(fact, subject_of.limits, Subject(system, target, RECORDED_AT)))


def advice_of(check: str) -> set[tuple[Severity, str]]:
    """Return how bad the recorded bad replies of a check are judged, and what is then advised."""
    found = set[tuple[Severity, str]]()
    for path in sorted((REPLIES / check).glob("*.txt")):
        try:
            found |= {(one.severity, one.advice) for one in verdicts(check, path.stem)}
        except (ReplyError, DoesNotApply, ForPerson):
            continue
    return {(severity, advice) for severity, advice in found if advice}
