"""What a person saw on site is a reply, judged by the check's own limits."""

from dataclasses import replace

import pytest

from mailcare.inspection.check import (
    Ask,
    Channel,
    Finding,
    Question,
    ReplyError,
    Severity,
    Target,
    Unmeasured,
)
from mailcare.inspection.checks import all_checks
from mailcare.inspection.judging import judge_answers
from mailcare.inspection.observations import (
    NUMBERS,
    Observation,
    limits_for,
    person_ask,
    read_observation,
    write_observation,
)
from mailcare.inspection.planning import plan_inspection
from tests.inspection.samples import AT, MX1, ask_mx1, lab_system, number_check, reply

OK = Observation(Severity.OK, "指示灯全绿")
FOR_PERSON = replace(
    number_check("n"),
    ask=lambda _system: [Question(MX1, (Ask(Channel.PERSON, ("看指示灯",)),))],
)


def judged(check, answers):
    return judge_answers(plan_inspection(lab_system(), [check]), answers)


def seen(observation: Observation, check: str = "n", target: Target = MX1):
    return {person_ask(check, target): write_observation(observation, by="lin", at=AT)}


def test_an_observation_is_read_back_as_it_was_written():
    seen_one = Observation(Severity.WARNING, "风扇有异响", "更换风扇", {"temperature_c": 41.5})
    assert read_observation(write_observation(seen_one, by="lin", at=AT)) == seen_one


def test_what_only_a_person_can_find_out_is_answered_by_one():
    [result] = judged(FOR_PERSON, seen(OK))
    assert isinstance(result, Finding)
    assert (result.severity, result.summary) == (Severity.OK, "指示灯全绿")
    assert result.evidence == ("person://lin 指示灯全绿",)


def test_a_number_is_held_against_the_checks_own_limits():
    hot = Observation(Severity.OK, "看似正常", "", {"value": 9.0})
    [result] = judged(FOR_PERSON, seen(hot))
    assert result.severity is Severity.CRITICAL
    assert "9" in result.summary
    assert "严重 ≥ 9" in result.summary
    assert result.advice


def test_the_persons_word_counts_where_it_is_worse_than_the_number():
    bad = Observation(Severity.CRITICAL, "冒烟", "立即停机", {"value": 1.0})
    [result] = judged(FOR_PERSON, seen(bad))
    assert (result.severity, result.advice) == (Severity.CRITICAL, "立即停机")


def test_a_person_stands_in_place_of_what_was_not_measured_and_beside_what_was():
    [alone] = judged(number_check("n"), seen(OK))
    assert (alone.target, alone.summary) == (MX1, "指示灯全绿")
    measured, beside = judged(number_check("n"), seen(OK) | {ask_mx1("cat", "n"): reply("7")})
    assert measured.summary == "值 7"
    assert beside.target == Target("mx1", part="现场")


def test_a_text_that_is_no_observation_is_unmeasured():
    with pytest.raises(ReplyError):
        read_observation(reply("正常"))
    results = judged(number_check("n"), {person_ask("n", MX1): reply("正常")})
    assert results[-1] == Unmeasured("n", MX1, "现场记录的内容无法识别")


def test_the_hardware_of_the_real_checks_has_numbers_to_enter():
    found = {check.name: limits_for(check) for check in all_checks()}
    assert found["hardware.sensors"]["temperature_c"].warning == 85
    assert found["hardware.cpu"]["used_pct"].warning == 95
    assert set(NUMBERS) >= {name for limits in found.values() for name in limits}
