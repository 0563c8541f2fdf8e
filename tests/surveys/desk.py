"""A customer with an ended case: what the tests of surveys start from."""

from datetime import UTC, datetime

from mailcare.contracts.forms import CustomerForm, read_form
from mailcare.contracts.steps import enter_customer
from mailcare.records.session import transaction
from mailcare.staff.steps import Role, grant_role
from mailcare.surveys.forms import AnswerForm, CallForm, CorrectionForm
from mailcare.surveys.steps import CaseKind, EndedCase, open_survey

ASKED_AT = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)  # a Monday, 10:00 in Beijing
CONTACTS = [
    {"name": "赵示例", "role": "部门经理"},
    {"name": "王示例", "phone": "0000-1234", "gets_papers": True, "email": "w@bank.example"},
]
SCORES = {"satisfaction": "5", "attitude": "4", "skill": "5", "effect": "4"}
ANSWER = {"answered_by": "王示例", "answered_at": "2026-03-02T10:00"} | SCORES
SCAN = ("sheet.pdf", b"%PDF-1.7\n% a signed sheet\n")


def add_customer(name: str = "示例银行") -> int:
    return enter_customer(read_form(CustomerForm, {"name": name, "contacts": CONTACTS}), by="li")


def ended(customer: int, **changes) -> EndedCase:
    values = {
        "case_kind": CaseKind.FAULT,
        "case_id": 1,
        "case_version": 1,
        "customer": customer,
        "handled_by": ("engineer",),
        "subject": "GZ-2026-00001",
        "description": "外发邮件大量退信",
        "outcome": "已修复",
        "started_at": datetime(2026, 2, 27, 1, 0, tzinfo=UTC),
        "finished_at": datetime(2026, 2, 27, 5, 0, tzinfo=UTC),
    }
    return EndedCase(**values | changes)


def hire(login: str) -> None:
    grant_role(login, Role.ENGINEER, by="test")


def ask(case: EndedCase, *, at: datetime = ASKED_AT) -> int:
    with transaction() as session:
        return open_survey(session, case, at=at)


def answer(**changes) -> AnswerForm:
    return read_form(AnswerForm, ANSWER | changes)


def correction(**changes) -> CorrectionForm:
    return read_form(CorrectionForm, ANSWER | {"version": "1", "reason": "听错了"} | changes)


def call(**changes) -> CallForm:
    return read_form(CallForm, {"attempt": "1", "outcome": "no_answer"} | changes)
