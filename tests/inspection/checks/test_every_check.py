"""What holds for every check there is, and for those still to come."""

import pytest

from mailcare.inspection.check import Channel, ReplyError
from mailcare.inspection.checks import all_checks
from tests.inspection.checks.reply_files import REPLIES, verdicts
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
