"""操作记录: who changed what, read-only."""

import json

from fastapi import APIRouter

from mailcare.console.access import OVERSIGHT
from mailcare.console.pages import add_list, moment
from mailcare.console.tables import Cell, Column, Shape
from mailcare.console.words import label
from mailcare.staff.steps import AuditRow, list_audit

router = APIRouter()


def _said(value: dict[str, object] | None) -> Cell:
    text = json.dumps(value, ensure_ascii=False) if value is not None else ""
    return Cell(text, mark="long")


ENTRIES: tuple[Column[AuditRow], ...] = (
    Column("时间", lambda row: moment(row.at), "at"),
    Column("谁", lambda row: row.by, "by"),
    Column("动作", lambda row: label(row.action), "action"),
    Column("对象", lambda row: row.subject, "subject"),
    Column("修改前", lambda row: _said(row.before)),
    Column("修改后", lambda row: _said(row.after)),
)
add_list(router, Shape("/audit", "操作记录", ENTRIES, list_audit), OVERSIGHT)
