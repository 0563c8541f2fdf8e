"""What holds for every check there is, and for those still to come."""

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailcare.inspection.check import (
    Channel,
    DoesNotApply,
    ForPerson,
    Reply,
    ReplyError,
    Subject,
)
from mailcare.inspection.checks import all_checks
from mailcare.inspection.collect.frames import decode
from tests.inspection.checks.reply_files import RECORDED_AT, REPLIES, replies_in, verdicts
from tests.inspection.samples import lab_system

NAMES = {check.name for check in all_checks()}


def is_by_hand(check):
    asks = [ask for question in check.ask(lab_system()) for ask in question.asks]
    return all(ask.channel is Channel.PERSON for ask in asks)


MEASURED = [check for check in all_checks() if not is_by_hand(check)]


def test_no_name_is_given_twice():
    assert len(NAMES) == len(all_checks()) > 30


@pytest.mark.parametrize("check", all_checks(), ids=lambda check: check.name)
def test_a_check_names_its_source_and_only_prerequisites_that_exist(check):
    assert check.source
    assert check.title
    assert set(check.after) <= NAMES


@pytest.mark.parametrize("check", MEASURED, ids=lambda check: check.name)
def test_a_check_has_replies_that_are_good_bad_and_not_to_be_read(check):
    files = {path.stem for path in (REPLIES / check.name).glob("*.txt")}
    assert any(name.startswith("ok") for name in files)
    assert any(name.startswith("unmeasured") for name in files)
    assert [name for name in files if not name.startswith(("ok", "unmeasured"))]


UNREADABLE = [
    (check.name, path.stem)
    for check in MEASURED
    if list(check.ask(lab_system()))
    for path in sorted((REPLIES / check.name).glob("unmeasured*.txt"))
]


def test_there_are_unreadable_replies_to_try():
    assert len(UNREADABLE) > 150


@pytest.mark.parametrize(("check", "file"), UNREADABLE)
def test_a_reply_that_holds_no_fact_is_never_judged(check, file):
    with pytest.raises(ReplyError) as reason:
        verdicts(check, file)
    assert str(reason.value)


ASKED = [(check, question) for check in MEASURED for question in check.ask(lab_system())]
FIRST_ASKED = {check.name: (check, question) for check, question in reversed(ASKED)}


def test_nearly_every_check_asks_something_of_the_lab():
    assert len(FIRST_ASKED) > len(MEASURED) - 5


CODES = (0, 1, 2, 69, 127, 141, 255)
ODD_WORDS = (
    *("9" * 5000, "-1", "0", "²", "٣", "４", "〇", "nan", "1e999", "", "%", "/", "PID CMD"),
    *("[" * 3000, "{" * 3000, "==> x <==", '{"arrival_time": 1e400}'),
    '{"arrival_time": true, "recipients": 3}',
)
ODD_LINES = (
    "# delay_s nan",
    "# elapsed_ms ²",
    "# connecting 1 2",
    "# connecting x y",
    "# senders 10.66.0.x",
    "# domain .",
    "# found",
    "# tls",
    "> AUTH",
    "< rcode NXDOMAIN",
    "< ;ANSWER",
    "< HTTP 999 x",
    '< shili-bank.example. 60 IN TXT "v=spf1 %{ include:"',
    "< shili-bank.example. 60 IN CNAME shili-bank.example.",
)
FULLWIDTH = {ord(digit): chr(ord(digit) + 0xFEE0) for digit in "0123456789"}
ARABIC = {ord(digit): chr(ord(digit) + 0x630) for digit in "0123456789"}


def judge(check, question, replies):
    """Judge the replies; no reply may bring anything but verdicts or a reason."""
    subject = Subject(lab_system(), question.target, RECORDED_AT)
    with suppress(ReplyError, DoesNotApply, ForPerson):
        assert list(check.judge(check.parse(tuple(replies)), check.limits, subject))


@st.composite
def mangled(draw, text):
    """A recorded text with lines, words or bytes lost, doubled, changed or put in."""
    ways = st.sampled_from([_in_other_digits, _other_lines, _other_words, _other_bytes])
    for way in draw(st.lists(ways, max_size=3)):
        text = way(draw, text)
    return text[: draw(st.integers(0, len(text)))] if draw(st.booleans()) else text


def _in_other_digits(draw, text):
    return text.translate(draw(st.sampled_from([FULLWIDTH, ARABIC])))


def _other_lines(draw, text):
    lines = text.splitlines()
    at = draw(st.integers(0, len(lines)))
    known = st.sampled_from([*lines, ""])
    odd = st.one_of(st.sampled_from(ODD_LINES), st.text(max_size=40), known)
    lines[at : at + draw(st.integers(0, 2))] = draw(st.lists(odd, max_size=2))
    return "\n".join(lines)


def _other_words(draw, text):
    lines = text.splitlines() or [""]
    at = draw(st.integers(0, len(lines) - 1))
    words, odd = lines[at].split(" "), st.one_of(st.sampled_from(ODD_WORDS), st.text())
    words[draw(st.integers(0, len(words) - 1))] = draw(odd)
    lines[at : at + 1] = [" ".join(words)] * draw(st.integers(1, 2))
    return "\n".join(lines)


def _other_bytes(draw, text):
    data = bytearray(text.encode())
    at, length = draw(st.integers(0, len(data))), draw(st.integers(0, 40))
    data[at : at + length] = draw(st.binary(max_size=40))
    return decode(bytes(data))


@pytest.mark.parametrize("name", FIRST_ASKED)
@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_mangled_reply_is_a_fact_or_a_reason(name, data):
    check, question = FIRST_ASKED[name]
    file = data.draw(st.sampled_from(sorted(one.stem for one in (REPLIES / name).glob("*.txt"))))
    whole = replies_in(name, file)
    hit = data.draw(st.integers(0, len(whole) - 1))
    text = data.draw(mangled(whole[hit].text))
    code = data.draw(st.sampled_from([whole[hit].exit_code, *CODES]))
    replies = [replace(one, text=text, exit_code=code) if at == hit else one
               for at, one in enumerate(whole)]  # fmt: skip
    judge(check, question, replies)


@pytest.mark.parametrize("name", FIRST_ASKED)
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_bytes_are_a_fact_or_a_reason(name, data):
    check, question = FIRST_ASKED[name]
    sources = [f"{ask.channel}://test" for ask in question.asks]
    bodies = data.draw(st.lists(st.binary(), min_size=len(sources), max_size=len(sources)))
    code = data.draw(st.sampled_from(CODES))
    replies = [
        Reply(decode(body), code, RECORDED_AT, source)
        for body, source in zip(bodies, sources, strict=True)
    ]
    judge(check, question, replies)
