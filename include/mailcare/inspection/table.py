"""The findings as a table for a terminal or a log."""

import io
import shutil
from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.table import Table

from mailcare.inspection.check import Finding, Result, Severity, Unmeasured
from mailcare.inspection.outcome import by_urgency, count_results, state_of

LABELS = {
    "ok": "正常",
    "notice": "提示",
    "warning": "警告",
    "critical": "严重",
    "unmeasured": "未测得",
    "not_applicable": "不适用",
    "manual": "需人工",
}
NARROWEST = 120


def findings_table(results: Iterable[Result]) -> str:
    """Return the results, most urgent first, and a line with the counts."""
    rows = by_urgency(results)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("结论", "检查", "对象", "说明"):
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(_label(row), row.check, str(row.target), _says(row))
    width = max(shutil.get_terminal_size((NARROWEST, 24)).columns, NARROWEST)
    console = Console(file=io.StringIO(), width=width, markup=False, highlight=False)
    console.print(table)
    text = console.file.getvalue()  # pyrefly: ignore[missing-attribute] - the StringIO from above
    counts = count_results(rows)
    return text + "  ".join(f"{LABELS[key]} {number}" for key, number in counts.items())


def _label(result: Result) -> str:
    state = state_of(result)
    severity = result.severity if isinstance(result, Finding) else Severity.OK
    return LABELS[severity.name.lower() if state == "measured" else state]


def _says(result: Result) -> str:
    text = result.summary if isinstance(result, Finding) else result.reason
    cause = result.caused_by if isinstance(result, Finding | Unmeasured) else None
    return f"{text}（由 {cause} 引起）" if cause else text
