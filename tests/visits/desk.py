"""A desk with one visit that the contract owes: what the tests of visits start from."""

import re
from datetime import date

from sqlalchemy import select

from mailcare.contracts.forms import read_form
from mailcare.contracts.ledger import Balance
from mailcare.contracts.steps import contract_detail, plan_due
from mailcare.delivery.sealing import unsealed
from mailcare.records.deliveries import Delivery, Enclosure
from mailcare.records.inspections import Service, ServiceKind
from mailcare.records.people import EvidenceFile
from mailcare.records.session import reading
from mailcare.records.visits import Visit, VisitEvent, VisitLinkRefusal
from mailcare.staff.steps import Role, grant_role, roles_of
from mailcare.visits import steps
from mailcare.visits.forms import AnswerForm, EndForm, MoveForm, OfferForm, StaffForm
from tests.contracts.desk import NEW_YEAR, add_contract

CUSTOMER_MAIL = "wang@bank.example"
ENGINEER_MAIL = "lin@vendor.example"
STAFF = {
    "engineer": "lin",
    "engineer_name": "林示例",
    "engineer_email": ENGINEER_MAIL,
    "place": "示例市示例路 1 号机房",
}
FIRST, SECOND = "2026-05-11", "2026-05-18"  # Mondays of whole weeks
CONTACTS = [{"name": "王示例", "email": CUSTOMER_MAIL, "gets_papers": True}]


def planned_visit(**changes) -> str:
    """Enter a contract and who goes, plan its year and return the number of its first visit."""
    hire(STAFF["engineer"])
    add_contract(**changes)
    plan_due(today=NEW_YEAR)
    return open_visits()[0]


def hire(login: str) -> None:
    if Role.ENGINEER not in roles_of(login):
        grant_role(login, Role.ENGINEER, by="test")


def open_visits() -> list[str]:
    for service in visit_services():
        steps.open_visit(service)
    with reading() as session:
        return list(session.scalars(select(Visit.number).order_by(Visit.id)))


def visit_services() -> list[int]:
    visits = select(Service.id).where(Service.kind == ServiceKind.VISIT).order_by(Service.id)
    with reading() as session:
        return list(session.scalars(visits))


def assign(number: str, **changes) -> None:
    steps.assign(number, read_form(StaffForm, STAFF | changes), by="li")


def propose(number: str, *starts: str, by: str = "li") -> None:
    steps.propose(number, read_form(OfferForm, {"starts": list(starts or (FIRST,))}), by=by)


def answer(**changes) -> AnswerForm:
    usual = {"choice": "confirm", "start": FIRST, "said_by": "王示例"}
    return read_form(AnswerForm, usual | changes)


def confirm(number: str, start: str = FIRST) -> None:
    propose(number, start)
    steps.answer_by_phone(number, answer(start=start), by="li")


def move(**changes) -> MoveForm:
    usual = {"start": SECOND, "speaker": "customer", "said_by": "王示例", "note": "机房停电"}
    return read_form(MoveForm, usual | changes)


def end(**changes) -> EndForm:
    return read_form(
        EndForm, {"speaker": "customer", "said_by": "王示例", "note": "行内封网"} | changes
    )


def visit(number: str) -> Visit:
    with reading() as session:
        return session.scalars(select(Visit).where(Visit.number == number)).one()


def history(number: str) -> list[str]:
    events = select(VisitEvent.act).join(Visit).where(Visit.number == number)
    with reading() as session:
        return [str(one) for one in session.scalars(events.order_by(VisitEvent.ordinal))]


def letters(recipient: str = CUSTOMER_MAIL) -> list[Delivery]:
    sent = select(Delivery).where(Delivery.recipient == recipient)
    with reading() as session:
        return list(session.scalars(sent.order_by(Delivery.id)))


def invitations(recipient: str = CUSTOMER_MAIL) -> list[bytes]:
    enclosed = (
        select(EvidenceFile.body)
        .join(Enclosure, Enclosure.evidence_file_id == EvidenceFile.id)
        .join(Delivery, Delivery.id == Enclosure.delivery_id)
        .where(Delivery.recipient == recipient)
    )
    with reading() as session:
        return list(session.scalars(enclosed.order_by(Delivery.id)))


def link(which: int = -1) -> tuple[str, str]:
    """Return the visit's number and the token of a letter's link."""
    sent = [unsealed(one.body, one.key) for one in letters()]
    found = [re.search(r"/mailcare-visit/(XC-[\d-]+)/(\S+)", one) for one in sent]
    return [one.groups() for one in found if one][which]


def refusals() -> list[tuple[str, str]]:
    with reading() as session:
        rows = session.scalars(select(VisitLinkRefusal).order_by(VisitLinkRefusal.id))
        return [(one.reason, one.address) for one in rows]


def balance(year: int = 1) -> Balance:
    detail = contract_detail("HT-1", on=date(2026, 5, 1))
    return next(one for one in detail.years[year - 1].balances if one.promise == "visit")
