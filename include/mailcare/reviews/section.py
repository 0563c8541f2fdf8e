"""What stands in a review: sections of sentences, tables and at most a chart. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

from mailcare.papers.document import Json

Cell = str | int | None


@dataclass(frozen=True, slots=True)
class Grid:
    """A table; its cells are texts and whole numbers, None is written as 「/」."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def content(self) -> dict[str, Json]:
        """Return it as a paper holds it."""
        return {"title": self.title, "head": self.head, "rows": self.rows}


@dataclass(frozen=True, slots=True)
class Section:
    """A numbered part of a review; one without any data says so in a sentence."""

    title: str
    says: tuple[str, ...] = ()
    grids: tuple[Grid, ...] = ()
    charts: tuple[Mapping[str, Json], ...] = field(default=())

    def content(self) -> dict[str, Json]:
        """Return it as a paper holds it."""
        return {
            "title": self.title,
            "says": self.says,
            "grids": [one.content() for one in self.grids],
            "charts": list(self.charts),
        }


def day(on: date | None) -> str | None:
    """Write a day as people read it; None for none."""
    return f"{on:%Y-%m-%d}" if on else None


def money(amount: Decimal) -> str:
    """Write an amount in yuan, the cents only where there are some."""
    return f"{amount:,.2f}".removesuffix(".00")


def share(part: int, whole: int) -> str | None:
    """Write a part of a whole in percent; None where there is no whole."""
    return f"{100 * part / whole:.0f}%" if whole else None


def length(took: timedelta | None) -> str | None:
    """Write how long something took, its greatest two units; None where it has not ended."""
    if took is None:
        return None
    minutes = int(took.total_seconds() // 60)
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = ((days, "天"), (hours, "小时"), (rest, "分钟"))
    shown = [f"{count} {unit}" for count, unit in parts if count][:2]
    return " ".join(shown) or "不足 1 分钟"


def listed(items: Sequence[str]) -> str:
    """Join names for a sentence; 无 for none."""
    return "、".join(items) or "无"
