from dataclasses import replace

import pytest

from mailcare.inspection.check import (
    Ask,
    Channel,
    DoesNotApply,
    Finding,
    ForPerson,
    Manual,
    NoReply,
    NotApplicable,
    Question,
    Reply,
    ReplyError,
    Severity,
    Target,
    Unmeasured,
    Verdict,
)
from mailcare.inspection.checks import all_checks
from mailcare.inspection.hosts import CUT
from mailcare.inspection.judging import judge_answers
from mailcare.inspection.outcome import read_replies
from mailcare.inspection.planning import plan_inspection
from mailcare.systems.profile import ProfileGap
from tests.inspection.samples import AT, LAB_SITE, Number, ask_mx1, lab_system, number_check, reply

RECORDED = LAB_SITE.parent / "recorded.jsonl"


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


def test_an_aside_adds_to_the_replies_and_may_be_missing():
    aside = ask_mx1("cat", "aside")
    question = Question(Target("mx1"), (ask_mx1("cat", "n"),), (aside,))
    check = replace(
        number_check("n"),
        ask=lambda _system: [question],
        parse=lambda replies: Number(float(sum(int(one.text) for one in replies))),
    )
    assert aside in plan_inspection(lab_system(), [check]).asks()
    alone = {ask_mx1("cat", "n"): reply("2")}
    for missing in ({}, {aside: NoReply("断了", AT, "ssh")}):
        [result] = judged(check, alone | missing)
        assert (result.summary, result.evidence) == ("值 2", ("ssh://mx1 $ cat n", "2"))
    [result] = judged(check, alone | {aside: reply("3")})
    assert result.summary == "值 5"


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


def test_an_output_cut_at_the_collectors_limit_answers_nothing_whatever_it_says():
    checks = [one for one in all_checks() if not one.name.startswith("queue.")]
    plan = plan_inspection(lab_system(), checks)
    recorded = read_replies(RECORDED.read_bytes())
    cut = {
        ask: replace(answer, exit_code=CUT)
        if ask.channel is Channel.SSH and isinstance(answer, Reply)
        else answer
        for ask, answer in recorded.items()
    }
    about_hosts = {
        (check.name, question.target)
        for check, question in plan.questions
        if any(ask.channel is Channel.SSH and ask.words for ask in question.asks)
    }
    results = {(one.check, one.target): one for one in judge_answers(plan, cut)}
    assert len(about_hosts) > 40
    assert {type(results[one]) for one in about_hosts} == {Unmeasured}


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


@pytest.mark.parametrize(
    ("raised", "kind"),
    [(ReplyError, Unmeasured), (DoesNotApply, NotApplicable), (ForPerson, Manual)],
)
@pytest.mark.parametrize("step", ["parse", "judge"])
def test_parse_and_judge_may_say_why_there_is_nothing_to_find(step, raised, kind):
    def refuse(*_):
        raise raised("虚拟机，无传感器")

    check = replace(number_check("n"), **{step: refuse})
    results = judged(check, {ask_mx1("cat", "n"): reply("1")})
    assert results == (kind("n", Target("mx1"), "虚拟机，无传感器"),)


def test_a_judge_that_gives_up_half_way_leaves_no_finding_behind():
    def judge(*_):
        yield Verdict(Severity.OK, "第一块盘正常")
        raise ForPerson("请现场查看第二块盘")

    results = judged(replace(number_check("n"), judge=judge), {ask_mx1("cat", "n"): reply("1")})
    assert results == (Manual("n", Target("mx1"), "请现场查看第二块盘"),)


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
