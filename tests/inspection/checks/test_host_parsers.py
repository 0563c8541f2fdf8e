"""No reply, whatever its bytes, makes a parser of the hosts' checks crash."""

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailcare.inspection.check import Reply, ReplyError, Subject
from mailcare.inspection.collect.frames import decode
from tests.inspection.checks.reply_files import RECORDED_AT, REPLIES, check_named, replies_in
from tests.inspection.checks.test_host_replies import CHECKS
from tests.inspection.samples import lab_system

SYSTEM = lab_system()
CODES = st.sampled_from([0, 1, 2, 69, 127, 141, 255])
ODD_WORDS = st.sampled_from(
    [
        *("9" * 5000, "-1", "²", "٣", "nan", "1e999", "0", "", "%", "/", "PID CMD", "==> x <=="),
        *('{"arrival_time": 1e400}', '{"arrival_time": true, "recipients": 3}'),
        *("[" * 3000, "{" * 3000),
    ]
)


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


@st.composite
def mangled(draw: st.DrawFn, check: str) -> list[Reply]:
    """A recorded reply with lines and words lost, doubled, swapped, cut or replaced."""
    file = draw(st.sampled_from(sorted(path.stem for path in (REPLIES / check).iterdir())))
    replies = []
    for reply in replies_in(check, file):
        lines = reply.text.splitlines()[:60]
        for _ in range(draw(st.integers(0, 3))):
            at = draw(st.integers(0, max(len(lines) - 1, 0)))
            words = lines[at].split(" ") if lines else [""]
            words[draw(st.integers(0, len(words) - 1))] = draw(st.one_of(ODD_WORDS, st.text()))
            lines[at : at + draw(st.integers(0, 2))] = [" ".join(words)] * draw(st.integers(0, 2))
        text = "\n".join(lines)
        text = text[: draw(st.integers(0, len(text)))] if draw(st.booleans()) else text
        code = draw(st.one_of(st.just(reply.exit_code), CODES))
        replies.append(Reply(text, code, RECORDED_AT, reply.source))
    return replies


@pytest.mark.parametrize("check", CHECKS)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_bytes_are_a_fact_or_a_reason(check, data):
    asks = len(next(iter(check_named(check).ask(SYSTEM))).asks)
    texts = data.draw(st.lists(st.binary().map(decode), min_size=asks, max_size=asks))
    read(check, [Reply(text, data.draw(CODES), RECORDED_AT, "ssh://mx1") for text in texts])


@pytest.mark.parametrize("check", CHECKS)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_mangled_reply_is_a_fact_or_a_reason(check, data):
    read(check, data.draw(mangled(check)))


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("text", [" " * 2_000_000, "a " * 1_000_000, "1" * 2_000_000, "[" * 10**6])
def test_megabytes_on_one_line_are_read_at_once(check, text):
    asks = len(next(iter(check_named(check).ask(SYSTEM))).asks)
    heads = ("==> /etc/os-release <==\nNAME=", "PID CMD\n1 ", '{"a": ', "cpu  ", "df: ", "")
    for head in heads:
        read(check, [Reply(head + text, 0, RECORDED_AT, "ssh://mx1")] * asks)
