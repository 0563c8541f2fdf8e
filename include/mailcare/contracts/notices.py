"""What people should know about a contract in time, as notices with a key. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from mailcare.contracts.ledger import Balance
from mailcare.contracts.planning import Promise, reminders
from mailcare.contracts.starting import STARTS, DueService
from mailcare.contracts.terms import Contract
from mailcare.workdays import Calendar

LAPSES_DAYS = 60  # before the end of a contract year, like the first reminder of a contract's end
UNSTARTED = "unstarted/"  # begins the key of such a notice; the service's id follows
PROMISE_TITLES = {Promise.REMOTE_INSPECTION: "年度远程巡检", Promise.VISIT: "现场巡检"}
SERVICE_TITLES = {
    Promise.REMOTE_INSPECTION: "远程巡检",
    Promise.BACKUP_VERIFICATION: "备份验证",
    Promise.VISIT: "现场巡检",
    Promise.REVIEW: "年度回顾",
}


class NoticeKind(StrEnum):
    """What a notice is about."""

    CONTRACT_ENDS = "contract_ends"
    USED_UP = "used_up"
    LAPSES = "lapses"
    OVER_USE = "over_use"
    CALENDAR_MISSING = "calendar_missing"
    REST_DAY = "rest_day"
    UNSTARTED = "unstarted"


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence for people; the same `key` is told once."""

    key: str
    kind: NoticeKind
    text: str


def contract_notices(
    contract: Contract, balances: Iterable[Balance], *, today: date
) -> Iterator[Notice]:
    """Yield what is to be told of a contract on a day, whether or not it was told before."""
    for reminder in reminders(contract, today=today):
        left = f"还有 {reminder.days_left} 天到期（{contract.ends_on}）"
        text = f"合同 {contract.number} {left}，请联系续约"
        yield Notice(reminder.key, NoticeKind.CONTRACT_ENDS, text)
    year = contract.year_of(today)
    if year is None:
        return
    left_days = (year.last_on - today).days
    for one in balances:
        if one.contract_year == year.number:
            yield from _of_balance(contract, one, left_days)


def _of_balance(contract: Contract, one: Balance, left_days: int) -> Iterator[Notice]:
    title = PROMISE_TITLES[Promise(one.promise)]
    year = f"{contract.number}/{one.contract_year}/{one.promise}"
    said = f"合同 {contract.number} 第 {one.contract_year} 年度"
    if one.is_used_up:
        text = f"{said}的{title}已用完：购买 {one.bought} 次，已用 {one.used} 次"
        yield Notice(f"{year}/used_up/{one.bought}", NoticeKind.USED_UP, text)
    if one.used < one.bought and left_days <= LAPSES_DAYS:
        text = (
            f"{said}还有 {left_days} 天结束，{title}购买 {one.bought} 次，已用 {one.used} 次，"
            "请尽快安排，逾期作废"
        )
        yield Notice(f"{year}/lapses/{one.bought}", NoticeKind.LAPSES, text)
    if one.over:
        text = f"{said}的{title}超出合同 {one.over} 次（合同外）：购买 {one.bought} 次"
        yield Notice(f"{year}/over/{one.bought}/{one.over}", NoticeKind.OVER_USE, text)


def calendar_notices(calendar: Calendar, *, today: date) -> Iterator[Notice]:
    """Yield one notice a day for each year that is needed and not known, until it is loaded."""
    for year in calendar.years_missing(today):
        text = (
            f"{year} 年的放假安排尚未载入，期限按暂行推算；国务院办公厅公布后，"
            "请用 mailcare calendar load 载入并由另一人确认"
        )
        yield Notice(f"calendar/{year}/{today}", NoticeKind.CALENDAR_MISSING, text)


def rest_day_notice(today: date) -> Notice:
    """Return the record that nothing was started because nobody works on that day."""
    text = f"{today} 不是工作日，当天到期的服务留待下一个工作日启动"
    return Notice(f"rest_day/{today}", NoticeKind.REST_DAY, text)


def unstarted_notice(service: DueService) -> Notice:
    """Return the notice of a service that should have begun; a failed run is never repeated."""
    title = SERVICE_TITLES[service.kind]
    text = (
        f"{service.site} 的{title}（服务 {service.id}，到期日 {service.due_on}）至今没有启动；"
        f"请在 Airflow 查看 {STARTS[service.kind].dag} 的运行 {service.run}，"
        "排除原因后在「到期与提醒」中重新启动"
    )
    return Notice(f"{UNSTARTED}{service.id}", NoticeKind.UNSTARTED, text)
