"""An inspection that people conduct on site, in the transaction of what they write down.

What it knows comes from people (`observe`) and from the collector's output (`take_bundle`); nothing
connects for it.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailcare.clock import utc_now
from mailcare.contracts.forms import FormError
from mailcare.errors import InputError
from mailcare.inspection import concluding
from mailcare.inspection.check import Answer, Ask, Channel, Reply, Result, Target
from mailcare.inspection.judging import judge_answers
from mailcare.inspection.observations import (
    PERSON,
    Observation,
    objections,
    person_ask,
    write_observation,
)
from mailcare.inspection.order import Order
from mailcare.inspection.planning import Plan
from mailcare.inspection.run import read_hosts
from mailcare.inspection.storing import (
    answers_of,
    begin,
    every_answer,
    plan_of,
    store_answers,
)
from mailcare.records import inspections
from mailcare.systems.complaints import Complaint


@dataclass(frozen=True, slots=True)
class Standing:
    """How an inspection stands: what it asks, the answers so far, and what they mean."""

    plan: Plan
    answers: dict[Ask, Answer]
    results: tuple[Result, ...]


def open_inspection(session: Session, service: int) -> int:
    """Return the inspection of a visit's service, made on the first call."""
    known = known_inspection(session, service)
    if known is not None:
        return known
    visit = session.get_one(inspections.Service, service)
    return begin(session, visit, Order(service=service)).id


def known_inspection(session: Session, service: int) -> int | None:
    """Return the inspection of a visit's service, None while there is none."""
    known = select(inspections.Inspection.id).where(inspections.Inspection.service_id == service)
    return session.scalar(known)


def standing(session: Session, inspection: int) -> Standing:
    """Return an inspection as it stands now."""
    plan = plan_of(session.get_one(inspections.Inspection, inspection))
    answers = answers_of(session, inspection)
    return Standing(plan, answers, tuple(judge_answers(plan, answers)))


def observe(
    session: Session,
    inspection: int,
    place: tuple[str, Target],
    observation: Observation,
    *,
    by: str,
    at: datetime,
) -> None:
    """Write down what a person saw of a check's target; the last one counts, equal ones once.

    `place` is the check's name and the target. Raise `InputError` where nobody asks for it, and
    `FormError` for numbers that cannot be.
    """
    check, target = place
    plan = plan_of(session.get_one(inspections.Inspection, inspection))
    asked = [one for one, it in plan.questions if (one.name, it.target) == place]
    if not asked:
        raise InputError("本次巡检没有这一项", subject=f"{check} {target}")
    if wrong := tuple(objections(asked[0], observation.numbers)):
        raise FormError(tuple(Complaint(("numbers", name), said) for name, said in wrong))
    ask, reply = person_ask(check, target), write_observation(observation, by=by, at=at)
    known = answers_of(session, inspection).get(ask)
    if not (isinstance(known, Reply) and known.text == reply.text):
        store_answers(session, inspection, {ask: reply})


def was_observed(
    session: Session, inspection: int, place: tuple[str, Target], observation: Observation
) -> bool:
    """Tell whether a person has said this of a check's target, whatever was said since."""
    ask = person_ask(*place)
    text = write_observation(observation, by="", at=utc_now()).text
    return any(
        isinstance(one, Reply) and one.text == text
        for one in every_answer(session, inspection, ask)
    )


def observers(session: Session, inspection: int) -> frozenset[str]:
    """Return the logins of those who wrote down what they saw."""
    seen = select(inspections.Reply.source).where(
        inspections.Reply.inspection_id == inspection,
        inspections.Reply.channel == Channel.PERSON,
    )
    return frozenset(one.removeprefix(PERSON) for one in session.scalars(seen.distinct()))


def take_bundle(session: Session, inspection: int, data: bytes, *, source: str) -> int:
    """Take the collector's output for an inspection and return how many replies are new.

    The same output taken twice adds nothing. Raise `InputError` where it is of none of the hosts.
    """
    plan = plan_of(session.get_one(inspections.Inspection, inspection))
    found = read_hosts(data, plan, source=source)
    stored = answers_of(session, inspection)
    new = {ask: one for ask, one in found.items() if stored.get(ask) != one}
    if new:
        store_answers(session, inspection, new)
    return len(new)


def conclude(session: Session, inspection: int, now: Standing, *, at: datetime) -> None:
    """Judge an inspection as it stands and close it."""
    rows = concluding.judged(now.plan, now.answers, subject=str(inspection))
    concluding.close(session, concluding.add_judgement(session, inspection, rows, at=at), at=at)
