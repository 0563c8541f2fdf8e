"""Read the answers of a plan as results: parse, judge, and name what could not be measured."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from mailcare.inspection.causes import link_causes
from mailcare.inspection.check import (
    Answer,
    Ask,
    Channel,
    Check,
    DoesNotApply,
    Finding,
    ForPerson,
    Manual,
    NoReply,
    NotApplicable,
    Question,
    Reply,
    ReplyError,
    Result,
    Subject,
    Target,
    Unmeasured,
    Verdict,
)
from mailcare.inspection.hosts import CUT
from mailcare.inspection.observations import ON_SITE, judge_observation, person_ask
from mailcare.inspection.planning import Plan
from mailcare.systems.system import System

TIMED_OUT = 124  # what timeout(1) exits with
EVIDENCE_LINES = 12
EVIDENCE_WIDTH = 300
COMMAND_WIDTH = 80


def judge_answers(plan: Plan, answers: Mapping[Ask, Answer]) -> tuple[Result, ...]:
    """Return a result for every question and every settled check, causes linked.

    An ask that `answers` lacks is unmeasured. An exception in a check's `judge` is our own error
    and is let through.
    """
    results: list[Result] = list(plan.settled)
    for check, question in plan.questions:
        found = tuple(_results(check, question, answers, plan.system))
        results.extend(_with_person(check, question, answers, found))
    checks = {check.name: check for check, _ in plan.questions}
    heard = {
        (check.name, question.target)
        for check, question in plan.questions
        if any(isinstance(answers.get(ask), Reply) for ask in question.asks)
    }
    return link_causes(results, checks, plan.system, heard=heard)


def _with_person(
    check: Check[Any, Any],
    question: Question,
    answers: Mapping[Ask, Answer],
    found: tuple[Result, ...],
) -> tuple[Result, ...]:
    """Return the results with what a person saw on site.

    It stands in place of what could not be measured, and beside what was.
    """
    target = question.target
    reply = answers.get(person_ask(check.name, target))
    if not isinstance(reply, Reply):
        return found
    measured = tuple(one for one in found if isinstance(one, Finding))
    if measured:
        target = replace(target, part=f"{target.part} {ON_SITE}".strip())
    try:
        return (*measured, judge_observation(check, target, reply))
    except ReplyError as error:
        return (*found, Unmeasured(check.name, target, str(error)))


def _results(
    check: Check[Any, Any], question: Question, answers: Mapping[Ask, Answer], system: System
) -> Iterator[Result]:
    target = question.target
    try:
        yield from _findings(check, question, answers, system)
    except ReplyError as error:
        yield Unmeasured(check.name, target, str(error))
    except DoesNotApply as nothing:
        yield NotApplicable(check.name, target, str(nothing))
    except ForPerson as line:
        yield Manual(check.name, target, str(line))


def _findings(
    check: Check[Any, Any], question: Question, answers: Mapping[Ask, Answer], system: System
) -> tuple[Finding, ...]:
    """Return every finding of a question at once, so that a refusal half-way leaves none."""
    if question.asks[0].channel is Channel.PERSON:
        raise ForPerson(" ".join(question.asks[0].words))
    replies = tuple(_reply(ask, answers) for ask in question.asks)
    if not question.may_be_cut and any(map(_is_cut, question.asks, replies)):
        raise ReplyError("主机的输出过长，已截断")
    asides = ((ask, answers.get(ask)) for ask in question.asides)
    whole = (one for ask, one in asides if isinstance(one, Reply) and not _is_cut(ask, one))
    fact = check.parse((*replies, *whole))
    subject = Subject(system, question.target, replies[-1].taken_at)
    verdicts = tuple(check.judge(fact, check.limits, subject))
    assert verdicts, f"{check.name} judged nothing"
    return tuple(_finding(check, question, verdict, replies) for verdict in verdicts)


def _reply(ask: Ask, answers: Mapping[Ask, Answer]) -> Reply:
    answer = answers.get(ask)
    if answer is None:
        raise ReplyError("没有收到这一项的回复")
    if isinstance(answer, NoReply):
        raise ReplyError(answer.reason)
    if ask.channel is Channel.SSH and answer.exit_code == TIMED_OUT:
        command = " ".join(" ".join(ask.words).split())
        raise ReplyError(f"命令在 {ask.timeout_s:g} 秒内没有完成：{command[:COMMAND_WIDTH]}")
    return answer


def _is_cut(ask: Ask, reply: Reply) -> bool:
    return ask.channel is Channel.SSH and reply.exit_code == CUT


def _finding(
    check: Check[Any, Any], question: Question, verdict: Verdict, replies: tuple[Reply, ...]
) -> Finding:
    target = question.target
    if verdict.part:
        target = Target(target.node, target.port, verdict.part)
    return Finding(
        check.name,
        target,
        verdict.severity,
        verdict.summary,
        verdict.advice,
        verdict.evidence or _excerpt(question.asks, replies),
        dict(verdict.metrics),
    )


def _excerpt(asks: tuple[Ask, ...], replies: tuple[Reply, ...]) -> tuple[str, ...]:
    lines: list[str] = []
    for ask, reply in zip(asks, replies, strict=True):
        lines.append(f"{reply.source} $ {' '.join(ask.words)}")
        lines.extend(line[:EVIDENCE_WIDTH] for line in reply.text.splitlines()[:EVIDENCE_LINES])
    return tuple(lines)
