"""Ask a customer about a case that has ended: once a version, whoever notices it first."""

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailcare.records.changes import add_once
from mailcare.records.customers import Contact
from mailcare.records.surveys import Survey, SurveyCase, SurveyState
from mailcare.surveys.asking import EndedCase


def add_survey(session: Session, case: EndedCase, *, at: datetime) -> int:
    """Return the survey of a case's version, opened where there is none."""
    contact, phone = _whom_to_ask(session, case)
    values = asdict(case) | {
        "case_kind": SurveyCase(case.case_kind),
        "handled_by": list(case.handled_by),
        "contact": contact,
        "phone": phone,
        "customer_id": case.customer,
        "system_id": case.system,
        "asked_at": at,
        "reminders": 0,
        "state": SurveyState.ASKED,
        "state_changed_at": at,
    }
    for name in ("customer", "system"):
        del values[name]
    return add_once(session, Survey, values) or _known(session, case)


def _known(session: Session, case: EndedCase) -> int:
    return session.scalars(
        select(Survey.id).where(
            Survey.case_kind == SurveyCase(case.case_kind),
            Survey.case_id == case.case_id,
            Survey.case_version == case.case_version,
        )
    ).one()


def _whom_to_ask(session: Session, case: EndedCase) -> tuple[str, str]:
    """Return a contact's name and phone: the case's own, else the customer's who can be called."""
    if case.contact:
        return case.contact, case.phone
    of_customer = select(Contact).where(Contact.customer_id == case.customer)
    contacts = session.scalars(of_customer.order_by(Contact.id)).all()
    best = max(contacts, key=lambda one: (bool(one.phone), one.gets_papers), default=None)
    return (best.name, best.phone or "") if best else ("", "")
