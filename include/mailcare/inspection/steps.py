"""Inspections: the seam between the records and the rules; every step is safe to run twice."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, defer

from mailcare import VERSION
from mailcare.clock import utc_now
from mailcare.contracts.authorisation import Authorisation, permission
from mailcare.errors import InputError, MailcareError, Unavailable
from mailcare.inspection.check import (
    Answer,
    Ask,
    Channel,
    Finding,
    Manual,
    NoReply,
    NotApplicable,
    Reply,
    Result,
    Severity,
    Target,
    Unmeasured,
)
from mailcare.inspection.collect.orchestra import collect_answers
from mailcare.inspection.collect.scene import Scene
from mailcare.inspection.comparison import PAST_MAX, Past
from mailcare.inspection.judging import judge_answers
from mailcare.inspection.observations import Observation, person_ask, write_observation
from mailcare.inspection.order import Order, read_order
from mailcare.inspection.outcome import by_urgency, state_of
from mailcare.inspection.planning import Plan, by_node, hosts_touched
from mailcare.inspection.proceedings import (
    Consent,
    Login,
    Proceedings,
    replies_sha256,
    traffic,
)
from mailcare.inspection.run import (
    Inspection,
    areas,
    measured_span,
    open_bundle,
    planned,
    read_hosts,
)
from mailcare.inspection.table import findings_table
from mailcare.inspection.transcript import sent_away
from mailcare.records import customers, inspections
from mailcare.records.changes import add_once, move
from mailcare.records.inspections import ServiceKind, ServicePurpose, ServiceState
from mailcare.records.ledger import note_used
from mailcare.records.session import reading, transaction
from mailcare.secrets import find_secret
from mailcare.systems.site import Site

WORKER = ""  # the part of an inspection that the worker asks of the network
EARLIER_LOOKED_AT = 50  # of so many closed inspections the whole ones are compared with


def open_inspection(run: str, **conf: Any) -> int:
    """Return the inspection of a Dag run, made on the first call; the run's id is its key.

    A planned service keeps its own; a site alone makes a follow-up, which does not use up the
    contract year's inspection. Raise `InputError` for parameters that cannot be used.
    """
    order = read_order(conf)
    with transaction() as session:
        service = _ordered_service(session, run, order)
        known = session.scalar(
            select(inspections.Inspection).where(inspections.Inspection.service_id == service.id)
        )
        if known:
            _refuse_another_order(known, order)
        return (known or _begin(session, service, order)).id


def _refuse_another_order(known: inspections.Inspection, order: Order) -> None:
    if (tuple(known.scope), known.bundle) != (order.scope, _text(order.bundle)):
        raise InputError(
            "这次服务已按另一组参数开始，请改用原来的参数", subject=str(known.service_id)
        )


def _text(path: Path | None) -> str | None:
    return str(path) if path else None


def _ordered_service(session: Session, run: str, order: Order) -> inspections.Service:
    if order.service is None:
        return _follow_up(session, run, order.site or "")
    service = session.get(inspections.Service, order.service)
    if service is None or service.kind is not ServiceKind.REMOTE_INSPECTION:
        raise InputError("没有这个编号的巡检服务", subject=str(order.service))
    if service.state is ServiceState.WITHDRAWN:
        raise InputError("合同变更后不再包含这次服务，已撤销", subject=str(order.service))
    return service


def _follow_up(session: Session, run: str, site: str) -> inspections.Service:
    system = session.scalar(select(customers.System).where(customers.System.site == site))
    if system is None:
        raise InputError("没有登记这个站点，请先用 mailcare site import 导入", subject=site)
    add_once(
        session,
        inspections.Service,
        {
            "system_id": system.id,
            "kind": ServiceKind.REMOTE_INSPECTION,
            "purpose": ServicePurpose.FOLLOW_UP,
            "key": run,
            "state": ServiceState.PLANNED,
            "state_changed_at": utc_now(),
        },
    )
    return session.scalars(select(inspections.Service).where(inspections.Service.key == run)).one()


def _begin(session: Session, service: inspections.Service, order: Order) -> inspections.Inspection:
    definition = session.get_one(customers.System, service.system_id).definition
    plan = planned(Site.model_validate(definition), order.scope)
    if order.bundle:
        open_bundle(order.bundle, plan)  # refused now rather than half-way
    row = inspections.Inspection(
        service_id=service.id,
        started_at=utc_now(),
        definition=definition,
        scope=list(order.scope),
        bundle=_text(order.bundle),
    )
    session.add(row)
    session.flush()
    move(
        session,
        inspections.Service,
        service.id,
        from_state=ServiceState.PLANNED,
        to_state=ServiceState.RUNNING,
        at=row.started_at,
    )
    return row


def open_onsite_inspection(service: int) -> int:
    """Return the inspection of a visit's service, made on the first call; nothing connects for it.

    What it knows comes from people (`observe`) and from the collector's output (`take_bundle`).
    """
    with transaction() as session:
        known = select(inspections.Inspection).where(inspections.Inspection.service_id == service)
        row = session.scalar(known)
        if row is None:
            visit = session.get_one(inspections.Service, service)
            row = _begin(session, visit, Order(service=service))
        return row.id


def observe(
    inspection: int, check: str, target: Target, observation: Observation, *, by: str
) -> None:
    """Write down what a person saw of a check's target; the last one counts, equal ones once.

    Raise `InputError` where the inspection asks no such thing.
    """
    with transaction() as session:
        plan = _plan(session.get_one(inspections.Inspection, inspection))
        if not any((one.name, asked.target) == (check, target) for one, asked in plan.questions):
            raise InputError("本次巡检没有这一项", subject=f"{check} {target}")
        ask, reply = person_ask(check, target), write_observation(observation, by=by, at=utc_now())
        known = _answers(session, inspection).get(ask)
        if not (isinstance(known, Reply) and known.text == reply.text):
            _store(session, inspection, {ask: reply})


def take_bundle(inspection: int, data: bytes, *, source: str) -> int:
    """Take the collector's output for an inspection and return how many replies are new.

    The same output taken twice adds nothing. Raise `InputError` where it is of none of the hosts.
    """
    with transaction() as session:
        row = session.get_one(inspections.Inspection, inspection)
        found = read_hosts(data, _plan(row), source=source)
        stored = _answers(session, inspection)
        new = {ask: one for ask, one in found.items() if stored.get(ask) != one}
        if new:
            _store(session, inspection, new)
        return len(new)


def looked_at(inspection: int) -> tuple[Plan, tuple[Result, ...], dict[Ask, Answer]]:
    """Return an inspection's plan, its results as they are now, and its answers so far."""
    with reading() as session:
        plan = _plan(session.get_one(inspections.Inspection, inspection))
        answers = _answers(session, inspection)
    return plan, judge_answers(plan, answers), answers


def hosts_without_authorisation(inspection: int) -> list[str]:
    """Return the hosts that no valid authorisation covers now; none where nothing will connect."""
    with reading() as session:
        row = session.get_one(inspections.Inspection, inspection)
        if row.bundle:
            return []
        given = _authorisations(session, row)
        plan = _plan(row)
    now = utc_now()
    hosts = dict.fromkeys(host for ask in plan.asks() for host in hosts_touched(ask, plan.system))
    return [host for host in hosts if not any(one.covers(host, now) for one in given)]


def hosts_to_ask(inspection: int) -> list[str]:
    """Return the parts that `collect` is run for: each host with SSH asks, and the worker's own."""
    with reading() as session:
        plan = _plan(session.get_one(inspections.Inspection, inspection))
    return sorted(by_node(plan.asks()))


def collect(inspection: int, host: str, *, tries_left: int) -> None:
    """Ask one part of an inspection what it has not answered yet, and store what comes back.

    Raise `Unavailable` where another try may bring more and one is left, and a permanent
    `MailcareError` where the host refused us; what came in is stored before.
    """
    with reading() as session:
        row = session.get_one(inspections.Inspection, inspection)
        plan, stored = _plan(row), _answers(session, inspection)
    asks = by_node(plan.asks()).get(host, ())
    open_asks = _open_asks(asks, stored)
    if not open_asks:
        return
    answers = _bundled(row.bundle, plan, open_asks) if row.bundle else _online(row, plan, open_asks)
    with transaction() as session:
        _store(session, inspection, answers)
    if not row.bundle:
        _complain(host, answers, tries_left)


def _open_asks(asks: Sequence[Ask], stored: Mapping[Ask, Answer]) -> tuple[Ask, ...]:
    """Return what is still to be asked; the samples of a rate are taken together or not at all."""
    still_open = {ask for ask in asks if _is_open(ask, stored.get(ask))}
    sampled = {ask.words for ask in asks if ask.sample > 1}
    again = {ask.words for ask in still_open} & sampled
    return tuple(ask for ask in asks if ask in still_open or ask.words in again)


def _is_open(ask: Ask, answer: Answer | None) -> bool:
    """Tell whether asking again may bring more; a failed login is tried anew with its commands."""
    if not isinstance(answer, Reply):
        return True
    is_failed_login = ask.channel is Channel.SSH and not ask.words and answer.exit_code != 0
    return is_failed_login or sent_away(answer)


def _bundled(bundle: str, plan: Plan, asks: Sequence[Ask]) -> dict[Ask, Answer]:
    answers = open_bundle(Path(bundle), plan)
    return {ask: answers[ask] for ask in asks if ask in answers}


def _online(row: inspections.Inspection, plan: Plan, asks: Sequence[Ask]) -> dict[Ask, Answer]:
    def permit(node: str) -> None:
        with transaction() as session:
            given = permission(_authorisations(session, row), node, utc_now())
            if any(ask.channel is Channel.SSH for ask in asks):
                session.add(_connection(row, plan, node, given))

    return collect_answers(asks, Scene(plan.system, find_secret, permit))


def _connection(
    row: inspections.Inspection, plan: Plan, name: str, given: Authorisation
) -> inspections.Connection:
    node = plan.system.node(name)
    return inspections.Connection(
        inspection_id=row.id,
        authorisation_id=int(given.identity),
        node=name,
        address=node.address,
        login=node.ssh.credential.login if node.ssh else "",
        connected_at=utc_now(),
    )


def _complain(host: str, answers: Mapping[Ask, Answer], tries_left: int) -> None:
    lost = [answer for answer in answers.values() if isinstance(answer, NoReply)]
    if refused := [answer for answer in lost if answer.permanent and host]:
        raise MailcareError(refused[0].reason, subject=host)
    passing = [answer.reason for answer in lost if not answer.permanent]
    if any(isinstance(answer, Reply) and sent_away(answer) for answer in answers.values()):
        passing.append("对方要求稍后再试")
    if passing and tries_left > 0:
        raise Unavailable(passing[0], subject=host or "外部探测")


def judge(inspection: int) -> int:
    """Judge the stored replies and return the judgement's id; equal results are stored once.

    Raise `MailcareError` where nothing was collected: a run that was called off has no report.
    """
    with reading() as session:
        plan = _plan(session.get_one(inspections.Inspection, inspection))
        answers = _answers(session, inspection)
    if not answers:
        raise MailcareError("没有采集到任何回复，不作判断", subject=str(inspection))
    rows = [_row(result) for result in by_urgency(judge_answers(plan, answers))]
    fingerprint = hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()
    with transaction() as session:
        values = {
            "inspection_id": inspection,
            "fingerprint": fingerprint,
            "judged_at": utc_now(),
            "product_version": VERSION,
        }
        judgement = add_once(session, inspections.Judgement, values)
        if judgement is None:
            return _judgement(session, inspection, fingerprint)
        session.add_all(
            inspections.Finding(judgement_id=judgement, ordinal=ordinal, **row)
            for ordinal, row in enumerate(rows)
        )
        return judgement


def _judgement(session: Session, inspection: int, fingerprint: str) -> int:
    return session.scalars(
        select(inspections.Judgement.id).where(
            inspections.Judgement.inspection_id == inspection,
            inspections.Judgement.fingerprint == fingerprint,
        )
    ).one()


def record(judgement: int) -> int:
    """Make a judgement the one that papers show, close the inspection and return its id."""
    with transaction() as session:
        inspection = session.get_one(
            inspections.Inspection, session.get_one(inspections.Judgement, judgement).inspection_id
        )
        inspection.current_judgement_id = judgement
        finished_at = inspection.finished_at or utc_now()
        inspection.finished_at = finished_at
        move(
            session,
            inspections.Service,
            inspection.service_id,
            from_state=ServiceState.RUNNING,
            to_state=ServiceState.DONE,
            at=finished_at,
        )
        note_used(session, inspection.service_id)
        return inspection.id


def recorded(inspection: int) -> Inspection:
    """Return a closed inspection as a value: its system, replies and current results."""
    with reading() as session:
        row = session.get_one(inspections.Inspection, inspection)
        judgement = session.get_one(inspections.Judgement, row.current_judgement_id)
        results = tuple(_result(finding) for finding in judgement.findings)
        answers = _answers(session, inspection)
        finished_at = row.finished_at or judgement.judged_at
    span = measured_span(answers) if row.bundle else None
    started_at, finished_at = span or (row.started_at, finished_at)
    return Inspection(_plan(row).system, answers, results, started_at, finished_at)


def system_of(inspection: int) -> int:
    """Return the id of the system that an inspection is about."""
    with reading() as session:
        row = session.get_one(inspections.Inspection, inspection)
        return session.get_one(inspections.Service, row.service_id).system_id


def earlier(inspection: int) -> tuple[Past, ...]:
    """Return the last closed inspections of the same system before this one, oldest first.

    One that looked at chosen checks only has too little to be compared with and is left out.
    """
    with reading() as session:
        closed = _closed_before(session, inspection)
        whole = [row for row in closed if not row.scope][:PAST_MAX]
        results = _results_of(session, [row.current_judgement_id for row in whole])
    past = [Past(row.started_at, tuple(results[row.current_judgement_id])) for row in whole]
    return tuple(reversed(past))


def _closed_before(session: Session, inspection: int) -> Sequence[inspections.Inspection]:
    row = session.get_one(inspections.Inspection, inspection)
    system = session.get_one(inspections.Service, row.service_id).system_id
    known = inspections.Inspection
    return session.scalars(
        select(known)
        .join(inspections.Service, inspections.Service.id == known.service_id)
        .where(
            inspections.Service.system_id == system,
            known.current_judgement_id.is_not(None),
            (known.started_at < row.started_at)
            | ((known.started_at == row.started_at) & (known.id < row.id)),
        )
        .options(defer(known.definition))
        .order_by(known.started_at.desc(), known.id.desc())
        .limit(EARLIER_LOOKED_AT)
    ).all()


def _results_of(
    session: Session, judgements: Sequence[int | None]
) -> dict[int | None, list[Result]]:
    rows = session.scalars(
        select(inspections.Finding)
        .where(inspections.Finding.judgement_id.in_(judgements))
        .order_by(inspections.Finding.judgement_id, inspections.Finding.ordinal)
    )
    found: dict[int | None, list[Result]] = {one: [] for one in judgements}
    for row in rows:
        found[row.judgement_id].append(_result(row))
    return found


def proceedings(inspection: int) -> Proceedings:
    """Return who allowed a closed inspection, who connected when, and what was asked."""
    with reading() as session:
        row = session.get_one(inspections.Inspection, inspection)
        judgement = session.get_one(inspections.Judgement, row.current_judgement_id)
        logins = tuple(_logins(session, inspection))
        consents = tuple(_consents(session, row))
        answers = _answers(session, inspection)
    return Proceedings(
        judgement.product_version,
        consents,
        logins,
        traffic(answers),
        replies_sha256(answers),
        row.bundle is not None,
    )


def _logins(session: Session, inspection: int) -> Iterator[Login]:
    rows = session.scalars(
        select(inspections.Connection)
        .where(inspections.Connection.inspection_id == inspection)
        .order_by(inspections.Connection.connected_at, inspections.Connection.id)
    )
    for row in rows:
        yield Login(row.node, row.address, row.login, row.connected_at, str(row.authorisation_id))


def _consents(session: Session, row: inspections.Inspection) -> Iterator[Consent]:
    """Yield the authorisations that were on record and in force during an inspection."""
    known = customers.Authorisation
    ended_at = row.finished_at or utc_now()
    rows = session.scalars(
        select(known)
        .join(inspections.Service, inspections.Service.system_id == known.system_id)
        .where(
            inspections.Service.id == row.service_id,
            known.recorded_at <= ended_at,
            known.valid_from <= ended_at,
            known.valid_to > row.started_at,
        )
        .order_by(known.id)
    )
    for one in rows:
        terms = _terms(one)
        if terms.revoked_at and terms.revoked_at > ended_at:
            # Withdrawn since: what was done under it then does not change.
            terms = replace(terms, revoked_at=None)
        yield Consent(terms, one.given_at, one.how, one.purpose, one.evidence)


def recorded_table(inspection: int) -> str:
    """Return a closed inspection's findings as a table."""
    return findings_table(recorded(inspection).results)


def _plan(row: inspections.Inspection) -> Plan:
    return planned(Site.model_validate(row.definition), row.scope)


def _authorisations(session: Session, row: inspections.Inspection) -> list[Authorisation]:
    service = session.get_one(inspections.Service, row.service_id)
    rows = session.scalars(
        select(customers.Authorisation).where(
            customers.Authorisation.system_id == service.system_id
        )
    )
    return [_terms(one) for one in rows]


def _terms(row: customers.Authorisation) -> Authorisation:
    return Authorisation(
        str(row.id),
        row.given_by,
        frozenset(row.nodes),
        row.valid_from,
        row.valid_to,
        row.revoked_at,
    )


def _answers(session: Session, inspection: int) -> dict[Ask, Answer]:
    rows = session.scalars(
        select(inspections.Reply)
        .where(inspections.Reply.inspection_id == inspection)
        .order_by(inspections.Reply.attempt, inspections.Reply.id)
    )
    return {_ask(row): _answer(row) for row in rows}


def _ask(row: inspections.Reply) -> Ask:
    return Ask(Channel(row.channel), tuple(row.words), row.timeout_s, row.node, row.sample)


def _answer(row: inspections.Reply) -> Answer:
    if row.text is not None and row.exit_code is not None:
        return Reply(row.text, row.exit_code, row.taken_at, row.source)
    return NoReply(row.reason or "", row.taken_at, row.source, permanent=bool(row.permanent))


def _store(session: Session, inspection: int, answers: Mapping[Ask, Answer]) -> None:
    attempt = session.scalar(
        select(func.max(inspections.Reply.attempt)).where(
            inspections.Reply.inspection_id == inspection
        )
    )
    session.add_all(
        _reply_row(inspection, (attempt or 0) + 1, ask, answer) for ask, answer in answers.items()
    )


def _reply_row(inspection: int, attempt: int, ask: Ask, answer: Answer) -> inspections.Reply:
    key = hashlib.sha256(json.dumps([ask.channel, ask.words, ask.node, ask.sample]).encode())
    row = inspections.Reply(
        inspection_id=inspection,
        ask_key=key.hexdigest(),
        attempt=attempt,
        node=ask.node,
        channel=ask.channel,
        words=list(ask.words),
        timeout_s=ask.timeout_s,
        sample=ask.sample,
        taken_at=answer.taken_at,
        source=answer.source,
    )
    if isinstance(answer, Reply):
        row.text, row.exit_code = answer.text, answer.exit_code
    else:
        row.reason, row.permanent = answer.reason, answer.permanent
    return row


def _row(result: Result) -> dict[str, Any]:
    target = result.target
    row: dict[str, Any] = {
        "check_name": result.check,
        "area": areas()[result.check],
        "node": target.node,
        "port": target.port,
        "part": target.part,
        "state": state_of(result),
        "severity": None,
        "summary": "",
        "advice": "",
        "reason": None,
        "evidence": [],
        "metrics": {},
        "caused_by": result.caused_by if isinstance(result, Finding | Unmeasured) else None,
    }
    if not isinstance(result, Finding):
        return row | {"reason": result.reason}
    return row | {
        "severity": result.severity.name.lower(),
        "summary": result.summary,
        "advice": result.advice,
        "evidence": list(result.evidence),
        "metrics": dict(result.metrics),
    }


def _result(row: inspections.Finding) -> Result:
    target = Target(row.node, row.port, row.part)
    if row.severity is not None:
        return Finding(
            row.check_name,
            target,
            Severity[row.severity.name],
            row.summary,
            row.advice,
            tuple(row.evidence),
            row.metrics,
            row.caused_by,
        )
    reason = row.reason or ""
    if row.state is inspections.FindingState.UNMEASURED:
        return Unmeasured(row.check_name, target, reason, row.caused_by)
    kind = Manual if row.state is inspections.FindingState.MANUAL else NotApplicable
    return kind(row.check_name, target, reason)
