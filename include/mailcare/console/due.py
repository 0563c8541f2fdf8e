"""到期与提醒: what is due this week, late first; who waits for what; the notices."""

from dataclasses import replace
from datetime import timedelta
from functools import partial
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from mailcare.console.access import EVERYBODY, STAFF, Reader, Staff
from mailcare.console.entered import RowId
from mailcare.console.pages import Action, add_list, go, moment, show, today
from mailcare.console.runs import run_again
from mailcare.console.tables import Cell, Column, Shape, Wished, plain_table
from mailcare.console.words import label
from mailcare.contracts import steps
from mailcare.contracts.lists import NoticeRow, ServiceRow
from mailcare.listing import Page, Wish
from mailcare.systems.lists import WaitingRow
from mailcare.systems.steps import list_waiting

router = APIRouter()
WEEK = timedelta(days=7)
PROVISIONAL = (
    "暂行：日期涉及尚未公布的年度放假安排，按周一至周五及法定节假日推算；载入年度表后重新计算。"
)


def _certainty(row: ServiceRow) -> Cell:
    told = [word for word, is_so in (("迟", row.is_late), ("暂行", row.is_provisional)) if is_so]
    mark = "bad" if row.is_late else "warn" if row.is_provisional else ""
    return Cell("，".join(told), mark=mark)


def contract_path(number: str, page: str = "") -> str:
    """Return where a contract's page is, or one below it, whatever its number is made of."""
    return f"/contract{page}?{urlencode({'number': number})}"


def contract_link(number: str) -> Cell:
    """Return a contract's number with the way to its page; nothing for none."""
    return Cell(number, contract_path(number)) if number else Cell("")


SERVICES: tuple[Column[ServiceRow], ...] = (
    Column("到期日", lambda row: str(row.due_on or "/"), "due_on"),
    Column("时限", _certainty, notes={"暂行": PROVISIONAL}),
    Column("服务", lambda row: label(row.kind), "kind"),
    Column("类型", lambda row: label(row.purpose)),
    Column("状态", lambda row: Cell(label(row.state), mark=str(row.state)), "state"),
    Column("客户", lambda row: Cell(row.customer, f"/customers/{row.customer_id}"), "customer"),
    Column("系统", lambda row: row.system, "system"),
    Column("站点", lambda row: row.site),
    Column("合同", lambda row: contract_link(row.contract)),
)
NOTICES: tuple[Column[NoticeRow], ...] = (
    Column("日期", lambda row: str(row.raised_on), "raised_on"),
    Column("类型", lambda row: label(row.kind), "kind"),
    Column("内容", lambda row: row.text),
    Column("合同", lambda row: contract_link(row.contract), "contract"),
)


def _services(wish: Wish, *, within: timedelta | None) -> Page[ServiceRow]:
    on = today()
    return steps.list_services(wish, until=on + within if within else None, on=on)


HINT = "搜索"
WEEKLY = Shape("/due", "本周到期", SERVICES, partial(_services, within=WEEK), HINT)
ALL_OPEN = Shape("/open", "全部待办", SERVICES, partial(_services, within=None), HINT)
TOLD = Shape("/notices", "提醒", NOTICES, steps.list_notices, HINT)


def _waiting(wish: Wish) -> Page[WaitingRow]:
    rows = list_waiting()
    told = [one for one in rows if wish.text in f"{one.customer}{one.system}{one.hosts}"]
    return Page(tuple(told), len(told), replace(wish, page=1, rows=0))


WAITING: tuple[Column[WaitingRow], ...] = (
    Column("开始时间", lambda row: moment(row.started_at)),
    Column("客户", lambda row: row.customer),
    Column("系统", lambda row: Cell(row.system, f"/systems/{row.system_id}")),
    Column("主机", lambda row: "、".join(row.hosts)),
)
PARKED = Shape("/waiting", "等待客户授权", WAITING, _waiting, HINT)


@router.get("/")
def first_page(request: Request, _person: Reader, wish: Wished) -> Response:
    """Show this week: what is late and due, who waits for the customer, the latest notices."""
    return show(
        request,
        "due.html",
        title="到期与提醒",
        table=WEEKLY.table(wish),
        waiting=list_waiting(),
        unstarted=steps.list_unstarted(),
        staff=STAFF,
        notices=plain_table(NOTICES, steps.list_notices(Wish(rows=10)).rows),
        actions=(
            Action("全部待办", "/open", EVERYBODY),
            Action("登记授权", "/authorisations/new", STAFF),
        ),
    )


@router.post("/services/{service}/restart")
async def restart_service(request: Request, person: Staff, service: RowId) -> Response:
    """Let the run of a service that did not begin go on, or start it."""
    run = await run_in_threadpool(steps.restart_run, service, by=person.login)
    await run_again(request, run)
    return go(request, "/", done="restarted")


add_list(router, WEEKLY, EVERYBODY)
add_list(router, ALL_OPEN, EVERYBODY)
add_list(router, TOLD, EVERYBODY)
add_list(router, PARKED, EVERYBODY)
