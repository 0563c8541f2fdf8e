"""Customers and contracts: the seam between the records and the rules."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from mailcare.calendars.steps import working_calendar
from mailcare.clock import utc_now
from mailcare.contracts import (
    cases,
    daily,
    details,
    due,
    entering,
    extra_visits,
    imported,
    importing,
    lists,
)
from mailcare.contracts.details import ContractDetail, CustomerDetail
from mailcare.contracts.forms import ContractForm, CustomerForm
from mailcare.contracts.importing import Preview
from mailcare.contracts.lists import ContractRow, CustomerRow, NoticeRow, ServiceRow
from mailcare.contracts.notices import (
    Notice,
    calendar_notices,
    rest_day_notice,
    unstarted_notice,
)
from mailcare.contracts.sheets import read_sheets
from mailcare.contracts.starting import DueService, run_of
from mailcare.errors import InputError
from mailcare.listing import Page, Wish
from mailcare.records import contracts
from mailcare.records.changes import add_once
from mailcare.records.customers import Customer
from mailcare.records.session import give_way, reading, transaction

Changed = entering.Changed  # what a caller catches of this seam
UNSTARTED_AFTER = timedelta(days=3)  # own experience: longer than a weekend without a retry
RUNS_MOST = 500  # of one day; Airflow fails a task that maps over more than 1024


@dataclass(frozen=True, slots=True)
class PlanOutcome:
    """How many services a day's planning added, withdrew and moved, and how many notices."""

    added: int = 0
    withdrawn: int = 0
    moved: int = 0
    noticed: int = 0


def list_contracts(wish: Wish, *, on: date) -> Page[ContractRow]:
    """Return a page of contracts; searched by number, customer and note.

    Sorts: number (usual), customer, starts_on, ends_on. `on` is the day for `is_in_force`.
    """
    with reading() as session:
        return lists.contract_rows(session, wish, on=on)


def list_customers(wish: Wish) -> Page[CustomerRow]:
    """Return a page of customers by name; searched by their name and their contacts'."""
    with reading() as session:
        return lists.customer_rows(session, wish)


def list_services(wish: Wish, *, until: date | None, on: date) -> Page[ServiceRow]:
    """Return a page of services that are planned or running, the late ones first.

    `until` is the last due day shown (None: all), `on` the day from which lateness is told.
    Sorts: due_on, customer, system, kind, state.
    """
    with reading() as session:
        return lists.service_rows(session, wish, until=until, on=on)


def list_notices(wish: Wish) -> Page[NoticeRow]:
    """Return a page of notices, the newest first; sorts: raised_on, kind, contract."""
    with reading() as session:
        return lists.notice_rows(session, wish)


def contract_detail(number: str, *, on: date) -> ContractDetail:
    """Return a contract with its versions, years, ledger and services; `on` tells lateness.

    Raise `InputError` for a number that is not recorded.
    """
    with reading() as session:
        return details.describe_contract(session, number, on=on)


def customer_detail(customer: int, *, on: date) -> CustomerDetail:
    """Return a customer with contacts, systems and contracts; `InputError` if not recorded."""
    with reading() as session:
        return details.describe_customer(session, customer, on=on)


def enter_customer(form: CustomerForm, *, by: str) -> int:
    """Record a new customer and return the id; raise `FormError` for a name that is known."""
    with transaction() as session:
        return entering.add_customer(session, form, by=by)


def change_customer(customer: int, form: CustomerForm, *, read_version: int, by: str) -> int:
    """Write a customer's name and contacts anew and return the new version.

    Raise `Changed` where another person wrote since `read_version` was read.
    """
    with transaction() as session:
        return entering.rewrite_customer(session, customer, form, read_version=read_version, by=by)


def delete_customer(customer: int, *, read_version: int, by: str) -> None:
    """Delete a customer who has no contract, service, paper or authorisation.

    Raise `InputError` that names what stands against it, `Changed` as `change_customer`.
    """
    with transaction() as session:
        entering.remove_customer(session, customer, read_version=read_version, by=by)


def enter_contract(form: ContractForm, *, by: str) -> int:
    """Record a new contract and return its id.

    Raise `FormError` for a number that is taken, a customer or system that is not recorded, or a
    system that another contract covers in the same time.
    """
    with transaction() as session:
        return entering.add_contract(session, form, by=by)


def change_contract(number: str, form: ContractForm, *, read_version: int, by: str) -> int:
    """Record the next version of a contract and return it.

    Raise `Changed` where `read_version` is no longer in force: the second editor is told, nothing
    is overwritten; `FormError` as for a new contract.
    """
    with transaction() as session:
        return entering.rewrite_contract(session, number, form, read_version=read_version, by=by)


def add_visit(
    number: str, site: str, due_on: date, *, by: str, approved_by: str | None = None
) -> int:
    """Plan a visit that a person asks for, and return the service's id.

    One that the contract year has no more entitlement for is 合同外: it is refused unless
    `approved_by` is the login of a manager, and the ledger then says so. Raise `FormError`.
    """
    calendar = working_calendar()
    with transaction() as session:
        asked = extra_visits.read_asked(session, number, site, due_on, calendar)
        return extra_visits.plan_extra_visit(
            session, asked, calendar, by=by, approved_by=approved_by
        )


def preview_import(content: bytes, name: str) -> Preview:
    """Return what a file (xlsx, or YAML by its ending) would add and change, row by row.

    Nothing is written. Raise `InputError` for a file that cannot be read at all.
    """
    sheets = read_sheets(content, name)
    with reading() as session:
        return importing.previewed(importing.compare(sheets, imported.records(session)))


def apply_import(content: bytes, name: str, *, token: str, by: str) -> Preview:
    """Write what `preview_import` showed under `token`: all of it or nothing.

    Raise `InputError` where a row is wrong, or where the file or the records are no longer as
    they were when they were shown.
    """
    sheets = read_sheets(content, name)
    with _nothing_meanwhile(), transaction() as session:
        session.execute(select(Customer.id).order_by(Customer.id).with_for_update())
        found = importing.compare(sheets, imported.records(session))
        preview = importing.previewed(found)
        importing.refuse_unseen(preview, token)
        imported.write(session, found, by=by)
        return preview


@contextmanager
def _nothing_meanwhile() -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise InputError("记录在预览之后有变化，未写入任何内容，请重新预览") from None


def plan_due(*, today: date) -> PlanOutcome:
    """Write what the contracts owe as of a day, and the notices about them; twice is once.

    A chunk of contracts is one transaction: what was written before a failure stands, and the
    next call goes on from there. Others write between two of them.
    """
    calendar = working_calendar()
    with reading() as session:
        unstarted = due.untold(session, on=today - UNSTARTED_AFTER, most=RUNS_MOST)
    told = (*calendar_notices(calendar, today=today), *map(unstarted_notice, unstarted))
    done = PlanOutcome(noticed=_tell(told, today))
    last_id = 0
    while True:
        with transaction() as session:
            chunk = cases.cases_after(session, last_id)
            plans = [daily.plan_case(case, calendar, today=today) for case in chunk]
            plans = daily.write_plans(session, plans, today=today, at=utc_now())
        done = _with(done, plans)
        if len(chunk) < cases.CHUNK:
            return done
        last_id = chunk[-1].id
        give_way()


def _with(done: PlanOutcome, plans: Sequence[daily.Plan]) -> PlanOutcome:
    revisions = [plan.revision for plan in plans]
    return PlanOutcome(
        done.added + sum(len(one.added) + len(one.again) for one in revisions),
        done.withdrawn + sum(len(one.withdrawn) for one in revisions),
        done.moved + sum(len(one.moved) for one in revisions),
        done.noticed + sum(len(plan.notices) for plan in plans),
    )


def _tell(notices: Iterable[Notice], today: date) -> int:
    """Write notices that concern no single contract; return how many are new."""
    with transaction() as session:
        rows = [daily.notice_row(one, today) for one in notices]
        return sum(add_once(session, contracts.Notice, row) is not None for row in rows)


def may_start(*, today: date) -> bool:
    """Tell whether services are started on a day; a rest day is written down as a notice."""
    if working_calendar().is_workday(today):
        return True
    _tell([rest_day_notice(today)], today)
    return False


def due_runs(*, today: date) -> list[dict[str, Any]]:
    """Return the Dag runs to be started, of whatever kind, the longest due first.

    It looks back without a limit, and a run's name is the service's: who missed a day starts what
    is due, and who starts twice starts once. At most `RUNS_MOST` come at once; the others follow,
    for a service that has begun is no longer planned, and those told as not started come last:
    runs that fail at once hold up no other.
    """
    with reading() as session:
        return [run_of(one) for one in due.due(session, on=today, most=RUNS_MOST)]


def list_unstarted() -> tuple[DueService, ...]:
    """Return the services that were told as not started and still have not begun."""
    with reading() as session:
        return due.told(session)


def tell_unstarted(service: int, *, today: date) -> None:
    """Tell at once that a service's run failed; nothing is told of one that has begun."""
    with reading() as session:
        found = due.planned(session, service)
    _tell(map(unstarted_notice, found), today)


def restart_run(service: int, *, by: str) -> dict[str, Any]:
    """Note that a person starts a service anew, and return its Dag run, named as before.

    Raise `InputError` for one that is not planned, or has no Dag.
    """
    with transaction() as session:
        found = due.planned(session, service)
        if not found:
            raise InputError("这项服务已经开始或已撤回，不能重新启动", subject=str(service))
        run = run_of(found[0])
        entering.note(session, by, "restart", f"service/{service}", None, run)
        return run
