"""What holds for every check there is, and for those still to come."""

from contextlib import suppress

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
from tests.inspection.checks.reply_files import RECORDED_AT, REPLIES, verdicts
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


@pytest.mark.parametrize("name", FIRST_ASKED)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_bytes_are_a_fact_or_a_reason(name, data):
    check, question = FIRST_ASKED[name]
    replies = tuple(
        Reply(
            decode(data.draw(st.binary())),
            data.draw(st.sampled_from([0, 1, 127])),
            RECORDED_AT,
            f"{ask.channel}://test",
        )
        for ask in question.asks
    )
    subject = Subject(lab_system(), question.target, RECORDED_AT)
    with suppress(ReplyError, DoesNotApply, ForPerson):
        list(check.judge(check.parse(replies), check.limits, subject))
