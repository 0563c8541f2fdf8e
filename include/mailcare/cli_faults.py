"""The command line's view of faults: `mailcare fault declare`, `list`, `show`, `event`."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailcare.deadlines import LEVEL_CHOICES, Level
from mailcare.errors import InputError
from mailcare.faults.events import ENTERED, Change, Channel, PauseReason, Remedy
from mailcare.faults.standing import Stage
from mailcare.faults.wording import (
    KIND_TITLES,
    STAGE_TITLES,
    due_text,
    duration,
    left_of,
    moment,
    state_title,
)
from mailcare.systems.evidence import KINDS_SAID

if TYPE_CHECKING:
    from mailcare.faults.clocks import Clock
    from mailcare.faults.steps import BoardRow, FaultDetail, FaultRow

NUMBER = Annotated[str, typer.Argument(metavar="NUMBER", help="故障编号，例如 GZ-2026-00001")]
AsJson = Annotated[bool, typer.Option("--json", help="输出 JSON")]
When = Annotated[str, typer.Option(metavar="TIME", help="缺省为现在；无时区即北京时间")]
Files = Annotated[
    list[Path] | None, typer.Option(metavar="FILE", help=f"附件，可多次：{KINDS_SAID}")
]
TYPES = " ".join(ENTERED)
LEVELS = "\n\n".join(LEVEL_CHOICES.values())  # below the help: a narrow column would cut them off


def declare(
    level: Annotated[Level, typer.Option(help="故障级别，含义见下", case_sensitive=False)],
    description: Annotated[str, typer.Option(help="故障描述")],
    contact: Annotated[str, typer.Option(help="联系人")],
    contact_details: Annotated[str, typer.Option(help="联系方式")],
    site: Annotated[str, typer.Option(help="系统（站点文件中的 site）")] = "",
    customer: Annotated[str, typer.Option(help="客户名称；填了系统可不填")] = "",
    place: Annotated[str, typer.Option(help="故障地点")] = "/",
    via: Annotated[str, typer.Option(help="申报方式：phone email chat onsite")] = "phone",
    declared_at: When = "",
    follows: Annotated[str, typer.Option(metavar="NUMBER", help="关联的原故障")] = "",
    key: Annotated[str, typer.Option(help="同一个键只登记一次")] = "",
    file: Files = None,
) -> None:
    """登记一个故障，打印它的编号；时限自申报时起算。"""
    from getpass import getuser
    from uuid import uuid4

    from mailcare.clock import utc_now
    from mailcare.contracts.forms import read_form
    from mailcare.faults import steps

    data = {
        "customer": customer, "site": site, "level": level, "description": description,
        "contact": contact, "contact_details": contact_details, "place": place, "via": via,
        "declared_at": declared_at, "follows": follows,
    }  # fmt: skip
    at = utc_now()
    fault = steps.declare_form(
        read_form(steps.DeclarationForm, data),
        key=key or f"cli/{uuid4()}", by=getuser(), at=at, files=_contents(file),
    )  # fmt: skip
    typer.echo(_detail_text(steps.fault_detail(fault, at=at)))


def list_faults(
    text: Annotated[str, typer.Argument(metavar="[TEXT]", help="按编号、客户、系统查找")] = "",
    every: Annotated[bool, typer.Option("--all", help="包括已结束的")] = False,
    json_: AsJson = False,
) -> None:
    """列出未结束的故障，最先到期的在前。"""
    from mailcare.clock import utc_now
    from mailcare.faults import steps
    from mailcare.listing import Wish

    wish = Wish(text=text, rows=0)
    if every:
        rows = steps.list_faults(wish).rows
        lines = [_fault_text(row) for row in rows]
    else:
        board = steps.board(wish, at=utc_now()).rows
        rows = tuple(one.fault for one in board)
        lines = [_board_text(one) for one in board]
    said = _json([asdict(row) for row in rows]) if json_ else "\n".join(lines) or "没有故障。"
    typer.echo(said)


def show(number: NUMBER, json_: AsJson = False) -> None:
    """一个故障的时限与经过。"""
    from mailcare.clock import BEIJING, utc_now
    from mailcare.faults import steps

    detail = steps.fault_detail(steps.fault_of(number), at=utc_now())
    if not json_:
        typer.echo(_detail_text(detail))
        return
    clocks = [one.as_json(BEIJING) for one in detail.clocks]
    history = [asdict(one) for one in detail.history]
    typer.echo(_json({"fault": asdict(detail.row), "clocks": clocks, "history": history}))


def record(
    number: NUMBER,
    type_: Annotated[
        str,
        typer.Argument(
            metavar="TYPE",
            help=f"何事：{TYPES}",
        ),
    ],
    at: When = "",
    level: Annotated[Level | None, typer.Option(case_sensitive=False)] = None,
    why: Annotated[Change | None, typer.Option()] = None,
    channel: Annotated[Channel | None, typer.Option()] = None,
    reason: Annotated[PauseReason | None, typer.Option()] = None,
    kind: Annotated[Remedy | None, typer.Option()] = None,
    into: Annotated[str | None, typer.Option(metavar="NUMBER")] = None,
    customer_agreed: Annotated[bool, typer.Option("--customer-agreed")] = False,
    remark: Annotated[str, typer.Option(help="依据或说明")] = "",
    file: Files = None,
) -> None:
    """登记一个故障发生的事：受理、首次联系、暂停、恢复、级别变更、处理完成……"""
    from getpass import getuser

    from mailcare.clock import utc_now
    from mailcare.faults import steps

    now = utc_now()
    words = {
        "level": level, "why": why, "channel": channel, "reason": reason, "kind": kind,
        "into": into, "customer_agreed": customer_agreed,
    }  # fmt: skip
    fault = steps.fault_of(number)
    steps.record_event(
        fault,
        steps.event_entered(type_, at, words, now=now),
        by=getuser(),
        at=now,
        backing=steps.Backing(remark=remark, files=steps.evidence_of(_contents(file))),
    )
    typer.echo(_detail_text(steps.fault_detail(fault, at=now)))


FAULT_COMMANDS: dict[str, Callable[..., None]] = {
    "declare": declare,
    "list": list_faults,
    "show": show,
    "event": record,
}


def _contents(files: list[Path] | None) -> list[tuple[str, bytes]]:
    return [(one.name, _content(one)) for one in files or ()]


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise InputError("文件不存在", subject=str(file)) from None
    except OSError as error:
        raise InputError(f"文件无法读取（{error.strerror}）", subject=str(file)) from None


def _json(data: Any) -> str:  # noqa: ANN401 - whatever JSON can hold
    return json.dumps(data, ensure_ascii=False, indent=2, default=str)


def _fault_text(row: "FaultRow") -> str:
    contract = f"{row.contract} v{row.contract_version}" if row.contract else "合同外"
    place = f"{row.customer} {row.system or '/'}"
    return f"{row.number}  {row.level}  {STAGE_TITLES[Stage(row.state)]}  {place}  {contract}"


def _board_text(row: "BoardRow") -> str:
    clocks = (f"{KIND_TITLES[one.clock]} {left_of(one, row.at)}" for one in row.open_clocks)
    return f"{_fault_text(row.fault)}  {'，'.join(clocks)}"


def _detail_text(detail: "FaultDetail") -> str:
    row = detail.row
    lines = [_fault_text(row), f"申报 {moment(row.declared_at)}（北京时间）  {row.description}"]
    lines += [_clock_text(one) for one in detail.clocks]
    lines += [
        f"{moment(one.at)}  {one.title}  {one.text}  {one.by}".rstrip() for one in detail.history
    ]
    return "\n".join(lines)


def _clock_text(clock: "Clock") -> str:
    used = f"用时 {duration(clock.gross_s)}，扣除暂停后 {duration(clock.net_s)}"
    title = f"{KIND_TITLES[clock.clock]} 第{clock.epoch}轮"
    return f"{title}  {state_title(clock)}  时限 {due_text(clock)}  {used}"
