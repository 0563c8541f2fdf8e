"""工程师待办单: one A4 page of what to do after an inspection; for the engineer, not the customer.

It stays one page: what does not fit is counted, with the place in the report where it stands.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from mailcare.inspection.check import Finding, Result
from mailcare.inspection.planning import AnyCheck
from mailcare.papers.document import Document, Json
from mailcare.papers.formats import columns
from mailcare.papers.items import Item, in_state, read_items
from mailcare.systems.system import System

TEMPLATE = "inspection/actions.html"
TEMPLATE_VERSION = 1
SUFFIX = "-TODO"
PAGE_LINES = 48.0  # lines of text that the three lists have together
SHARES = (22.0, 11.0, 15.0)  # and what each of them may take while the others want theirs
FRAME_LINES = 0.35  # the padding of a row, in lines
ROOM_LINES = 2.25  # what a row with room to write in is high at least
RAGGED = 1.08  # words that do not break leave some of a line empty
ROUNDING = 1e-6
TEXT_MAX = 90
TITLE_MAX = 40
# Half-width columns that a line of a table's cells has: see actions.css.
TITLE_COLUMNS, SAYS_COLUMNS, REASON_COLUMNS, MANUAL_COLUMNS = 27, 40, 58, 56


def action_list(
    system: System,
    results: Iterable[Result],
    checks: Iterable[AnyCheck],
    *,
    number: str,
    finished_at: datetime,
    vendor: str = "",
) -> Document:
    """Return the action list that belongs to the report of that number."""
    items = read_items(results, checks)
    lists = (_to_do(items), _to_open(items), _to_look_at(items))
    shown = fit(lists)
    content: dict[str, Json] = {
        "title": "工程师待办单",
        "customer": system.site.customer.name,
        "system": system.site.system.title,
        "vendor": vendor,
        "report": number,
        "finished_at": finished_at.isoformat(),
        "to_do": shown[0],
        "to_open": shown[1],
        "to_look_at": shown[2],
        "more": [len(every) - len(some) for every, some in zip(lists, shown, strict=True)],
    }
    return Document(f"{number}{SUFFIX}", TEMPLATE, TEMPLATE_VERSION, content)


def _to_do(items: Sequence[Item]) -> list[dict[str, Json]]:
    """Return what is wrong in itself, the worst first, with the number of its consequences."""
    effects = Counter(item.cause for item in items)
    return [
        _problem(item, item.result.advice, effects[item.check.name])
        for item in items
        if isinstance(item.result, Finding) and item.is_bad and item.cause is None
    ]


def _problem(item: Item, advice: str, effects: int) -> dict[str, Json]:
    after = f"（处理后复查由此引起的 {effects} 项）" if effects else ""
    todo, says = short(advice) + after, short(item.says)
    lines = _lines((_title(item), TITLE_COLUMNS), (says, SAYS_COLUMNS), (todo, SAYS_COLUMNS))
    return {
        "state": item.state,
        "title": _title(item),
        "says": says,
        "todo": todo,
        "lines": lines,
    }


def _to_open(items: Sequence[Item]) -> list[dict[str, Json]]:
    """Return why things could not be measured, each reason once."""
    grouped: dict[str, list[Item]] = {}
    for item in in_state(items, "unmeasured"):
        if item.cause is None:
            grouped.setdefault(item.says, []).append(item)
    return [_obstacle(reason, found) for reason, found in grouped.items()]


def _obstacle(reason: str, found: Sequence[Item]) -> dict[str, Json]:
    names = short("、".join(dict.fromkeys(map(_title, found))))
    lines = _lines((short(reason), REASON_COLUMNS), (names, REASON_COLUMNS))
    return {"reason": short(reason), "names": names, "lines": lines}


def _to_look_at(items: Sequence[Item]) -> list[dict[str, Json]]:
    return [_errand(item) for item in in_state(items, "manual")]


def _errand(item: Item) -> dict[str, Json]:
    title, says = _title(item), short(item.says)
    lines = _lines((title, TITLE_COLUMNS), (says, MANUAL_COLUMNS))
    return {"title": title, "says": says, "lines": max(lines, ROOM_LINES)}


def _title(item: Item) -> str:
    title = f"{item.check.title}（{item.target}）"
    return title if len(title) <= TITLE_MAX else f"{title[:TITLE_MAX]}……"


def short(text: str) -> str:
    """Return the text on one line, cut to what the page has room for."""
    line = " ".join(text.split())
    return line if len(line) <= TEXT_MAX else f"{line[:TEXT_MAX]}……"


def _lines(*cells: tuple[str, int]) -> float:
    """Return how many lines high a row is."""
    lines = (math.ceil(columns(text) * RAGGED / width) for text, width in cells)
    return max(1, *lines) + FRAME_LINES


def fit(lists: Sequence[Sequence[Mapping[str, Json]]]) -> list[list[Mapping[str, Json]]]:
    """Return the head of each list, so that together they fill no more than the page.

    What the lists leave of their shares goes to the first that wants more: it matters most.
    """
    spare = PAGE_LINES - sum(SHARES)
    heads = [_head(rows, share) for rows, share in zip(lists, SHARES, strict=True)]
    spare += sum(share - _height(head) for head, share in zip(heads, SHARES, strict=True))
    for place, rows in enumerate(lists):
        taken = _height(heads[place])
        heads[place] = _head(rows, taken + spare)
        spare -= _height(heads[place]) - taken
    return heads


def _height(rows: Iterable[Mapping[str, Json]]) -> float:
    return sum(float(str(row["lines"])) for row in rows)


def _head(rows: Sequence[Mapping[str, Json]], room: float) -> list[Mapping[str, Json]]:
    head: list[Mapping[str, Json]] = []
    for row in rows:
        if _height([*head, row]) > room + ROUNDING:
            break
        head.append(row)
    return head
