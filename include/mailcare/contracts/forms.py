"""What a person enters about a customer and a contract, checked field by field."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from mailcare.contracts.promises import newest, promises
from mailcare.contracts.terms import REMOTE_CNY, VISIT_CNY, VISITS_MOST, anniversary
from mailcare.deadlines import FIRST_YEAR, LAST_YEAR
from mailcare.errors import InputError
from mailcare.systems.complaints import PRINTABLE, WRITTEN, Complaint, complaints_of
from mailcare.systems.profile import Strict
from mailcare.systems.site import MailAddress

YEARS_MOST = 10
REMARK_CHARACTERS_MOST = 500  # of what is said in a line or two beside a decision
Line = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=PRINTABLE),
]
Remark = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=REMARK_CHARACTERS_MOST, pattern=WRITTEN),
]
Reason = Annotated[Remark, StringConstraints(min_length=1)]
Price = Annotated[Decimal, Field(ge=0, max_digits=12, decimal_places=2)]
FormT = TypeVar("FormT", bound=Strict)


class FormError(InputError):
    """A form that cannot be taken; `complaints` say what is wrong with which field."""

    def __init__(self, complaints: tuple[Complaint, ...]) -> None:
        super().__init__("；".join(map(str, complaints)))
        self.complaints = complaints


def complain(field: str, sentence: str) -> FormError:
    """Return the error of one field."""
    return FormError((Complaint((field,), sentence),))


def read_form(form: type[FormT], data: Mapping[str, Any]) -> FormT:
    """Check what was entered; raise `FormError` with every complaint.

    An empty text is a field that was left out.
    """
    entered = {key: value for key, value in data.items() if value != ""}
    try:
        return form.model_validate(entered)
    except ValidationError as error:
        raise FormError(tuple(complaints_of(error))) from None


class RemarkForm(Strict):
    """What a person adds to something recorded, if anything."""

    remark: Remark = ""


class ReasonForm(Strict):
    """Why a person decided so."""

    reason: Reason


class ContactForm(Strict):
    """A person on the customer's side; see `records.customers.Contact`."""

    name: Line
    role: Line = "联系人"
    email: MailAddress | None = None
    phone: Line | None = None
    gets_papers: bool = False
    may_authorise: bool = False


class CustomerForm(Strict):
    """A customer 客户 and the people there."""

    name: Line
    contacts: tuple[ContactForm, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [one.name for one in self.contacts]
        if len(set(names)) < len(names):
            raise ValueError("联系人中有重名")
        return self


def _day(value: object) -> object:
    if isinstance(value, str):
        try:
            return date.fromisoformat(value.strip())
        except ValueError:
            raise ValueError("应为日期，例如 2026-01-31") from None
    return value


Day = Annotated[date, BeforeValidator(_day)]


class VisitForm(Strict):
    """A visit 现场巡检 that the customer asks for, and its first day."""

    site: Line
    due_on: Day


def _counted(day: date) -> date:
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise ValueError(f"应在 {FIRST_YEAR} 年至 {LAST_YEAR} 年之间")
    return day


# The years in which working days can be counted.
CountedDay = Annotated[Day, AfterValidator(_counted)]


def _promised(version: int) -> int:
    try:
        promises(version)
    except InputError as error:
        raise ValueError(str(error)) from None
    return version


TermsVersion = Annotated[int, AfterValidator(_promised)]


class ContractForm(Strict):
    """A contract 合同: both days are in it; `systems` are site names of the customer's systems."""

    number: Line
    customer: Line
    starts_on: CountedDay
    ends_on: CountedDay
    systems: tuple[Line, ...] = Field(min_length=1)
    terms_version: TermsVersion = Field(default_factory=newest)
    remote_service: bool = True
    visits_per_year: Annotated[int, Field(ge=0, le=VISITS_MOST, validate_default=True)] = 0
    remote_cny: Price = REMOTE_CNY
    visit_cny: Price = VISIT_CNY
    note: Remark = ""

    @field_validator("ends_on")
    @classmethod
    def _lasts(cls, ends_on: date, info: ValidationInfo) -> date:
        starts_on = info.data.get("starts_on")
        if starts_on and ends_on < starts_on:
            raise ValueError("结束日期不能早于开始日期")
        if starts_on and ends_on >= anniversary(starts_on, YEARS_MOST):
            raise ValueError(f"合同期不能超过 {YEARS_MOST} 年")
        return ends_on

    @field_validator("systems")
    @classmethod
    def _systems_differ(cls, systems: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(systems)) < len(systems):
            raise ValueError("同一个系统写了两次")
        return systems

    @field_validator("visits_per_year")
    @classmethod
    def _sells_something(cls, visits_per_year: int, info: ValidationInfo) -> int:
        if not visits_per_year and info.data.get("remote_service") is False:
            raise ValueError("远程服务与现场巡检至少要有一项")
        return visits_per_year
