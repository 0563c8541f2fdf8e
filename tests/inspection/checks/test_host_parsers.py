"""No reply, however long its lines, holds up a parser of the hosts' checks."""

from collections.abc import Sequence

import pytest

from mailcare.inspection.check import Reply, ReplyError, Subject
from tests.inspection.checks.reply_files import RECORDED_AT, check_named
from tests.inspection.checks.test_host_replies import CHECKS
from tests.inspection.samples import lab_system

SYSTEM = lab_system()


def read(check: str, replies: Sequence[Reply]) -> None:
    """Parse and judge the replies to the check's first question."""
    subject = check_named(check)
    question = next(iter(subject.ask(SYSTEM)))
    try:
        fact = subject.parse(tuple(replies))
        verdicts = list(
            subject.judge(fact, subject.limits, Subject(SYSTEM, question.target, RECORDED_AT))
        )
    except ReplyError:
        return
    assert verdicts


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("text", [" " * 2_000_000, "a " * 1_000_000, "1" * 2_000_000, "[" * 10**6])
def test_megabytes_on_one_line_are_read_at_once(check, text):
    asks = len(next(iter(check_named(check).ask(SYSTEM))).asks)
    heads = ("==> /etc/os-release <==\nNAME=", "PID CMD\n1 ", '{"a": ', "cpu  ", "df: ", "")
    for head in heads:
        read(check, [Reply(head + text, 0, RECORDED_AT, "ssh://mx1")] * asks)
