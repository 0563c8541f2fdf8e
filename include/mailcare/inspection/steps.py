"""Inspections: the seam between the records and the rules; every step is safe to run twice."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, defer

from mailcare.clock import utc_now
from mailcare.contracts.authorisation import Authorisation, permission
from mailcare.errors import InputError, MailcareError, Unavailable
from mailcare.inspection import concluding
from mailcare.inspection.check import (
    Answer,
    Ask,
    Channel,
    NoReply,
    Reply,
    Result,
)
from mailcare.inspection.collect.orchestra import collect_answers
from mailcare.inspection.collect.scene import Scene
from mailcare.inspection.comparison import PAST_MAX, Past
from mailcare.inspection.order import Order, read_order
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
    measured_span,
    open_bundle,
)
from mailcare.inspection.storing import (
    answers_of,
    begin,
    path_text,
    plan_of,
    result_of,
    store_answers,
)
from mailcare.inspection.table import findings_table
from mailcare.inspection.transcript import sent_away
from mailcare.records import customers, inspections
from mailcare.records.changes import add_once
from mailcare.records.inspections import ServiceKind, ServicePurpose, ServiceState
from mailcare.records.session import reading, transaction
from mailcare.secrets import find_secret

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
        return (known or begin(session, service, order)).id


def _refuse_another_order(known: inspections.Inspection, order: Order) -> None:
    if (tuple(known.scope), known.bundle) != (order.scope, path_text(order.bundle)):
        raise InputError(
            "这次服务已按另一组参数开始，请改用原来的参数", subject=str(known.service_id)
        )


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


def hosts_without_authorisation(inspection: int) -> list[str]:
    """Return the hosts that no valid authorisation covers now; none where nothing will connect."""
    with reading() as session:
        row = session.get_one(inspections.Inspection, inspection)
        if row.bundle:
            return []
        given = _authorisations(session, row)
        plan = plan_of(row)
    now = utc_now()
    hosts = dict.fromkeys(host for ask in plan.asks() for host in hosts_touched(ask, plan.system))
    return [host for host in hosts if not any(one.covers(host, now) for one in given)]


def hosts_to_ask(inspection: int) -> list[str]:
    """Return the parts that `collect` is run for: each host with SSH asks, and the worker's own."""
    with reading() as session:
        plan = plan_of(session.get_one(inspections.Inspection, inspection))
    return sorted(by_node(plan.asks()))


def collect(inspection: int, host: str, *, tries_left: int) -> None:
    """Ask one part of an inspection what it has not answered yet, and store what comes back.

    Raise `Unavailable` where another try may bring more and one is left, and a permanent
    `MailcareError` where the host refused us; what came in is stored before.
    """
    with reading() as session:
        row = session.get_one(inspections.Inspection, inspection)
        plan, stored = plan_of(row), answers_of(session, inspection)
    asks = by_node(plan.asks()).get(host, ())
    open_asks = _open_asks(asks, stored)
    if not open_asks:
        return
    answers = _bundled(row.bundle, plan, open_asks) if row.bundle else _online(row, plan, open_asks)
    with transaction() as session:
        store_answers(session, inspection, answers)
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
        plan = plan_of(session.get_one(inspections.Inspection, inspection))
        answers = answers_of(session, inspection)
    rows = concluding.judged(plan, answers, subject=str(inspection))
    with transaction() as session:
        return concluding.add_judgement(session, inspection, rows, at=utc_now())


def record(judgement: int) -> int:
    """Make a judgement the one that papers show, close the inspection and return its id."""
    with transaction() as session:
        return concluding.close(session, judgement, at=utc_now())


def recorded(inspection: int) -> Inspection:
    """Return a closed inspection as a value: its system, replies and current results."""
    with reading() as session:
        row = session.get_one(inspections.Inspection, inspection)
        judgement = session.get_one(inspections.Judgement, row.current_judgement_id)
        results = tuple(result_of(finding) for finding in judgement.findings)
        answers = answers_of(session, inspection)
        finished_at = row.finished_at or judgement.judged_at
    span = measured_span(answers) if row.bundle else None
    started_at, finished_at = span or (row.started_at, finished_at)
    return Inspection(plan_of(row).system, answers, results, started_at, finished_at)


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
        found[row.judgement_id].append(result_of(row))
    return found


def proceedings(inspection: int) -> Proceedings:
    """Return who allowed a closed inspection, who connected when, and what was asked."""
    with reading() as session:
        row = session.get_one(inspections.Inspection, inspection)
        judgement = session.get_one(inspections.Judgement, row.current_judgement_id)
        logins = tuple(_logins(session, inspection))
        consents = tuple(_consents(session, row))
        answers = answers_of(session, inspection)
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
