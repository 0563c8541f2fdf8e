"""An inspection in the records: its rows, and the values that the rules know them by."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailcare.clock import utc_now
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
from mailcare.inspection.order import Order
from mailcare.inspection.outcome import state_of
from mailcare.inspection.planning import Plan
from mailcare.inspection.run import areas, open_bundle, planned
from mailcare.records import customers, inspections
from mailcare.records.changes import move
from mailcare.records.inspections import ServiceState
from mailcare.systems.site import Site


def begin(session: Session, service: inspections.Service, order: Order) -> inspections.Inspection:
    """Begin a service's inspection and return its row; the service is then running."""
    definition = session.get_one(customers.System, service.system_id).definition
    plan = planned(Site.model_validate(definition), order.scope)
    if order.bundle:
        open_bundle(order.bundle, plan)  # refused now rather than half-way
    row = inspections.Inspection(
        service_id=service.id,
        started_at=utc_now(),
        definition=definition,
        scope=list(order.scope),
        bundle=path_text(order.bundle),
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


def path_text(path: Path | None) -> str | None:
    """Return a path as it is kept."""
    return str(path) if path else None


def plan_of(row: inspections.Inspection) -> Plan:
    """Return what an inspection asks."""
    return planned(Site.model_validate(row.definition), row.scope)


def every_answer(session: Session, inspection: int, ask: Ask) -> list[Answer]:
    """Return all answers to an ask, oldest first."""
    rows = select(inspections.Reply).where(
        inspections.Reply.inspection_id == inspection, inspections.Reply.ask_key == _key_of(ask)
    )
    ordered = rows.order_by(inspections.Reply.attempt, inspections.Reply.id)
    return [_answer(row) for row in session.scalars(ordered)]


def answers_of(session: Session, inspection: int) -> dict[Ask, Answer]:
    """Return the last answer to each ask."""
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


def store_answers(session: Session, inspection: int, answers: Mapping[Ask, Answer]) -> None:
    """Keep answers verbatim, beside those that were there."""
    attempt = session.scalar(
        select(func.max(inspections.Reply.attempt)).where(
            inspections.Reply.inspection_id == inspection
        )
    )
    session.add_all(
        _reply_row(inspection, (attempt or 0) + 1, ask, answer) for ask, answer in answers.items()
    )


def _key_of(ask: Ask) -> str:
    words = json.dumps([ask.channel, ask.words, ask.node, ask.sample])
    return hashlib.sha256(words.encode()).hexdigest()


def _reply_row(inspection: int, attempt: int, ask: Ask, answer: Answer) -> inspections.Reply:
    row = inspections.Reply(
        inspection_id=inspection,
        ask_key=_key_of(ask),
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


def finding_row(result: Result) -> dict[str, Any]:
    """Return what the row of a result holds, its judgement and place aside."""
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


def result_of(row: inspections.Finding) -> Result:
    """Return a row as the result that it keeps."""
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
