from dataclasses import replace

import pytest

from mailcare.inspection.check import (
    Ask,
    Channel,
    Finding,
    Manual,
    NoReply,
    NotApplicable,
    Question,
    Severity,
    Target,
    Unmeasured,
)
from mailcare.inspection.judging import judge_answers
from mailcare.inspection.planning import plan_inspection
from mailcare.systems.profile import ProfileGap
from tests.inspection.samples import AT, ask_mx1, lab_system, number_check, reply


def judged(check, answers):
    return judge_answers(plan_inspection(lab_system(), [check]), answers)


def test_a_reply_is_parsed_and_judged_against_the_limits():
    [result] = judged(number_check("n"), {ask_mx1("cat", "n"): reply("7")})
    assert isinstance(result, Finding)
    assert result.severity is Severity.WARNING
    assert result.summary == "值 7"
    assert result.evidence == ("ssh://mx1 $ cat n", "7")


def test_a_reply_that_does_not_hold_the_fact_is_unmeasured():
    [result] = judged(number_check("n"), {ask_mx1("cat", "n"): reply("abc")})
    assert result == Unmeasured("n", Target("mx1"), "不是数字：abc")


def test_no_answer_at_all_is_unmeasured():
    [result] = judged(number_check("n"), {})
    assert isinstance(result, Unmeasured)


def test_an_attempt_without_reply_is_unmeasured_with_its_reason():
    [result] = judged(number_check("n"), {ask_mx1("cat", "n"): NoReply("断了", AT, "ssh")})
    assert result == Unmeasured("n", Target("mx1"), "断了")


def test_a_command_that_was_cut_off_is_unmeasured():
    [result] = judged(number_check("n"), {ask_mx1("cat", "n"): reply("1", exit_code=124)})
    assert isinstance(result, Unmeasured)
    assert "没有完成" in result.reason


def test_a_check_without_questions_does_not_apply():
    check = replace(number_check("n"), ask=lambda _system: [])
    [result] = judged(check, {})
    assert isinstance(result, NotApplicable)


def test_a_gap_in_the_profile_is_unmeasured_with_the_field():
    def ask(_system):
        raise ProfileGap("未填写 logs")

    [result] = judged(replace(number_check("n"), ask=ask), {})
    assert result == Unmeasured("n", Target(), "未填写 logs")


def test_what_only_a_person_can_find_out_is_manual():
    question = Question(Target("mx1"), (Ask(Channel.PERSON, ("请现场查看",)),))
    check = replace(number_check("n"), ask=lambda _system: [question])
    plan = plan_inspection(lab_system(), [check])
    assert plan.asks() == ()
    assert judge_answers(plan, {}) == (Manual("n", Target("mx1"), "请现场查看"),)


def test_a_bug_in_a_judge_is_not_swallowed():
    def judge(_fact, _limits, _subject):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        judged(replace(number_check("n"), judge=judge), {ask_mx1("cat", "n"): reply("1")})


def test_a_judge_that_says_nothing_is_our_error():
    check = replace(number_check("n"), judge=lambda *_: [])
    with pytest.raises(AssertionError):
        judged(check, {ask_mx1("cat", "n"): reply("1")})


def test_equal_asks_of_two_checks_are_asked_once():
    checks = [number_check("n"), replace(number_check("n"), name="m")]
    assert plan_inspection(lab_system(), checks).asks() == (ask_mx1("cat", "n"),)
